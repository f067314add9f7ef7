//! Close: drains, interrupts, drops, and accounts for everything.

use std::time::Duration;

use envoi_core::{DiscardReason, Failure, Fault, Kind, Parcel, Receipt};
use envoi_layers::outbox::{MemoryStore, Outbox, outbox};
use envoi_testkit::Goods;
use envoi_testkit::mock::{MockDeliver, Outcome};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use crate::support::*;

/// TR-2: a close drains, ends the driver, and then refuses.
#[tokio::test(start_paused = true)]
async fn a_close_drains_and_then_refuses() {
    let rig = Rig::new(Config::new().concurrency(1));
    rig.post_all((0..5).map(|id| error(format!("{id}"))));
    let closed = rig.outbox.close(10 * SECOND).await;
    assert!(closed.is_complete);
    assert_eq!((closed.discharged, closed.lost, closed.kept, closed.in_flight), (5, 0, 0, 0));
    assert_eq!(rig.elapsed(), 50 * MILLI, "no longer than it takes");
    assert_eq!(rig.outbox.post(error("late")).unwrap_err().kind(), Kind::Closed);
    assert_eq!(rig.lost("critical", DiscardReason::QueueOverflow), 1);
    let failure = rig.outbox.try_post(Parcel::new(error("later"))).unwrap_err();
    assert_eq!(*failure.parcel().unwrap().payload(), error("later"));
    assert!(rig.outbox.stats().is_closed);
    rig.assert_settled();
    rig.driver.await.unwrap();
}

/// TR-2, CR-3, decision 16: above a hung service a close returns in time. What was in flight is a `network_error`,
/// what was queued a `queue_overflow`.
#[tokio::test(start_paused = true)]
async fn a_close_of_a_hung_service_counts_everything() {
    let rig = Rig::new(Config::new().concurrency(2));
    rig.mock.otherwise(Outcome::never());
    rig.post_all((0..5).map(|id| error(format!("{id}"))));
    let closed = rig.outbox.close(4 * SECOND).await;
    assert!(rig.elapsed() <= 4 * SECOND, "{:?}", rig.elapsed());
    assert!(!closed.is_complete);
    assert_eq!((closed.discharged, closed.lost, closed.in_flight), (0, 5, 0));
    assert_eq!(rig.lost("critical", DiscardReason::NetworkError), 2);
    assert_eq!(rig.lost("critical", DiscardReason::QueueOverflow), 3);
    rig.assert_settled();
    rig.driver.await.unwrap();
}

/// A service that holds its parcel until it is told to stop, and then hands it back.
fn obedient(
    halt: CancellationToken,
) -> impl envoi_core::Deliver<Goods, Error = Failure<Goods>, Future: Send> + Send + 'static {
    service_fn(move |parcel: Parcel<Goods>| {
        let halt = halt.clone();
        async move {
            halt.cancelled().await;
            Err::<Receipt, _>(Failure::new(Fault::new(Kind::Halted), parcel))
        }
    })
}

/// TR-2, decision 16: shortly before its end a close interrupts, and does not wait longer than that takes.
#[tokio::test(start_paused = true)]
async fn a_close_interrupts_what_can_be_interrupted() {
    let halt = CancellationToken::new();
    let rig = Rig::above(obedient(halt.clone()), Config::new().concurrency(1).halt_token(halt));
    rig.post_all([error("in flight"), log("queued")]);
    let closed = rig.outbox.close(SECOND).await;
    assert_eq!(rig.elapsed(), 900 * MILLI, "a tenth is kept for this");
    assert_eq!((closed.is_complete, closed.lost), (false, 2));
    assert_eq!(rig.lost("critical", DiscardReason::NetworkError), 1);
    assert_eq!(rig.lost("low", DiscardReason::QueueOverflow), 1);
    rig.assert_settled();
}

/// TR-2, decision 16: the grace is at most 250 ms.
#[tokio::test(start_paused = true)]
async fn the_grace_is_bounded() {
    let halt = CancellationToken::new();
    let rig = Rig::above(obedient(halt.clone()), Config::new().halt_token(halt));
    rig.post_all([error("a")]);
    rig.outbox.close(60 * SECOND).await;
    assert_eq!(rig.elapsed(), 60 * SECOND - 250 * MILLI);
    rig.assert_settled();
}

/// TR-2: a network error after the interruption is not waited for.
#[tokio::test(start_paused = true)]
async fn what_fails_after_the_interruption_is_lost_to_the_network() {
    let halt = CancellationToken::new();
    let stop = halt.clone();
    let rig = Rig::above(
        service_fn(move |parcel: Parcel<Goods>| {
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                Err::<Receipt, _>(Failure::new(Fault::new(Kind::Io), parcel))
            }
        }),
        Config::new().halt_token(halt),
    );
    rig.post_all([error("a")]);
    rig.outbox.close(SECOND).await;
    assert_eq!(rig.lost("critical", DiscardReason::NetworkError), 1);
    rig.assert_settled();
}

/// TR-2: a close does not wait for what cannot be sent in time anyway: a back-off or a limit that ends later.
#[tokio::test(start_paused = true)]
async fn a_close_does_not_wait_in_vain() {
    let rig = Rig::new(Config::new().seed(1));
    rig.mock.otherwise(Outcome::failure(Kind::Connect));
    rig.post_all([error("a")]);
    let closed = rig.outbox.close(2 * SECOND).await;
    assert_eq!(rig.elapsed(), Duration::ZERO);
    assert_eq!((closed.is_complete, closed.lost), (false, 1));
    assert_eq!(rig.lost("critical", DiscardReason::QueueOverflow), 1);
    rig.assert_settled();

    let table = Table::default();
    let rig = Rig::new(Config::new().limits(table.clone()));
    rig.post_all([error("a"), log("b")]);
    table.limit(None, 60 * SECOND);
    let closed = rig.outbox.close(5 * SECOND).await;
    assert_eq!((rig.elapsed(), closed.lost), (Duration::ZERO, 2));
    rig.assert_settled();
}

/// TR-2: a limit that ends in time is waited for.
#[tokio::test(start_paused = true)]
async fn a_close_waits_for_what_can_still_go() {
    let table = Table::default();
    let rig = Rig::new(Config::new().limits(table.clone()));
    rig.post_all([error("a"), log("b")]);
    table.limit(Some("low"), 3 * SECOND);
    let closed = rig.outbox.close(5 * SECOND).await;
    assert_eq!((rig.elapsed(), closed.is_complete, closed.discharged), (3010 * MILLI, true, 2));
    rig.assert_settled();
}

/// TR-2: closing again, at the same time or later, is harmless; the shortest time counts for all.
#[tokio::test(start_paused = true)]
async fn closes_may_overlap() {
    let rig = Rig::new(Config::new());
    rig.mock.otherwise(Outcome::never());
    rig.post_all([error("a")]);
    let (long, short, flush) = tokio::join!(
        rig.outbox.close(60 * SECOND),
        rig.outbox.close(2 * SECOND),
        rig.outbox.flush(30 * SECOND)
    );
    assert!(rig.elapsed() <= 2 * SECOND);
    assert_eq!(long, short);
    assert_eq!((long.lost, flush.left), (1, 0));
    assert_eq!(rig.outbox.close(60 * SECOND).await, long);
    assert!(rig.elapsed() <= 2 * SECOND, "the third had nothing to do");
    rig.assert_settled();
}

/// TR-2: no time at all still closes and accounts for what is queued.
#[tokio::test(start_paused = true)]
async fn a_close_without_time_accounts_for_the_queue() {
    let rig = Rig::new(Config::new());
    rig.post_all([error("a"), error("b")]);
    let closed = rig.outbox.close(Duration::ZERO).await;
    assert_eq!((closed.lost, closed.in_flight), (2, 0));
    rig.driver.await.unwrap();
    assert_eq!(lost(&rig.outbox, "critical", DiscardReason::QueueOverflow), 2);
    assert!(rig.mock.seen().is_empty());
    assert_books(&rig.outbox);
}

/// TR-2: a driver that never runs cannot keep a close, and the queue is accounted for; so is what it holds when it is
/// dropped.
#[tokio::test(start_paused = true)]
async fn a_close_without_a_running_driver_returns() {
    let mock = MockDeliver::answering(Outcome::never());
    let (outbox, mut driver) = outbox(MemoryStore::<Goods>::new(), Config::new().concurrency(1), mock);
    outbox.post(error("in flight")).unwrap();
    outbox.post(error("queued")).unwrap();
    assert!(!is_ready(&mut driver).await);
    let before = tokio::time::Instant::now();
    let closed = outbox.close(SECOND).await;
    assert_eq!(before.elapsed(), SECOND);
    assert_eq!((closed.is_complete, closed.lost, closed.in_flight), (false, 1, 1));
    assert_books(&outbox);
    drop(driver);
    assert_eq!(lost(&outbox, "critical", DiscardReason::NetworkError), 1);
    assert!(outbox.ledger().snapshot().is_settled());
    assert_books(&outbox);
}

/// TR-2, decision 16: dropping the driver drops what runs, accounts for all, and refuses what is posted later.
#[tokio::test(start_paused = true)]
async fn a_dropped_driver_accounts_for_everything() {
    let rig = Rig::new(Config::new().concurrency(2));
    rig.mock.otherwise(Outcome::never());
    rig.post_all((0..5).map(|id| error(format!("{id}"))));
    settle().await;
    rig.driver.abort();
    settle().await;
    assert_eq!(rig.lost("critical", DiscardReason::NetworkError), 2);
    assert_eq!(rig.lost("critical", DiscardReason::QueueOverflow), 3);
    assert_eq!(rig.outbox.post(error("late")).unwrap_err().kind(), Kind::Closed);
    assert!(is_ready(rig.outbox.flush(SECOND)).await && is_ready(rig.outbox.close(SECOND)).await);
    rig.assert_settled();
}

/// TR-2: when the last handle is dropped the driver delivers what it can and ends.
#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_drains() {
    let rig = Rig::new(Config::new().concurrency(1));
    let ledger = rig.outbox.ledger().clone();
    rig.post_all((0..3).map(|id| error(format!("{id}"))));
    let Rig { outbox, mock, driver, .. } = rig;
    let clone: Outbox<Goods> = outbox.clone();
    drop(outbox);
    tokio::time::sleep(SECOND).await;
    assert!(!driver.is_finished(), "one handle is left");
    clone.post(error("last")).unwrap();
    drop(clone);
    driver.await.unwrap();
    assert_eq!(mock.seen().len(), 4);
    assert!(ledger.snapshot().is_settled());
}

/// TR-2: the linger is bounded.
#[tokio::test(start_paused = true)]
async fn a_driver_without_handles_ends_in_time() {
    let rig = Rig::new(Config::new().linger(SECOND));
    let ledger = rig.outbox.ledger().clone();
    rig.mock.otherwise(Outcome::never());
    rig.post_all([error("a")]);
    settle().await;
    let start = tokio::time::Instant::now();
    let Rig { outbox, driver, .. } = rig;
    drop(outbox);
    driver.await.unwrap();
    assert!(start.elapsed() <= SECOND);
    assert!(ledger.snapshot().is_settled());
}
