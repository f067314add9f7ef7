//! Flush: waits for what came before, and always returns.

use envoi_core::Kind;
use envoi_layers::outbox::{MemoryStore, outbox};
use envoi_testkit::Goods;
use envoi_testkit::mock::{MockDeliver, Outcome};

use crate::support::*;

/// TR-2: a flush waits for what was posted before it, and not for what is posted meanwhile.
#[tokio::test(start_paused = true)]
async fn a_flush_ends_under_constant_load() {
    let rig = Rig::new(Config::new().concurrency(1));
    rig.mock.otherwise(Outcome::delivered().after(100 * MILLI));
    rig.post_all((0..5).map(|id| error(format!("{id}"))));
    let poster = {
        let outbox = rig.outbox.clone();
        tokio::spawn(async move {
            loop {
                outbox.post(error("load")).unwrap();
                tokio::time::sleep(10 * MILLI).await;
            }
        })
    };
    assert!(rig.outbox.flush(60 * SECOND).await.is_complete());
    assert_eq!(rig.elapsed(), 500 * MILLI);
    assert!(rig.outbox.stats().queued() > 10, "the load goes on");
    poster.abort();
    rig.flush().await;
    rig.assert_settled();
}

/// TR-2: an empty outbox has nothing to wait for.
#[tokio::test(start_paused = true)]
async fn a_flush_of_nothing_returns_at_once() {
    let rig = Rig::new(Config::new());
    assert!(is_ready(rig.outbox.flush(SECOND)).await);
    rig.post_all([error("a")]);
    rig.flush().await;
    assert!(is_ready(rig.outbox.flush(SECOND)).await);
    rig.assert_settled();
}

/// TR-2: above a server that hangs a flush returns at its time and says what is left.
#[tokio::test(start_paused = true)]
async fn a_flush_of_a_hung_service_returns_in_time() {
    let rig = Rig::new(Config::new().concurrency(2));
    rig.mock.otherwise(Outcome::never());
    rig.post_all((0..5).map(|id| error(format!("{id}"))));
    let flushed = rig.outbox.flush(3 * SECOND).await;
    assert_eq!((flushed.left, rig.elapsed()), (5, 3 * SECOND));
    rig.assert_books();
}

/// TR-2: a driver that never runs does not make a flush hang, one that is dropped ends it at once.
#[tokio::test(start_paused = true)]
async fn a_flush_without_a_driver_returns() {
    let (outbox, driver) = outbox(MemoryStore::<Goods>::new(), Config::new(), MockDeliver::new());
    outbox.post(error("a")).unwrap();
    assert_eq!(outbox.flush(SECOND).await.left, 1);
    let flush = {
        let outbox = outbox.clone();
        tokio::spawn(async move { outbox.flush(3600 * SECOND).await })
    };
    settle().await;
    assert!(!flush.is_finished());
    let before = tokio::time::Instant::now();
    drop(driver);
    flush.await.unwrap();
    assert!(is_ready(outbox.flush(SECOND)).await);
    assert_eq!(before.elapsed(), std::time::Duration::ZERO);
    assert_books(&outbox);
    assert!(outbox.ledger().snapshot().is_settled());
}

/// TR-2, OC-6: a flush tries what waits for its back-off at once, once.
#[tokio::test(start_paused = true)]
async fn a_flush_hurries_once() {
    let rig = Rig::new(Config::new().seed(1));
    rig.mock.otherwise(Outcome::failure(Kind::Connect));
    rig.post_all([error("a")]);
    tokio::time::sleep(SECOND).await;
    assert_eq!(rig.outbox.flush(2 * SECOND).await.left, 1);
    assert_eq!(rig.times(), [0, 1000]);
    rig.assert_books();
}

/// TR-2: flushes at the same time all return, each for its own time; a dropped one disturbs nobody.
#[tokio::test(start_paused = true)]
async fn concurrent_flushes_all_return() {
    let rig = Rig::new(Config::new());
    rig.mock.otherwise(Outcome::delivered().after(SECOND));
    rig.post_all([error("a")]);
    assert!(!is_ready(rig.outbox.flush(60 * SECOND)).await);
    let (short, long, longer) = tokio::join!(
        rig.outbox.flush(500 * MILLI),
        rig.outbox.flush(5 * SECOND),
        rig.outbox.flush(9 * SECOND)
    );
    assert_eq!((short.left, long.left, longer.left), (1, 0, 0));
    assert_eq!(rig.elapsed(), SECOND);
    rig.assert_settled();
}
