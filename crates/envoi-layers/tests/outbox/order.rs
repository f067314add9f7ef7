//! What goes when: lanes, weights, room, readiness, pace.

use envoi_core::{DiscardReason, Failure, Fate, Fault, Kind, Lane, Meta, Origin, Parcel, Receipt, Store};
use envoi_layers::outbox::{Capacity, MemoryStore, Overflow, outbox};
use envoi_testkit::Goods;
use envoi_testkit::mock::Outcome;
use envoi_testkit::probe::{Answers, Gate, Probe};

use crate::support::*;

/// TP-2: under backlog in all lanes a round is 5:4:3:2:1, the most urgent first.
#[tokio::test(start_paused = true)]
async fn a_backlog_is_served_by_weight() {
    let rig = Rig::new(Config::new().concurrency(1));
    // Posted in the opposite order, before the driver has had a turn.
    for lane in Lane::ALL.into_iter().rev() {
        rig.post_all((0..10).map(|_| goods(lane, lane.as_str())));
    }
    rig.flush().await;
    let ids = rig.ids();
    for round in ids.chunks(15).take(2) {
        let mut counts = Lane::ALL.map(|lane| round.iter().filter(|id| **id == lane.as_str()).count());
        assert_eq!(counts, [5, 4, 3, 2, 1], "{round:?}");
        counts.sort_unstable();
    }
    assert!(ids[..5].iter().all(|id| id == "critical"));
    assert_eq!(ids.len(), 50);
    rig.assert_settled();
}

/// TP-2: weights are configurable.
#[tokio::test(start_paused = true)]
async fn weights_can_be_chosen() {
    let rig = Rig::new(Config::new().concurrency(1).lane_weights([1, 1, 1, 3, 0]));
    for lane in [Lane::Critical, Lane::Low, Lane::Lowest] {
        rig.post_all((0..6).map(|_| goods(lane, lane.as_str())));
    }
    rig.flush().await;
    assert_eq!(rig.ids()[..5], ["critical", "low", "low", "low", "lowest"]);
    rig.assert_settled();
}

/// TP-1: a flood of logs pushes out logs, never errors, and what it pushed out is recorded.
#[tokio::test(start_paused = true)]
async fn a_flood_of_logs_does_not_evict_errors() {
    let store = MemoryStore::new().capacity(Capacity::new(10, 1 << 20));
    let rig = Rig::with_store(store, Config::new());
    rig.post_all((0..10).map(|id| error(format!("{id}"))));
    rig.post_all((0..1000).map(|id| log(format!("{id}"))));
    rig.assert_books();
    assert_eq!(rig.lost("low", DiscardReason::QueueOverflow), 990);
    rig.flush().await;
    assert_eq!((rig.delivered("critical"), rig.delivered("low")), (10, 10));
    let logs: Vec<_> = rig
        .mock
        .seen()
        .into_iter()
        .filter(|seen| seen.lane == Lane::Low)
        .filter_map(|seen| seen.id)
        .collect();
    assert_eq!(logs.first().unwrap(), "990", "the oldest gave way");
    rig.assert_settled();
}

/// TP-1: with `DropNewest` the newcomer gives way; `post` says so and has recorded it, `try_post` hands it back.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_recorded_by_post_and_handed_back_by_try_post() {
    let store = MemoryStore::new().capacity(Capacity::new(1, 1 << 20)).overflow(Overflow::DropNewest);
    let rig = Rig::with_store(store, Config::new());
    assert_eq!(rig.outbox.post(error("a")).unwrap(), Fate::Queued);
    assert_eq!(rig.outbox.post(error("b")).unwrap_err().kind(), Kind::QueueFull);
    assert_eq!(rig.lost("critical", DiscardReason::QueueOverflow), 1);
    let failure = rig.outbox.try_post(Parcel::new(error("c"))).unwrap_err();
    assert_eq!(failure.fault().kind(), Kind::QueueFull);
    assert_eq!(*failure.into_parcel().unwrap().payload(), error("c"));
    assert_eq!(rig.lost("critical", DiscardReason::QueueOverflow), 1, "who hands back records nothing");
    rig.assert_books();
    rig.flush().await;
    assert_eq!(rig.ids(), ["a"]);
    rig.assert_settled();
}

/// EN-6: what has nothing in it is not sent.
#[tokio::test(start_paused = true)]
async fn an_empty_payload_is_spent_at_once() {
    let rig = Rig::new(Config::new());
    assert_eq!(rig.outbox.post(Goods::nothing()).unwrap(), Fate::Spent);
    rig.flush().await;
    assert!(rig.ids().is_empty());
    rig.assert_settled();
}

/// TR-1: N deliveries run at once, no more and no fewer.
#[tokio::test(start_paused = true)]
async fn so_many_deliveries_run_at_once() {
    let rig = Rig::new(Config::new().concurrency(3));
    rig.mock.otherwise(Outcome::delivered().after(SECOND));
    rig.post_all((0..8).map(|id| error(format!("{id}"))));
    for running in [3, 3, 2] {
        settle().await;
        assert_eq!(rig.outbox.stats().in_flight, running);
        rig.assert_books();
        tokio::time::advance(SECOND).await;
    }
    rig.flush().await;
    assert_eq!(rig.times(), [0, 0, 0, 1000, 1000, 1000, 2000, 2000]);
    rig.assert_settled();
}

/// TP-1: while the inner service is not ready, parcels stay in the queue: they can be evicted, and a more urgent one
/// that comes later goes first.
#[tokio::test(start_paused = true)]
async fn readiness_is_asked_before_a_parcel_is_taken() {
    let answers = Answers::new(
        |parcel: Parcel<Goods>| {
            drop(parcel);
            Ok(Receipt::delivered())
        },
        || Failure::<Goods>::without_parcel(Fault::new(Kind::Other)),
    );
    let (probe, handle) = Probe::new(answers, 16);
    handle.set_gate(Gate::Pending);
    let store = MemoryStore::new().capacity(Capacity::new(2, 1 << 20));
    let (outbox, driver) = outbox(store, Config::new(), probe);
    tokio::spawn(driver);
    for id in 0..5 {
        outbox.post(log(format!("{id}"))).unwrap();
        settle().await;
    }
    assert_eq!((outbox.stats().queued(), outbox.stats().in_flight), (2, 0));
    assert_eq!(lost(&outbox, "low", DiscardReason::QueueOverflow), 3);
    assert_books(&outbox);
    handle.set_gate(Gate::Open);
    assert!(outbox.flush(SECOND).await.is_complete());
    let counts = handle.counts();
    assert_eq!((counts.unready_calls, counts.repeated_calls, counts.calls), (0, 0, 2));
    assert!(outbox.ledger().snapshot().is_settled());
}

/// TR-1: an idle outbox reserves nothing of a service that it shares with others.
#[tokio::test(start_paused = true)]
async fn an_idle_outbox_reserves_no_readiness() {
    let answers = Answers::new(
        |_: Parcel<Goods>| Ok(Receipt::delivered()),
        || Failure::<Goods>::without_parcel(Fault::new(Kind::Other)),
    );
    let (probe, handle) = Probe::new(answers, 1);
    let (outbox, driver) = outbox(MemoryStore::new(), Config::new(), probe);
    tokio::spawn(driver);
    settle().await;
    assert_eq!(handle.taken(), 0);
    outbox.post(error("a")).unwrap();
    assert!(outbox.flush(SECOND).await.is_complete());
    settle().await;
    assert_eq!((handle.taken(), handle.counts().calls), (0, 1));
}

/// OC-7: parcels of an earlier run leave 100 ms apart, live ones of the same lane are not delayed.
#[tokio::test(start_paused = true)]
async fn replayed_parcels_are_paced_and_live_ones_are_not() {
    let store = MemoryStore::new();
    for id in 0..4 {
        let meta = Meta { origin: Origin::Replayed, attempt: 1, ..Meta::default() };
        let parcel = Parcel::with_meta(error(format!("old {id}")), meta);
        assert!(store.append(parcel, 0, now()).is_ok());
    }
    let rig = Rig::with_store(store, Config::new());
    rig.assert_books();
    rig.post_all([error("live 0"), log("live 1")]);
    tokio::time::sleep(150 * MILLI).await;
    rig.post_all([error("live 2")]);
    tokio::time::sleep(500 * MILLI).await;
    let seen: Vec<_> = rig.ids().into_iter().zip(rig.times()).collect();
    let seen: Vec<_> = seen.iter().map(|(id, at)| (id.as_str(), *at)).collect();
    assert_eq!(
        seen,
        [
            ("old 0", 0),
            ("live 0", 0),
            ("live 1", 0),
            ("old 1", 100),
            ("live 2", 150),
            ("old 2", 200),
            ("old 3", 300)
        ]
    );
    rig.assert_settled();
}

/// TP-2: many quick deliveries do not keep the other tasks of the runtime from running.
#[tokio::test(start_paused = true)]
async fn a_long_queue_does_not_starve_other_tasks() {
    let rig = Rig::new(Config::new());
    rig.mock.otherwise(Outcome::delivered());
    rig.post_all((0..1000).map(|id| error(format!("{id}"))));
    let turns = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&turns);
    let other = tokio::spawn(std::future::poll_fn::<(), _>(move |cx| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    }));
    rig.flush().await;
    other.abort();
    let turns = turns.load(std::sync::atomic::Ordering::Relaxed);
    assert!(turns >= 1000 / 64, "only {turns} turns");
    rig.assert_settled();
}
