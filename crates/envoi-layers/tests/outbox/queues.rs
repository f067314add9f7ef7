//! One queue above another: who answers for what, in one ledger.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use envoi_core::{
    Depth, DiscardReason, Failure, Fate, IsLimited, Itemized, Kind, Lane, LeaseId, Next, Parcel, Settle,
    Store, StoreHost,
};
use envoi_layers::outbox::{Capacity, MemoryStore, Outbox, OutboxLayer, Overflow, outbox};
use envoi_testkit::mock::{MockDeliver, Outcome};
use envoi_testkit::{Goods, GoodsCategory};
use tower::{Layer, ServiceBuilder, service_fn};

use crate::support::*;

/// Two queues with one ledger, above a scripted service.
fn tower_of_two(inner_store: MemoryStore<Goods>) -> (Rig, Outbox<Goods>, MockDeliver<Goods>) {
    let config = Config::new();
    let ledger = envoi_core::Ledger::new();
    let mock = MockDeliver::answering(Outcome::delivered().after(10 * MILLI));
    let (inner, driver) = outbox(inner_store, config.ledger(ledger.clone()), mock.clone());
    tokio::spawn(driver);
    let outer = Rig::above(inner.clone(), Config::new().ledger(ledger).seed(1));
    (outer, inner, mock)
}

/// CR-1: what passes from one queue to another is posted once and delivered once.
#[tokio::test(start_paused = true)]
async fn two_queues_share_the_books() {
    let (outer, inner, mock) = tower_of_two(MemoryStore::new());
    outer.post_all((0..20).map(|id| error(format!("{id}")).and("attachment", 2)));
    assert!(outer.outbox.flush(SECOND).await.is_complete());
    assert!(inner.flush(SECOND).await.is_complete());
    assert_eq!(mock.seen().len(), 20);
    let snapshot = outer.outbox.ledger().snapshot();
    let account = snapshot.get(&"attachment".into()).unwrap();
    assert_eq!((account.posted, account.delivered), (40, 40));
    outer.assert_settled();
    assert_books(&inner);
}

/// CR-1: what the inner queue refuses stays with the outer one.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_inner_queue_leaves_the_outer_responsible() {
    let store = MemoryStore::new().capacity(Capacity::new(1, 1000)).overflow(Overflow::DropNewest);
    let (outer, inner, mock) = tower_of_two(store);
    mock.otherwise(Outcome::never());
    outer.post_all((0..12).map(|id| error(format!("{id}"))));
    settle().await;
    // 8 are in flight below or queued there; the others were refused and dropped by the outer queue's rules.
    let refused = outer.lost("critical", DiscardReason::QueueOverflow);
    assert!(refused > 0);
    let snapshot = outer.outbox.ledger().snapshot();
    assert_eq!(snapshot.get(&"critical".into()).unwrap().held(), Some(12 - refused));
    inner.close(SECOND).await;
    assert!(outer.outbox.ledger().snapshot().is_settled());
    assert_books(&inner);
}

/// TP-3, CR-1: what the inner queue drops at its door is counted once.
#[tokio::test(start_paused = true)]
async fn a_limit_at_the_inner_door_counts_once() {
    let (table, ledger) = (Table::default(), envoi_core::Ledger::new());
    let config = Config::new().ledger(ledger.clone()).limits(table.clone());
    let (inner, driver) = outbox(MemoryStore::new(), config, MockDeliver::new());
    tokio::spawn(driver);
    let outer = Rig::above(inner.clone(), Config::new().ledger(ledger));
    table.limit(Some("critical"), 60 * SECOND);
    outer.post_all([error("gone"), error("partly").and("attachment", 4)]);
    outer.flush().await;
    assert!(inner.flush(SECOND).await.is_complete());
    assert_eq!(outer.lost("critical", DiscardReason::RatelimitBackoff), 2);
    assert_eq!(outer.delivered("attachment"), 4);
    outer.assert_settled();
    assert_books(&inner);
}

/// Decision 16: a queue with another ledger keeps its own account of what it takes on.
#[tokio::test(start_paused = true)]
async fn a_queue_with_books_of_its_own_enters_what_it_takes_on() {
    let (inner, driver) = outbox(MemoryStore::new(), Config::new(), MockDeliver::new());
    tokio::spawn(driver);
    let outer = Rig::above(inner.clone(), Config::new());
    outer.post_all([error("a")]);
    outer.flush().await;
    assert!(inner.flush(SECOND).await.is_complete());
    let snapshot = inner.ledger().snapshot();
    let account = snapshot.get(&"critical".into()).unwrap();
    assert_eq!((account.posted, account.delivered), (1, 1));
    assert_books(&inner);
}

/// TR-1: the layer runs its driver by itself, on the runtime at hand.
#[tokio::test(start_paused = true)]
async fn a_layer_runs_its_driver() {
    let ledger = envoi_core::Ledger::new();
    let service = ServiceBuilder::new()
        .layer(OutboxLayer::new(Config::new().ledger(ledger.clone())).store(MemoryStore::new()))
        .map_request(|parcel: Parcel<Goods>| parcel)
        .service(service_fn(|parcel: Parcel<Goods>| async move {
            drop(parcel);
            Ok::<_, Failure<Goods>>(envoi_core::Receipt::delivered())
        }));
    let receipt = tower::ServiceExt::oneshot(service.clone(), Parcel::new(error("a"))).await.unwrap();
    assert_eq!(receipt.fate(), Fate::Queued);
    assert!(service.flush(SECOND).await.is_complete());
    assert!(ledger.snapshot().is_settled());
    let other = OutboxLayer::new(Config::new()).on_runtime(tokio::runtime::Handle::current());
    let other: Outbox<Goods> = other.layer(MockDeliver::new());
    other.post(error("b")).unwrap();
    assert!(other.flush(SECOND).await.is_complete());
}

/// A store whose entries outlive the process, as far as the outbox can tell: the parcels that it leases are copies.
#[derive(Clone)]
struct Durable(Arc<DurableInner>);

struct DurableInner {
    memory: MemoryStore<Goods>,
    copies: Mutex<Vec<(LeaseId, Goods)>>,
    kept: Mutex<Vec<Goods>>,
    host: Mutex<Option<Arc<dyn StoreHost<GoodsCategory>>>>,
    hidden: Mutex<bool>,
}

impl Durable {
    fn new() -> Self {
        Self(Arc::new(DurableInner {
            memory: MemoryStore::new(),
            copies: Mutex::default(),
            kept: Mutex::default(),
            host: Mutex::default(),
            hidden: Mutex::default(),
        }))
    }

    fn kept(&self) -> usize {
        self.0.kept.lock().unwrap().len()
    }
}

impl Store<Goods> for Durable {
    fn connect(&self, host: Arc<dyn StoreHost<GoodsCategory>>) {
        *self.0.host.lock().unwrap() = Some(Arc::clone(&host));
        self.0.memory.connect(host);
    }

    fn append(&self, parcel: Parcel<Goods>, tag: u64, now: Instant) -> Result<Fate, Failure<Goods>> {
        self.0.memory.append(parcel, tag, now).map(|_| Fate::Stored)
    }

    fn lease(&self, lane: Lane, now: Instant, limited: Option<IsLimited<'_, GoodsCategory>>) -> Next<Goods> {
        if *self.0.hidden.lock().unwrap() {
            return Next::Fetching;
        }
        let next = self.0.memory.lease(lane, now, limited);
        if let Next::Ready(lease) = &next {
            self.0.copies.lock().unwrap().push((lease.id, lease.parcel.payload().clone()));
        }
        next
    }

    fn settle(&self, lease: LeaseId, outcome: Settle<Goods>, now: Instant) {
        let mut copies = self.0.copies.lock().unwrap();
        let place = copies.iter().position(|(id, _)| *id == lease).unwrap();
        let (_, copy) = copies.swap_remove(place);
        if matches!(outcome, Settle::Abandoned) {
            self.0.kept.lock().unwrap().push(copy);
        }
        self.0.memory.settle(lease, outcome, now);
    }

    fn hurry(&self) {
        self.0.memory.hurry();
    }

    fn is_durable(&self, _: LeaseId) -> bool {
        true
    }

    fn depth(&self, lane: Lane) -> Depth {
        self.0.memory.depth(lane)
    }

    fn held(&self, visit: &mut dyn FnMut(&GoodsCategory, u64)) {
        self.0.memory.held(visit);
        for goods in &*self.0.kept.lock().unwrap() {
            goods.tally(visit);
        }
    }

    fn close(&self, now: Instant) -> usize {
        let mut kept = self.0.kept.lock().unwrap();
        for lane in Lane::ALL {
            while let Next::Ready(lease) = self.0.memory.lease(lane, now + 9999 * SECOND, None) {
                self.0.memory.settle(lease.id, Settle::Delivered, now);
                kept.push(lease.parcel.into_payload());
            }
        }
        kept.len()
    }
}

/// TR-2, decision 16: a durable store keeps what a close interrupts, in flight or queued: nothing is lost, all is held.
#[tokio::test(start_paused = true)]
async fn a_durable_store_keeps_what_a_close_interrupts() {
    let store = Durable::new();
    let rig = Rig::with_store(store.clone(), Config::new().concurrency(3).seed(1));
    rig.mock.script([
        Outcome::never(),
        Outcome::failure(Kind::Halted).after(950 * MILLI),
        Outcome::failure(Kind::Connect).after(955 * MILLI),
    ]);
    assert_eq!(rig.outbox.post(error("0")).unwrap(), Fate::Stored);
    rig.post_all((1..6).map(|id| error(format!("{id}"))));
    let closed = rig.outbox.close(SECOND).await;
    assert_eq!((closed.kept, closed.lost, closed.discharged, closed.in_flight), (6, 0, 0, 0));
    assert_eq!(store.kept(), 6);
    rig.assert_books();
    let snapshot = rig.outbox.ledger().snapshot();
    assert_eq!(snapshot.get(&"critical".into()).unwrap().held(), Some(6), "held, not lost");
}

/// CR-6, decision 14: what a durable store falls back on has no report on board. One that was attached on the way is
/// pending again; one that was posted stays where it is.
#[tokio::test(start_paused = true)]
async fn a_report_is_told_again_when_its_carrier_is_kept() {
    let (store, reports) = (Durable::new(), Reports::default());
    let service = service_fn(|mut parcel: Parcel<Goods>| async move {
        let goods = std::mem::take(parcel.payload_mut());
        *parcel.payload_mut() = goods.carrying(DiscardReason::NetworkError, "span", 3);
        std::future::pending::<Result<envoi_core::Receipt, Failure<Goods>>>().await
    });
    let (outbox, driver) = outbox(store.clone(), Config::new().losses(reports.clone()), service);
    let driver = tokio::spawn(driver);
    outbox.post(error("a").carrying(DiscardReason::NetworkError, "span", 5)).unwrap();
    settle().await;
    driver.abort();
    settle().await;
    assert_eq!((store.kept(), reports.pending()), (1, 3));
    assert_books(&outbox);
}

/// CR-1: what a layer drops and records on the way is in the copy that a durable store falls back on: the books take it
/// on once more, so that they still say what is held.
#[tokio::test(start_paused = true)]
async fn what_is_kept_in_full_is_held_in_full() {
    let (store, ledger) = (Durable::new(), envoi_core::Ledger::new());
    let sink = ledger.clone();
    let service = service_fn(move |mut parcel: Parcel<Goods>| {
        parcel.payload_mut().shed(&mut |category| *category == "attachment", &mut |category, quantity| {
            envoi_core::LossSink::lost(&sink, DiscardReason::BeforeSend, category, quantity);
        });
        std::future::pending::<Result<envoi_core::Receipt, Failure<Goods>>>()
    });
    let (outbox, driver) = outbox(store.clone(), Config::new().ledger(ledger), service);
    tokio::spawn(driver);
    outbox.post(error("a").and("attachment", 7)).unwrap();
    assert_eq!(outbox.close(SECOND).await.kept, 1);
    assert_books(&outbox);
    assert_eq!(lost(&outbox, "attachment", DiscardReason::BeforeSend), 7);
}

/// TR-2: a store that has to fetch is asked again when it says so, and a close waits for it.
#[tokio::test(start_paused = true)]
async fn a_store_that_fetches_wakes_the_driver() {
    let store = Durable::new();
    *store.0.hidden.lock().unwrap() = true;
    let rig = Rig::with_store(store.clone(), Config::new());
    rig.post_all([error("a")]);
    settle().await;
    assert!(rig.ids().is_empty());
    let close = {
        let outbox = rig.outbox.clone();
        tokio::spawn(async move { outbox.close(10 * SECOND).await })
    };
    tokio::time::sleep(SECOND).await;
    *store.0.hidden.lock().unwrap() = false;
    store.0.host.lock().unwrap().as_ref().unwrap().wake();
    assert!(close.await.unwrap().is_complete);
    assert_eq!(rig.times(), [1000]);
    rig.assert_settled();
}
