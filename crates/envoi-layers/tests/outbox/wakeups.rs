//! No lost wake-ups: a post at the worst moment, while the driver looks into the store and finds it empty.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use envoi_core::{
    Advice, Depth, Failure, Fate, IsLimited, Kind, Lane, LeaseId, Next, Parcel, Settle, Store, StoreHost,
};
use envoi_layers::outbox::MemoryStore;
use envoi_testkit::contract::{Contract, Rule};
use envoi_testkit::mock::Outcome;
use envoi_testkit::{Goods, GoodsCategory};

use crate::support::*;

type Hook = Box<dyn FnOnce() + Send>;

/// A store in memory that runs a hook within one of the questions of the driver, when the answer stands already.
#[derive(Default)]
struct Interrupted {
    memory: MemoryStore<Goods>,
    questions: AtomicUsize,
    hook: Mutex<Option<(usize, Hook)>>,
}

impl Interrupted {
    /// Runs `hook` within the question that comes after so many others.
    fn at(&self, question: usize, hook: impl FnOnce() + Send + 'static) {
        *self.hook.lock().unwrap() =
            Some((self.questions.load(Ordering::Relaxed) + question, Box::new(hook)));
    }

    fn asked(&self) {
        let number = self.questions.fetch_add(1, Ordering::Relaxed);
        let hook = self.hook.lock().unwrap().take_if(|(at, _)| *at == number);
        if let Some((_, hook)) = hook {
            hook();
        }
    }
}

impl Store<Goods> for Interrupted {
    fn connect(&self, host: Arc<dyn StoreHost<GoodsCategory>>) {
        self.memory.connect(host);
    }

    fn append(&self, parcel: Parcel<Goods>, tag: u64, now: Instant) -> Result<Fate, Failure<Goods>> {
        self.memory.append(parcel, tag, now)
    }

    fn lease(&self, lane: Lane, now: Instant, limited: Option<IsLimited<'_, GoodsCategory>>) -> Next<Goods> {
        let next = self.memory.lease(lane, now, limited);
        self.asked();
        next
    }

    fn settle(&self, lease: LeaseId, outcome: Settle<Goods>, now: Instant) {
        self.memory.settle(lease, outcome, now);
    }

    fn hurry(&self) {
        self.memory.hurry();
    }

    fn depth(&self, lane: Lane) -> Depth {
        let depth = self.memory.depth(lane);
        self.asked();
        depth
    }

    fn held(&self, visit: &mut dyn FnMut(&GoodsCategory, u64)) {
        self.memory.held(visit);
    }

    fn close(&self, now: Instant) -> usize {
        self.memory.close(now)
    }
}

/// Posts while the driver asks its question number `question`. Says whether there was one.
async fn interrupt(question: usize, lane: Lane, waiting: bool) -> bool {
    let store = Arc::new(Interrupted::default());
    let rig = Rig::with_store(Arc::clone(&store), Config::new().concurrency(2).report_interval(None));
    if waiting {
        // The lane is not empty, but has nothing that may go.
        let wait = Advice::RetryAfter(3600 * SECOND);
        rig.mock.script([Outcome::advised(Kind::Server, wait)]);
        rig.post_all([goods(lane, "waits")]);
    }
    settle().await;
    let outbox = rig.outbox.clone();
    store.at(question, move || drop(outbox.post(goods(lane, "late"))));
    rig.post_all([error("first"), error("second"), log("third")]);
    tokio::time::sleep(100 * MILLI).await;
    let interrupted = store.hook.lock().unwrap().take().is_none();
    let sent = rig.ids().iter().filter(|id| *id != "waits").count();
    assert_eq!(sent, 3 + usize::from(interrupted), "a post into question {question} was forgotten");
    rig.assert_books();
    interrupted
}

/// TR-1: whichever question of the driver a post comes into the middle of, it is sent at once; nothing else has to happen.
#[tokio::test(start_paused = true)]
async fn a_post_at_any_moment_wakes_the_driver() {
    for (lane, waiting) in
        [(Lane::Critical, false), (Lane::Low, false), (Lane::Critical, true), (Lane::Low, true)]
    {
        let mut questions = 0;
        while interrupt(questions, lane, waiting).await {
            questions += 1;
        }
        assert!(questions > 5, "only {questions} questions");
    }
}

/// TR-1: of the contract of layers the part about readiness is not for a queue: it is always ready, and the inner
/// service is asked in the background. That is the only rule it does not follow.
#[tokio::test(start_paused = true)]
async fn a_queue_is_ready_whatever_is_below() {
    let layer = envoi_layers::outbox::OutboxLayer::<Goods>::new(Config::new());
    let violation = Contract::delivery(layer).run().await.unwrap_err();
    assert_eq!(violation.rule(), Rule::PassesPending, "{violation}");
}
