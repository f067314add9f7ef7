use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoi::batch::{BatchBuilder, BatchTransport, Category, DeliveryError, Schedule};
use envoi::core::Account;
use envoi_testkit::mock::{Answer, MockExchange};
use http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;
use tower::layer::layer_fn;

pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Longer than anything takes: it only ends a test that would hang. Most tests run on paused time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// What the handler was told: the name of the error, and the items.
pub(crate) type Told = Arc<Mutex<Vec<(&'static str, u64)>>>;

pub(crate) fn name(error: &DeliveryError) -> &'static str {
    match error {
        DeliveryError::Auth { .. } => "auth",
        DeliveryError::RateLimited { .. } => "rate limited",
        DeliveryError::BreakerOpen { .. } => "breaker open",
        DeliveryError::NonRetryableStatus { .. } => "status",
        DeliveryError::Overflow { .. } => "overflow",
        DeliveryError::Other { .. } => "other",
        _ => "unknown",
    }
}

/// A transport whose exchange is a mock: the swap that integrators make in their own tests.
pub(crate) struct Rig {
    pub(crate) mock: MockExchange,
    pub(crate) told: Told,
    pub(crate) logger: BatchTransport,
    pub(crate) start: Instant,
}

pub(crate) fn listen(told: &Told) -> impl Fn(&DeliveryError) + Send + Sync + 'static {
    let told = Arc::clone(told);
    move |error| told.lock().unwrap().push((name(error), error.items()))
}

impl Rig {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::with(answers, |builder| builder)
    }

    /// Waits have no jitter, so that they can be asserted to the millisecond; its bounds are proved where it is made.
    pub(crate) fn with(
        answers: impl IntoIterator<Item = Answer>,
        change: impl FnOnce(BatchBuilder) -> BatchBuilder,
    ) -> Self {
        let (mock, told) = (MockExchange::new(), Told::default());
        mock.script(answers);
        let builder = envoi::batch("http://logs.invalid/v1/events")
            .bearer("s3cret")
            .schedule(Schedule::brief().jitter(0.0))
            .on_error(listen(&told));
        let network = mock.clone();
        let logger = change(builder)
            .http_layer(layer_fn(move |_network| network.clone()))
            .build_on(&tokio::runtime::Handle::current())
            .unwrap();
        Self { mock, told, logger, start: Instant::now() }
    }

    /// Logs so many numbers, beginning with `first`.
    pub(crate) fn log(&self, first: usize, count: usize) {
        for number in first..first + count {
            self.logger.log(&number).unwrap();
        }
    }

    /// Sends one batch of one event, and waits for its end.
    pub(crate) async fn send_one(&self) {
        self.log(0, 1);
        assert!(self.logger.flush(PATIENCE).await.is_complete);
    }

    /// When each request came, in milliseconds since the start.
    pub(crate) fn times(&self) -> Vec<u128> {
        self.mock.seen().iter().map(|seen| (seen.at - self.start).as_millis()).collect()
    }

    /// The events of each request.
    pub(crate) fn batches(&self) -> Vec<Vec<Value>> {
        self.mock.seen().iter().map(|seen| serde_json::from_slice(seen.request.body()).unwrap()).collect()
    }

    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.batches().iter().map(Vec::len).collect()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn told(&self) -> Vec<(&'static str, u64)> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) fn account(&self) -> Account {
        account(&self.logger)
    }
}

pub(crate) fn account(logger: &BatchTransport) -> Account {
    let ledger = logger.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    ledger.get(&Category::EVENT).cloned().unwrap_or_default()
}

pub(crate) fn status(code: u16) -> Answer {
    Answer::status(StatusCode::from_u16(code).unwrap())
}
