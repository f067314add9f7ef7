//! Limits, reports and a rig: an outbox with a running driver above a scripted service.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use envoi_core::{Clock, Deliver, DiscardReason, Lane, Limits, LossSink, Reply, Reporter, Store};
use envoi_layers::TokioClock;
use envoi_layers::outbox::{MemoryStore, Outbox, OutboxConfig, outbox};
use envoi_testkit::mock::{MockDeliver, Outcome};
use envoi_testkit::{Goods, GoodsCategory};
use tokio::task::JoinHandle;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MILLI: Duration = Duration::from_millis(1);

pub(crate) type Config = OutboxConfig<Goods>;

pub(crate) fn goods(lane: Lane, id: impl Into<String>) -> Goods {
    Goods::new(lane.as_str()).with_lane(lane).with_id(id)
}

pub(crate) fn error(id: impl Into<String>) -> Goods {
    goods(Lane::Critical, id)
}

pub(crate) fn log(id: impl Into<String>) -> Goods {
    goods(Lane::Low, id)
}

/// An outbox whose driver runs.
pub(crate) struct Rig {
    pub(crate) outbox: Outbox<Goods>,
    pub(crate) mock: MockDeliver<Goods>,
    pub(crate) driver: JoinHandle<()>,
    start: tokio::time::Instant,
}

impl Rig {
    pub(crate) fn new(config: Config) -> Self {
        Self::with_store(MemoryStore::new(), config)
    }

    /// With deliveries that succeed after 10 ms, unless the script says otherwise.
    pub(crate) fn with_store(store: impl Store<Goods>, config: Config) -> Self {
        let mock = MockDeliver::answering(Outcome::delivered().after(10 * MILLI));
        let (outbox, driver) = outbox(store, config, mock.clone());
        Self { outbox, mock, driver: tokio::spawn(driver), start: tokio::time::Instant::now() }
    }

    /// Above a service of one's own.
    pub(crate) fn above<S>(service: S, config: Config) -> Self
    where
        S: Deliver<Goods, Future: Send> + Send + 'static,
    {
        let (outbox, driver) = outbox(MemoryStore::new(), config, service);
        let mock = MockDeliver::new();
        Self { outbox, mock, driver: tokio::spawn(driver), start: tokio::time::Instant::now() }
    }

    pub(crate) fn post_all(&self, goods: impl IntoIterator<Item = Goods>) {
        for goods in goods {
            self.outbox.post(goods).unwrap();
        }
    }

    /// The ids that reached the service, in order.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.mock.seen().into_iter().map(|seen| seen.id.unwrap_or_default()).collect()
    }

    /// When each attempt began, in milliseconds.
    pub(crate) fn times(&self) -> Vec<u128> {
        self.mock.seen().into_iter().map(|seen| (seen.at - self.start).as_millis()).collect()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) async fn flush(&self) {
        assert!(self.outbox.flush(3600 * SECOND).await.is_complete(), "{:?}", self.outbox);
    }

    /// The books balance and the queue agrees with them (CR-1).
    pub(crate) fn assert_books(&self) {
        assert_books(&self.outbox);
    }

    /// Nothing is held any more, by the books and by the queue.
    pub(crate) fn assert_settled(&self) {
        self.assert_books();
        assert!(self.outbox.ledger().snapshot().is_settled(), "{:#?}", self.outbox.ledger().snapshot());
        assert_eq!((self.outbox.stats().queued(), self.outbox.stats().in_flight), (0, 0));
    }

    pub(crate) fn lost(&self, category: &'static str, reason: DiscardReason) -> u64 {
        lost(&self.outbox, category, reason)
    }

    pub(crate) fn delivered(&self, category: &'static str) -> u64 {
        delivered(&self.outbox, category)
    }
}

pub(crate) fn assert_books(outbox: &Outbox<Goods>) {
    let snapshot = outbox.ledger().snapshot();
    assert!(snapshot.balances(), "{snapshot:#?}");
    let mut counted = BTreeMap::<GoodsCategory, u64>::new();
    outbox.held(|category, quantity| *counted.entry(category.clone()).or_default() += quantity);
    let booked: BTreeMap<GoodsCategory, u64> = snapshot
        .iter()
        .map(|(category, account)| (category.clone(), account.held().unwrap()))
        .filter(|(_, held)| *held > 0)
        .collect();
    assert_eq!(counted, booked, "the queue and the books disagree");
}

pub(crate) fn lost(outbox: &Outbox<Goods>, category: &'static str, reason: DiscardReason) -> u64 {
    let snapshot = outbox.ledger().snapshot();
    snapshot.get(&Cow::Borrowed(category)).and_then(|account| account.lost.get(&reason).copied()).unwrap_or(0)
}

pub(crate) fn delivered(outbox: &Outbox<Goods>, category: &'static str) -> u64 {
    outbox.ledger().snapshot().get(&Cow::Borrowed(category)).map_or(0, |account| account.delivered)
}

/// Lets all other tasks run until they wait.
pub(crate) async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

/// Polls once.
pub(crate) async fn is_ready(future: impl Future) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

pub(crate) fn now() -> Instant {
    TokioClock.now()
}

/// A table of limits that is set by hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(Arc<Mutex<BTreeMap<Option<GoodsCategory>, Instant>>>);

impl Table {
    /// Limits a category for so long from now; `None` is everything.
    pub(crate) fn limit(&self, category: Option<&'static str>, time: Duration) {
        self.0.lock().unwrap().insert(category.map(Cow::Borrowed), now() + time);
    }

    fn end(&self, key: Option<&GoodsCategory>, now: Instant) -> Option<Instant> {
        self.0.lock().unwrap().get(&key.cloned()).copied().filter(|end| now < *end)
    }
}

impl Limits<GoodsCategory> for Table {
    fn any_active(&self, now: Instant) -> bool {
        self.next_end(now).is_some()
    }

    fn all_until(&self, now: Instant) -> Option<Instant> {
        self.end(None, now)
    }

    fn category_until(&self, category: &GoodsCategory, now: Instant) -> Option<Instant> {
        self.end(Some(category), now)
    }

    fn next_end(&self, now: Instant) -> Option<Instant> {
        self.0.lock().unwrap().values().copied().filter(|end| now < *end).min()
    }

    fn learn(&self, _: &Reply, _: Instant, _: SystemTime) {}
}

type Pending = BTreeMap<(DiscardReason, GoodsCategory), u64>;

/// Counts losses and reports them, as a client-report aggregator does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reports(Arc<Mutex<Pending>>);

impl Reports {
    pub(crate) fn pending(&self) -> u64 {
        self.0.lock().unwrap().values().sum()
    }

    pub(crate) fn take(&self) -> Pending {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl LossSink<GoodsCategory> for Reports {
    fn lost(&self, reason: DiscardReason, category: &GoodsCategory, quantity: u64) {
        *self.0.lock().unwrap().entry((reason, category.clone())).or_default() += quantity;
    }

    fn restore(&self, reason: DiscardReason, category: &GoodsCategory, quantity: u64) {
        self.lost(reason, category, quantity);
    }
}

impl Reporter<Goods> for Reports {
    fn is_pending(&self) -> bool {
        self.pending() > 0
    }

    fn attach(&self, goods: &mut Goods) -> bool {
        let mut carrier = std::mem::take(goods);
        for ((reason, category), quantity) in self.take() {
            carrier = carrier.carrying(reason, category, quantity);
        }
        *goods = carrier;
        true
    }

    fn detach(&self, _: &mut Goods, _: bool) {}

    fn standalone(&self) -> Option<Goods> {
        let mut report = Goods::nothing().with_id("report");
        self.is_pending().then(|| {
            self.attach(&mut report);
            report
        })
    }
}
