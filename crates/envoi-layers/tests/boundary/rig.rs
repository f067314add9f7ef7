//! The stack of the batch transport, and everything there is to look at.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use envoi_core::{Account, Advice, Deliver, Failure, Fault, Kind, Parcel, Receipt, Reply};
use envoi_layers::breaker::{BreakerConfig, BreakerLayer, BreakerState};
use envoi_layers::latch::LatchLayer;
use envoi_layers::on_error::{DeliveryError, ErrorHook, OnErrorLayer};
use envoi_layers::outbox::{MemoryStore, Outbox, OutboxConfig, outbox};
use envoi_layers::retry::{RetryLayer, Schedule};
use envoi_testkit::Goods;
use envoi_testkit::mock::{MockDeliver, Outcome};
use http::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::layer::layer_fn;
use tower::{Service, ServiceBuilder};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn status(code: u16, advice: Advice) -> Outcome {
    let status = StatusCode::from_u16(code).unwrap();
    let kind = match code {
        401 | 403 => Kind::Unauthorized,
        429 => Kind::RateLimited,
        500.. => Kind::Server,
        _ => Kind::Rejected,
    };
    Outcome::fault(move || Fault::new(kind).with_advice(advice).with_reply(Reply::new(status)))
}

/// Counts the probes that are out at once: in a half-open circuit nobody but the probe comes by.
struct ProbeWatch<S> {
    inner: S,
    breaker: BreakerLayer,
    out: Arc<AtomicUsize>,
    breaches: Breaches,
}

/// What must never happen. Noted, because a panic below the outbox would be one lost batch among others.
type Breaches = Arc<Mutex<Vec<&'static str>>>;

impl<S: Clone> Clone for ProbeWatch<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            breaker: self.breaker.clone(),
            out: Arc::clone(&self.out),
            breaches: Arc::clone(&self.breaches),
        }
    }
}

struct Out(Arc<AtomicUsize>);

impl Drop for Out {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S> Service<Parcel<Goods>> for ProbeWatch<S>
where
    S: Deliver<Goods, Error = Failure<Goods>, Future: Send + 'static>,
{
    type Response = Receipt;
    type Error = Failure<Goods>;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, Failure<Goods>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure<Goods>>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, parcel: Parcel<Goods>) -> Self::Future {
        let probe = (self.breaker.state() == BreakerState::HalfOpen).then(|| {
            if self.out.fetch_add(1, Ordering::Relaxed) > 0 {
                self.breaches.lock().unwrap().push("a second probe");
            }
            Out(Arc::clone(&self.out))
        });
        let call = self.inner.call(parcel);
        Box::pin(async move {
            let answer = call.await;
            drop(probe);
            answer
        })
    }
}

/// The stack, and everything there is to look at.
pub(crate) struct Rig {
    pub(crate) outbox: Outbox<Goods>,
    pub(crate) below: MockDeliver<Goods>,
    pub(crate) breaker: BreakerLayer,
    pub(crate) latch: LatchLayer,
    pub(crate) heard: Arc<Mutex<Vec<String>>>,
    pub(crate) start: Instant,
    pub(crate) driver: JoinHandle<()>,
    breaches: Breaches,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(MemoryStore::new(), |error| error.to_string().len())
    }

    /// With a handler that does something more.
    pub(crate) fn with<T>(
        store: MemoryStore<Goods>,
        and: impl Fn(&DeliveryError) -> T + Send + Sync + 'static,
    ) -> Self {
        let (breaker, latch) = (BreakerLayer::new(BreakerConfig::new()), LatchLayer::new());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hook = ErrorHook::new({
            let heard = Arc::clone(&heard);
            move |error| {
                let name = match error {
                    DeliveryError::Auth { .. } => "auth",
                    DeliveryError::RateLimited { .. } => "rate limited",
                    DeliveryError::BreakerOpen { .. } => "breaker open",
                    DeliveryError::NonRetryableStatus { .. } => "status",
                    DeliveryError::Overflow { .. } => "overflow",
                    _ => "other",
                };
                heard.lock().unwrap().push(name.to_owned());
                and(error);
            }
        });
        let breaches = Breaches::default();
        let below = MockDeliver::new().on_parcel({
            let (latch, breaches) = (latch.clone(), Arc::clone(&breaches));
            move |_: &mut Parcel<Goods>| {
                if latch.is_tripped() {
                    breaches.lock().unwrap().push("a request after the latch");
                }
            }
        });
        let halt = CancellationToken::new();
        let service = ServiceBuilder::new()
            .layer(OnErrorLayer::with_hook(hook.clone()).final_when(|_| true))
            .layer(breaker.clone())
            .layer(layer_fn({
                let (breaker, breaches) = (breaker.clone(), Arc::clone(&breaches));
                move |inner| ProbeWatch {
                    inner,
                    breaker: breaker.clone(),
                    out: Arc::default(),
                    breaches: Arc::clone(&breaches),
                }
            }))
            .layer(RetryLayer::new(Schedule::brief().jitter(0.0)).halt_on(halt.clone()))
            .layer(latch.clone())
            .service(below.clone());
        let gate = latch.clone();
        let config =
            OutboxConfig::new().halt_token(halt).losses(hook.overflows()).gate(move || !gate.is_tripped());
        let (outbox, driver) = outbox(store, config, service);
        Self {
            outbox,
            below,
            breaker,
            latch,
            heard,
            start: Instant::now(),
            driver: tokio::spawn(driver),
            breaches,
        }
    }

    pub(crate) fn post(&self, id: usize) -> Result<(), Fault> {
        self.outbox.post(Goods::new("event").with_id(id.to_string())).map(drop)
    }

    /// Posts one and waits for its end.
    pub(crate) async fn send(&self, steps: impl IntoIterator<Item = Outcome>) {
        self.below.script(steps);
        self.post(self.below.seen().len()).unwrap();
        assert!(self.outbox.flush(3600 * SECOND).await.is_complete());
        assert_eq!(self.below.steps_left(), 0);
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    /// The books, which balance, and nothing has happened that must not.
    pub(crate) fn account(&self) -> Account {
        assert_eq!(*self.breaches.lock().unwrap(), [""; 0]);
        let snapshot = self.outbox.ledger().snapshot();
        assert!(snapshot.balances(), "{snapshot:#?}");
        snapshot.get(&Cow::Borrowed("event")).cloned().unwrap_or_default()
    }

    /// Requests per batch.
    pub(crate) fn attempts(&self) -> BTreeMap<String, usize> {
        let mut attempts = BTreeMap::new();
        for seen in self.below.seen() {
            *attempts.entry(seen.id.unwrap()).or_default() += 1;
        }
        attempts
    }
}
