//! With a disk buffer: what a shutdown leaves behind is delivered by the next run.

use std::time::Duration;

use envoi::batch::{BatchBuildError, BatchBuilder, BreakerConfig, BreakerState};
use envoi::core::Clock;
use envoi::layers::TokioClock;
use envoi_testkit::ingest::{IngestServer, Step};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::support::{MILLI, PATIENCE, Told, account, listen};

/// A pace that does not hold tests up.
fn at(url: &str, dir: &tempfile::TempDir, told: &Told) -> BatchBuilder {
    envoi::batch(url).disk_buffer(dir.path().join("buffer")).on_error(listen(told))
}

/// BD-9, OC-1: nobody listens, the program ends; the next one delivers what is there, and nothing was reported as lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_shutdown_leaves_is_sent_by_the_next_run() {
    let (dir, told) = (tempfile::tempdir().unwrap(), Told::default());
    let server = IngestServer::start().await.unwrap();
    server.otherwise(Step::stall());
    let logger = at(&server.url(), &dir, &told).build().unwrap();
    for number in 0..45 {
        logger.log(&number).unwrap();
    }
    let outcome = logger.shutdown(300 * MILLI).await;
    assert_eq!((outcome.is_complete, outcome.delivered, outcome.lost, outcome.stored), (false, 0, 0, 45));
    assert!(told.lock().unwrap().is_empty(), "what is kept is not lost");
    assert_eq!(account(&logger).held(), Some(45));
    drop(logger);

    server.otherwise(Step::reply(StatusCode::OK));
    let logger = at(&server.url(), &dir, &told).build().unwrap();
    assert_eq!((account(&logger).posted, logger.disk_stats().unwrap().entries), (45, 3), "found is posted");
    logger.log("new").unwrap();
    let drained = logger.drain(PATIENCE).await;
    assert_eq!((drained.is_complete, drained.left, account(&logger).delivered), (true, 0, 46));
    let outcome = logger.shutdown(PATIENCE).await;
    assert_eq!((outcome.is_complete, account(&logger).held()), (true, Some(0)));
    assert!(told.lock().unwrap().is_empty());
}

/// BD-1: the attempts of all runs together are three, and what the retry gives up is not tried again by the queue.
#[tokio::test(flavor = "multi_thread")]
async fn three_attempts_in_all_runs() {
    let (dir, told) = (tempfile::tempdir().unwrap(), Told::default());
    let server = IngestServer::start().await.unwrap();
    let wait = HeaderValue::from_static("60");
    server.script([Step::reply(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, wait)]);
    server.otherwise(Step::reply(StatusCode::BAD_GATEWAY));
    let logger = at(&server.url(), &dir, &told).build().unwrap();
    logger.log("a").unwrap();
    logger.flush(Duration::from_millis(1)).await;
    server.wait_until(|summary| summary.requests == 1, PATIENCE).await.unwrap();
    let outcome = logger.shutdown(200 * MILLI).await;
    assert_eq!((outcome.stored, outcome.lost), (1, 0), "interrupted in its wait");
    drop(logger);

    let logger = at(&server.url(), &dir, &told).build().unwrap();
    assert!(logger.drain(PATIENCE).await.is_complete);
    assert_eq!((account(&logger).refused[&502], told.lock().unwrap().clone()), (1, vec![("other", 1)]));
    assert_eq!(server.requests().len(), 3);
    assert!(logger.shutdown(PATIENCE).await.is_complete);
}

/// BD-4: while the circuit is open what is on disk waits, and is neither sent nor lost; then it goes, behind one probe.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_loses_nothing() {
    let (dir, told) = (tempfile::tempdir().unwrap(), Told::default());
    let server = IngestServer::start().await.unwrap();
    server.script(vec![Step::reply(StatusCode::BAD_GATEWAY); 3]);
    server.otherwise(Step::reply(StatusCode::OK));
    let logger = at(&server.url(), &dir, &told)
        .attempts(1)
        .batch_events(1)
        .concurrency(4)
        .breaker(BreakerConfig::new().failures(2).cooldown(50 * MILLI))
        .build()
        .unwrap();
    for number in 0..2 {
        logger.log(&number).unwrap();
    }
    assert!(logger.flush(PATIENCE).await.is_complete);
    for number in 2..40 {
        logger.log(&number).unwrap();
    }
    assert!(logger.flush(PATIENCE).await.is_complete);
    assert_eq!((account(&logger).delivered, account(&logger).refused[&502]), (37, 3));
    assert_eq!((told.lock().unwrap().clone(), server.requests().len()), (vec![("other", 1); 3], 40));
    assert!(logger.shutdown(PATIENCE).await.is_complete);
}

/// BD-4, BD-9: the next run knows that the circuit is open; a shutdown does not wait for it in vain.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_knows_that_the_circuit_is_open() {
    const HOUR: Duration = Duration::from_secs(3600);
    let (dir, told) = (tempfile::tempdir().unwrap(), Told::default());
    let server = IngestServer::start().await.unwrap();
    server.script(vec![Step::reply(StatusCode::BAD_GATEWAY); 2]);
    server.otherwise(Step::reply(StatusCode::OK));
    let run = |cooldown: Duration| {
        at(&server.url(), &dir, &told)
            .attempts(1)
            .batch_events(1)
            .breaker(BreakerConfig::new().failures(2).cooldown(cooldown))
            .build()
            .unwrap()
    };
    let logger = run(HOUR);
    (0..5).for_each(|number| logger.log(&number).unwrap());
    server.wait_until(|summary| summary.requests == 2, PATIENCE).await.unwrap();
    while !matches!(logger.stats().breaker, BreakerState::Open { .. }) {
        tokio::task::yield_now().await;
    }
    let outcome = logger.shutdown(HOUR / 2).await;
    assert_eq!((outcome.is_complete, outcome.stored, account(&logger).refused[&502]), (false, 3, 2));
    drop(logger);

    let logger = run(HOUR);
    let BreakerState::Open { until } = logger.stats().breaker else { panic!("it has forgotten") };
    assert!(until <= TokioClock.now() + HOUR);
    logger.log("more").unwrap();
    assert_eq!(logger.shutdown(HOUR / 2).await.stored, 4);
    drop(logger);
    assert_eq!(server.requests().len(), 2, "nothing was sent");

    let logger = run(MILLI);
    let drained = logger.drain(PATIENCE).await;
    assert_eq!((drained.is_complete, account(&logger).delivered, server.requests().len()), (true, 4, 6));
    assert!(matches!(logger.stats().breaker, BreakerState::Closed { failures: 0 }));
    assert_eq!(*told.lock().unwrap(), [("other", 1); 2]);
    assert!(logger.shutdown(PATIENCE).await.is_complete);
}

/// BD-8: what gives way in the disk buffer is reported as well.
#[tokio::test(flavor = "multi_thread")]
async fn what_gives_way_on_disk_is_reported() {
    let (dir, told) = (tempfile::tempdir().unwrap(), Told::default());
    let config = envoi::spool::SpoolConfig::new().max_count(2);
    let logger = envoi::batch("http://127.0.0.1:9/")
        .disk_buffer_with(dir.path(), config)
        .on_error(listen(&told))
        .sink(envoi_testkit::mock::MockDeliver::answering(envoi_testkit::mock::Outcome::never()))
        .build()
        .unwrap();
    for number in 0..120 {
        logger.log(&number).unwrap();
    }
    logger.flush(100 * MILLI).await;
    logger.shutdown(200 * MILLI).await;
    let (told, account) = (told.lock().unwrap().clone(), account(&logger));
    let overflow: u64 = told.iter().map(|(_, items)| items).sum();
    assert!(told.iter().all(|(name, _)| *name == "overflow") && told.len() < 6, "{told:?}");
    assert!(overflow >= 60 && overflow == account.lost_total(), "{told:?} {account:?}");
    assert_eq!(account.held(), Some(120 - overflow));
}

/// OC-10: a directory that cannot be used is an error at the start, in words.
#[test]
fn a_bad_directory_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = envoi::batch("http://127.0.0.1:9/").disk_buffer(file.path()).build().unwrap_err();
    assert!(matches!(error, BatchBuildError::Disk(_)));
}
