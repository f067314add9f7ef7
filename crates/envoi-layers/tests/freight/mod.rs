//! A payload, a table of limits, books and a clock that say exactly what they were asked.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use envoi_core::{
    Clock, Custodian, Deliver, DiscardReason, Failure, Fault, Itemized, Limits, LossSink, Parcel, Payload,
    Receipt, Reply, Reporter, SharedClock, Weight,
};
use tower::{ServiceExt, service_fn};

pub type Category = &'static str;

/// One item: what it counts as, and whose limits hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub category: Category,
    pub quantity: u64,
    pub held_by: Vec<Category>,
}

/// An item that is counted and held by one category.
pub fn one(category: Category) -> Piece {
    Piece { category, quantity: 1, held_by: vec![category] }
}

pub type Losses = BTreeMap<(DiscardReason, Category), u64>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freight {
    pub items: Vec<Piece>,
    /// The losses of others that it came with.
    pub news: Losses,
    /// Those that a reporter attached.
    pub attached: Losses,
}

impl Freight {
    pub fn of(items: impl IntoIterator<Item = Piece>) -> Self {
        Self { items: items.into_iter().collect(), ..Self::default() }
    }

    pub fn with_news(mut self, reason: DiscardReason, category: Category, quantity: u64) -> Self {
        self.news.insert((reason, category), quantity);
        self
    }

    pub fn categories(&self) -> Vec<Category> {
        self.items.iter().map(|piece| piece.category).collect()
    }

    fn holds(piece: &Piece, limited: &mut dyn FnMut(&Category) -> bool) -> bool {
        piece.held_by.iter().any(limited)
    }
}

impl Payload for Freight {
    fn weight(&self) -> Weight {
        Weight { items: self.items.len(), bytes: 0 }
    }
}

impl Itemized for Freight {
    type Category = Category;

    fn tally(&self, visit: &mut dyn FnMut(&Category, u64)) {
        for piece in &self.items {
            visit(&piece.category, piece.quantity);
        }
    }

    fn shed(&mut self, limited: &mut dyn FnMut(&Category) -> bool, lost: &mut dyn FnMut(&Category, u64)) {
        self.items.retain(|piece| {
            let held = Self::holds(piece, limited);
            if held {
                lost(&piece.category, piece.quantity);
            }
            !held
        });
    }

    fn clear(&mut self, lost: &mut dyn FnMut(&Category, u64)) {
        self.tally(lost);
        *self = Self::default();
    }

    fn is_held(&self, limited: &mut dyn FnMut(&Category) -> bool) -> bool {
        !self.items.is_empty() && self.items.iter().all(|piece| Self::holds(piece, limited))
    }

    fn is_spent(&self) -> bool {
        self.items.is_empty() && self.news.is_empty() && self.attached.is_empty()
    }

    fn carried_losses(&self, visit: &mut dyn FnMut(DiscardReason, &Category, u64)) {
        for ((reason, category), quantity) in self.news.iter().chain(&self.attached) {
            visit(reason.clone(), category, *quantity);
        }
    }
}

/// A table of limits that notes every question.
#[derive(Debug, Default)]
pub struct Table {
    stored: AtomicBool,
    all: Mutex<Option<Instant>>,
    categories: Mutex<BTreeMap<Category, Instant>>,
    pub questions: Mutex<Vec<&'static str>>,
    pub learned: Mutex<Vec<u16>>,
}

impl Table {
    pub fn limit_all(&self, until: Instant) {
        *self.all.lock().unwrap() = Some(until);
        self.stored.store(true, Ordering::Relaxed);
    }

    pub fn limit(&self, category: Category, until: Instant) {
        self.categories.lock().unwrap().insert(category, until);
        self.stored.store(true, Ordering::Relaxed);
    }

    pub fn limit_each(&self, categories: &BTreeSet<Category>, until: Instant) {
        for category in categories {
            self.limit(category, until);
        }
    }

    pub fn questions(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.questions.lock().unwrap())
    }

    fn asked(&self, question: &'static str) {
        self.questions.lock().unwrap().push(question);
    }
}

impl Limits<Category> for Table {
    fn is_idle(&self) -> bool {
        self.asked("is_idle");
        !self.stored.load(Ordering::Relaxed)
    }

    fn any_active(&self, now: Instant) -> bool {
        self.asked("any_active");
        self.all.lock().unwrap().iter().chain(self.categories.lock().unwrap().values()).any(|end| now < *end)
    }

    fn all_until(&self, now: Instant) -> Option<Instant> {
        self.asked("all_until");
        self.all.lock().unwrap().filter(|end| now < *end)
    }

    fn category_until(&self, category: &Category, now: Instant) -> Option<Instant> {
        self.asked("category_until");
        self.categories.lock().unwrap().get(category).copied().filter(|end| now < *end)
    }

    fn next_end(&self, _: Instant) -> Option<Instant> {
        self.asked("next_end");
        None
    }

    /// Understands `x-limit: <category>` (or `all`), for a minute.
    fn learn(&self, reply: &Reply, now: Instant, _: SystemTime) {
        self.learned.lock().unwrap().push(reply.status.as_u16());
        let end = now + Duration::from_secs(60);
        match reply.header("x-limit") {
            Some("all") => self.limit_all(end),
            Some(name) => {
                let known = ["error", "attachment", "log", "span"];
                self.limit(known.into_iter().find(|known| *known == name).unwrap(), end);
            }
            None => {}
        }
    }
}

/// A clock that stands still until it is moved, and counts how often it was read.
#[derive(Debug)]
pub struct Hands {
    start: Instant,
    advanced_ms: AtomicU64,
    pub reads: AtomicUsize,
}

impl Hands {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            start: tokio::time::Instant::now().into_std(),
            advanced_ms: AtomicU64::new(0),
            reads: AtomicUsize::new(0),
        })
    }

    /// The time, unnoticed.
    pub fn peek(&self) -> Instant {
        self.start + Duration::from_millis(self.advanced_ms.load(Ordering::Relaxed))
    }

    pub fn advance(&self, by: Duration) {
        self.advanced_ms.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub fn shared(self: &Arc<Self>) -> SharedClock {
        Arc::<Self>::clone(self)
    }

    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl Clock for Hands {
    fn now(&self) -> Instant {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.peek()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

/// Books of losses that are also the reporter of what is pending, as a client-report aggregator is.
#[derive(Clone, Debug, Default)]
pub struct Books(Arc<BooksInner>);

#[derive(Debug, Default)]
struct BooksInner {
    /// Ever lost, restorations left out.
    lost: Mutex<Losses>,
    pending: Mutex<Losses>,
    calls: Mutex<Vec<&'static str>>,
    refuse_to_attach: AtomicBool,
}

impl Books {
    pub fn lost(&self) -> Losses {
        self.0.lost.lock().unwrap().clone()
    }

    pub fn pending(&self) -> Losses {
        self.0.pending.lock().unwrap().clone()
    }

    pub fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.calls.lock().unwrap())
    }

    pub fn refuse_to_attach(&self) {
        self.0.refuse_to_attach.store(true, Ordering::Relaxed);
    }

    fn asked(&self, question: &'static str) {
        self.0.calls.lock().unwrap().push(question);
    }
}

impl LossSink<Category> for Books {
    fn lost(&self, reason: DiscardReason, category: &Category, quantity: u64) {
        *self.0.lost.lock().unwrap().entry((reason.clone(), *category)).or_default() += quantity;
        *self.0.pending.lock().unwrap().entry((reason, *category)).or_default() += quantity;
    }

    fn restore(&self, reason: DiscardReason, category: &Category, quantity: u64) {
        *self.0.pending.lock().unwrap().entry((reason, *category)).or_default() += quantity;
    }
}

impl Reporter<Freight> for Books {
    fn is_pending(&self) -> bool {
        self.asked("is_pending");
        !self.0.pending.lock().unwrap().is_empty()
    }

    fn attach(&self, freight: &mut Freight) -> bool {
        self.asked("attach");
        if self.0.refuse_to_attach.load(Ordering::Relaxed) {
            return false;
        }
        for (key, quantity) in std::mem::take(&mut *self.0.pending.lock().unwrap()) {
            *freight.attached.entry(key).or_default() += quantity;
        }
        true
    }

    fn detach(&self, freight: &mut Freight, restore: bool) {
        self.asked(if restore { "detach and restore" } else { "detach" });
        for ((reason, category), quantity) in std::mem::take(&mut freight.attached) {
            if restore {
                self.restore(reason, &category, quantity);
            }
        }
    }

    fn standalone(&self) -> Option<Freight> {
        None
    }
}

/// Notes what a parcel still held when it ceased to exist.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<Mutex<Vec<Freight>>>);

impl Witness {
    pub fn custodian(&self) -> Arc<dyn Custodian<Freight>> {
        Arc::new(self.clone())
    }

    pub fn saw(&self) -> Vec<Freight> {
        self.0.lock().unwrap().clone()
    }
}

impl Custodian<Freight> for Witness {
    fn released(&self, freight: &Freight) {
        self.0.lock().unwrap().push(freight.clone());
    }
}

/// What reached the inner service.
pub type Sent = Arc<Mutex<Vec<Freight>>>;

/// An inner service that notes what it is sent and answers by `answer`, which is told how many came before.
pub fn wire<F>(
    sent: &Sent,
    answer: F,
) -> impl Deliver<Freight, Error = Failure<Freight>, Future: Send> + Clone + use<F>
where
    F: Fn(usize) -> Result<Receipt, Fault> + Clone + Send + 'static,
{
    let sent = Arc::clone(sent);
    service_fn(move |parcel: Parcel<Freight>| {
        let position = {
            let mut sent = sent.lock().unwrap();
            sent.push(parcel.payload().clone());
            sent.len() - 1
        };
        let answer = answer(position).map_err(|fault| Failure::new(fault, parcel));
        async move { answer }
    })
}

pub fn delivered(_: usize) -> Result<Receipt, Fault> {
    Ok(Receipt::delivered())
}

/// One parcel through `service`.
pub async fn deliver<S: Deliver<Freight>>(
    service: &mut S,
    parcel: impl Into<Parcel<Freight>>,
) -> Result<Receipt, Failure<Freight>> {
    service.ready().await.map_err(Into::into)?.call(parcel.into()).await.map_err(Into::into)
}
