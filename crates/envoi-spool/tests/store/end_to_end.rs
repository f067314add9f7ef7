//! The outbox over a spool, over restarts.

use std::sync::Arc;
use std::time::Duration;

use envoi_core::{DiscardReason, Fate, Kind, Lane, Ledger, LedgerSnapshot};
use envoi_layers::outbox::{Backoff, Outbox, OutboxConfig, outbox};
use envoi_spool::Spool;
use envoi_testkit::mock::{MockDeliver, Outcome};
use envoi_testkit::{Goods, GoodsCategory};

use crate::support::{SECOND, config, dir, error, goods, log};

type Snapshot = LedgerSnapshot<GoodsCategory>;

/// An outbox over the spool in `path`, above a service that answers so.
fn start(
    path: &std::path::Path,
    answer: Outcome,
) -> (Outbox<Goods>, MockDeliver<Goods>, Arc<Spool<Goods>>, tokio::task::JoinHandle<()>) {
    let spool = Arc::new(Spool::open(path, config()).unwrap());
    let mock = MockDeliver::answering(answer);
    let config = OutboxConfig::new()
        .ledger(Ledger::new())
        .replay_pace(Duration::ZERO)
        .backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(5)));
    let (outbox, driver) = outbox(Arc::clone(&spool), config, mock.clone());
    (outbox, mock, spool, tokio::spawn(driver))
}

fn sum(snapshot: &Snapshot, part: impl Fn(&envoi_core::Account) -> u64) -> u64 {
    snapshot.iter().map(|(_, account)| part(account)).sum()
}

fn assert_books(outbox: &Outbox<Goods>) {
    let snapshot = outbox.ledger().snapshot();
    assert!(snapshot.balances(), "{snapshot:#?}");
    let mut held = 0;
    outbox.held(|_, quantity| held += quantity);
    assert_eq!(sum(&snapshot, |account| account.held().unwrap()), held, "{snapshot:#?}");
}

/// OC-1, OC-4, OC-9, CR-1: the server is away, the process ends, the next one delivers everything; its books take on what
/// it found, and both balance.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_posts_the_next_delivers() {
    let dir = dir();
    let (outbox, mock, _, driver) = start(dir.path(), Outcome::failure(Kind::Connect));
    for id in 0..20 {
        outbox.post(log(format!("l{id}")).and("attachment", 3)).unwrap();
        outbox.post(error(format!("e{id}"))).unwrap();
    }
    mock.until_seen(60).await;
    let closed = outbox.close(SECOND / 10).await;
    assert_eq!((closed.kept, closed.lost), (40, 0), "{closed:?}");
    assert_books(&outbox);
    let before = outbox.ledger().snapshot();
    assert_eq!(sum(&before, |account| account.held().unwrap()), 100);
    drop(outbox);
    driver.await.unwrap();

    let (outbox, mock, spool, _driver) = start(dir.path(), Outcome::delivered());
    assert_eq!(sum(&outbox.ledger().snapshot(), |account| account.posted), 100);
    let seen = mock.until_seen(40).await;
    assert!(seen.iter().any(|seen| seen.attempt > 0), "attempts are counted over runs");
    while !outbox.ledger().snapshot().is_settled() {
        tokio::task::yield_now().await;
    }
    assert_books(&outbox);
    let mut ids: Vec<_> = mock.seen().into_iter().filter_map(|seen| seen.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), mock.seen().len(), spool.stats().entries), (40, 40, 0));
}

/// OC-1: a post that waits for the disk, from a task and from a thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_post_can_wait_for_the_disk() {
    let dir = dir();
    let (outbox, _, spool, _driver) = start(dir.path(), Outcome::never());
    assert_eq!(outbox.post_durable(error("a")).await.unwrap(), Fate::Stored);
    assert!(spool.stats().syncs > 0);
    let blocking = outbox.clone();
    let fate =
        tokio::task::spawn_blocking(move || blocking.post_durable_blocking(error("b"), 20 * SECOND)).await;
    assert_eq!(fate.unwrap().unwrap(), Fate::Stored);
    assert_eq!(spool.stats().on_disk, 2);
    drop((outbox, spool));
}

/// OC-1, decision 16: deliveries that a close interrupts are not lost, for the disk has them.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_deliveries_are_kept() {
    let dir = dir();
    let (outbox, mock, _, driver) = start(dir.path(), Outcome::never());
    for id in 0..5 {
        outbox.post(goods(Lane::High, id.to_string())).unwrap();
    }
    mock.until_seen(5).await;
    let closed = outbox.close(SECOND / 20).await;
    assert_eq!((closed.kept, closed.lost), (5, 0), "{closed:?}");
    assert_books(&outbox);
    drop(outbox);
    driver.await.unwrap();
    let (outbox, mock, ..) = start(dir.path(), Outcome::delivered());
    mock.until_seen(5).await;
    assert!(outbox.close(20 * SECOND).await.is_complete);
}

/// Decision 17: the bound of 20 attempts counts those of earlier runs; then it is a `network_error` and gone from the disk.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_of_all_runs_are_bounded() {
    let dir = dir();
    let (outbox, mock, _, driver) = start(dir.path(), Outcome::failure(Kind::Connect));
    outbox.post(error("a")).unwrap();
    mock.until_seen(5).await;
    let closed = outbox.close(SECOND / 20).await;
    assert_eq!((closed.kept, closed.lost), (1, 0), "{closed:?}");
    drop(outbox);
    driver.await.unwrap();
    let before = mock.seen().len();

    let (outbox, mock, spool, _driver) = start(dir.path(), Outcome::failure(Kind::Connect));
    while !outbox.ledger().snapshot().is_settled() {
        tokio::task::yield_now().await;
    }
    assert_books(&outbox);
    let lost = sum(&outbox.ledger().snapshot(), |account| {
        account.lost.get(&DiscardReason::NetworkError).copied().unwrap_or_default()
    });
    assert_eq!((lost, spool.stats().entries), (1, 0));
    let attempts = before + mock.seen().len();
    assert!(attempts <= 20, "{attempts}");
    assert!(attempts >= 19, "one that a close interrupted may not have been counted: {attempts}");
    assert!(mock.seen().iter().all(|seen| seen.attempt >= 4), "the count goes on where it was");
}

/// Decision 17: three resets in a row end an entry with `send_error`, and the next run does not find it.
#[tokio::test(flavor = "multi_thread")]
async fn three_resets_end_an_entry() {
    let dir = dir();
    let (outbox, mock, spool, driver) = start(dir.path(), Outcome::failure(Kind::Reset));
    outbox.post(error("a")).unwrap();
    while !outbox.ledger().snapshot().is_settled() {
        tokio::task::yield_now().await;
    }
    assert_eq!((mock.seen().len(), spool.stats().entries), (3, 0));
    let lost = sum(&outbox.ledger().snapshot(), |account| {
        account.lost.get(&DiscardReason::SendError).copied().unwrap_or_default()
    });
    assert_eq!(lost, 1);
    outbox.close(SECOND).await;
    drop((outbox, spool));
    driver.await.unwrap();
    let (outbox, ..) = start(dir.path(), Outcome::delivered());
    assert_eq!(sum(&outbox.ledger().snapshot(), |account| account.posted), 0);
}

/// TR-2, OC-1: a flush does not wait for what an earlier run left, a drain does; both from a task and from a thread, and
/// neither longer than it may.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_waits_for_what_an_earlier_run_left() {
    let dir = dir();
    let (outbox, mock, _, driver) = start(dir.path(), Outcome::failure(Kind::Connect));
    assert!(outbox.drain(20 * SECOND).await.is_complete(), "nothing is there");
    for id in 0..20 {
        outbox.post(log(id.to_string())).unwrap();
    }
    mock.until_seen(1).await;
    assert_eq!(outbox.drain(SECOND / 50).await.left, 20, "nobody takes them");
    outbox.close(SECOND / 50).await;
    assert_eq!(outbox.drain(20 * SECOND).await.left, 20, "nobody is left who could send them");
    drop(outbox);
    driver.await.unwrap();

    let (outbox, mock, ..) = start(dir.path(), Outcome::delivered());
    assert!(outbox.flush(20 * SECOND).await.is_complete(), "nothing was posted");
    assert!(outbox.drain(20 * SECOND).await.is_complete());
    assert_eq!(mock.seen().len(), 20);
    assert_books(&outbox);
    // What is posted meanwhile is waited for as well.
    let blocking = outbox.clone();
    outbox.post(log("a")).unwrap();
    let drained = tokio::task::spawn_blocking(move || blocking.drain_blocking(20 * SECOND)).await.unwrap();
    assert_eq!((drained.left, mock.seen().len()), (0, 21));
}
