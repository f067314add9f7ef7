//! How it ends: in time, with nothing unaccounted for.

use envoi::Kind;
use envoi_testkit::mock::Answer;

use crate::support::{MILLI, PATIENCE, Rig, SECOND, Told, account, listen, status};

/// BD-9: a shutdown delivers what is there, also what does not fill a batch, and takes nothing more.
#[tokio::test(start_paused = true)]
async fn a_shutdown_delivers_what_waits() {
    let rig = Rig::new([]);
    rig.log(0, 45);
    let outcome = rig.logger.shutdown(PATIENCE).await;
    assert!(outcome.is_complete);
    assert_eq!((outcome.delivered, outcome.lost, outcome.stored, outcome.left), (45, 0, 0, 0));
    assert_eq!((rig.sizes(), rig.elapsed().is_zero()), (vec![20, 20, 5], true));
    let refused = rig.logger.log("late").unwrap_err();
    assert_eq!(refused.kind(), Kind::Closed);
    assert!(rig.logger.stats().is_closed);
    assert_eq!((rig.account().lost_total(), rig.account().held()), (1, Some(0)));
    assert!(rig.told().is_empty(), "whoever logged it was told");
}

/// BD-9: at the deadline what is on its way and what waits is dropped and reported, and the books balance.
#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_rest_is_dropped_and_reported() {
    let rig = Rig::new([]);
    rig.mock.otherwise(Answer::never());
    rig.log(0, 45);
    rig.mock.until_seen(1).await;
    let outcome = rig.logger.shutdown(SECOND).await;
    assert!(rig.elapsed() <= SECOND, "{:?}", rig.elapsed());
    assert_eq!((outcome.is_complete, outcome.delivered, outcome.lost, outcome.left), (false, 0, 45, 0));
    assert_eq!(rig.told(), [("other", 20), ("overflow", 25)]);
    assert_eq!(rig.account().held(), Some(0));
}

/// BD-9: a batch that waits for its next attempt does not hold a shutdown up.
#[tokio::test(start_paused = true)]
async fn a_wait_is_interrupted() {
    let retry_after = http::HeaderValue::from_static("60");
    let rig = Rig::new([status(429).header(http::header::RETRY_AFTER, retry_after)]);
    rig.log(0, 20);
    rig.mock.until_seen(1).await;
    let outcome = rig.logger.shutdown(SECOND).await;
    assert!(rig.elapsed() <= SECOND);
    assert_eq!((outcome.lost, rig.told()), (20, vec![("other", 20)]));
    assert_eq!(rig.times(), [0]);
}

/// BD-9: to shut down again, or at once from several places, is harmless, and reports nothing twice.
#[tokio::test(start_paused = true)]
async fn a_shutdown_is_idempotent() {
    let rig = Rig::new([]);
    rig.mock.otherwise(Answer::never());
    rig.log(0, 25);
    let other = rig.logger.clone();
    let (one, two) = tokio::join!(rig.logger.shutdown(SECOND), other.shutdown(SECOND));
    assert!(!one.is_complete && !two.is_complete);
    let again = rig.logger.shutdown(SECOND).await;
    assert_eq!((again.delivered, again.lost, again.left), (0, 0, 0));
    assert!(rig.elapsed() <= 2 * SECOND);
    let mut told = rig.told();
    told.sort_unstable();
    assert_eq!(told, [("other", 20), ("overflow", 5)]);
    assert!(rig.logger.flush(SECOND).await.is_complete, "there is nothing left to flush");
}

/// BD-9: a service of the user that hangs, whatever is cancelled, is cut off, reported and booked.
#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_is_cut_off() {
    let told = Told::default();
    let logger = envoi::batch("")
        .sink(tower::service_fn(|parcel: envoi::core::Parcel<envoi::batch::Batch>| async move {
            std::future::pending::<()>().await;
            drop(parcel);
            Ok::<_, envoi::core::Failure<envoi::batch::Batch>>(envoi::core::Receipt::delivered())
        }))
        .on_error(listen(&told))
        .build_on(&tokio::runtime::Handle::current())
        .unwrap();
    logger.log("a").unwrap();
    logger.flush(10 * MILLI).await;
    logger.log("b").unwrap();
    let outcome = logger.shutdown(SECOND).await;
    assert_eq!((outcome.is_complete, outcome.lost), (false, 2));
    assert_eq!((account(&logger).held(), told.lock().unwrap().len()), (Some(0), 2));
}

/// BD-9, TR-2: dropping the last handle sends what waits, in the background.
#[tokio::test(start_paused = true)]
async fn dropping_the_handle_still_sends() {
    let Rig { mock, logger, told, .. } = Rig::new([status(500)]);
    for number in 0..25 {
        logger.log(&number).unwrap();
    }
    drop(logger);
    mock.until_seen(3).await;
    assert_eq!(mock.seen().len(), 3, "one of them twice");
    assert!(told.lock().unwrap().is_empty());
}

/// BD-9: a driver that is dropped, with its runtime for example, accounts for everything, and nobody waits for it.
#[tokio::test(start_paused = true)]
async fn a_dropped_driver_accounts_for_everything() {
    let told = Told::default();
    let (logger, driver) =
        envoi::batch("http://logs.invalid/").on_error(listen(&told)).build_driver().unwrap();
    for number in 0..30 {
        logger.log(&number).unwrap();
    }
    let never_run = logger.flush(SECOND).await;
    assert_eq!((never_run.is_complete, never_run.left), (false, 30));
    drop(driver);
    assert_eq!(account(&logger).lost_total(), 30);
    assert_eq!(*told.lock().unwrap(), [("overflow", 30)]);
    assert!(logger.log("more").is_err());
    assert!(logger.flush(PATIENCE).await.is_complete);
    assert!(logger.shutdown(PATIENCE).await.left == 0);
}

/// BD-9: a transport whose driver was never run can be shut down, and has lost what it had.
#[tokio::test(start_paused = true)]
async fn without_a_driver_a_shutdown_returns() {
    let told = Told::default();
    let (logger, _driver) =
        envoi::batch("http://logs.invalid/").on_error(listen(&told)).build_driver().unwrap();
    logger.log("a").unwrap();
    let outcome = logger.shutdown(SECOND).await;
    assert_eq!((outcome.is_complete, outcome.lost, outcome.left), (false, 1, 0));
    assert_eq!(*told.lock().unwrap(), [("overflow", 1)]);
}

/// BD-9: a flush from within the transport, by a panic hook or a handler, does not wait for itself.
#[test]
fn a_flush_from_within_does_not_wait_for_itself() {
    let (own, told) =
        (std::sync::Arc::new(std::sync::OnceLock::<envoi::BatchTransport>::new()), Told::default());
    let (handle, note) = (std::sync::Arc::clone(&own), Told::clone(&told));
    let logger = envoi::batch("")
        .sink(envoi_testkit::mock::MockDeliver::answering(envoi_testkit::mock::Outcome::failure(
            Kind::Rejected,
        )))
        .on_error(move |error| {
            let outcome = handle.get().unwrap().flush_blocking(PATIENCE);
            note.lock()
                .unwrap()
                .push((if outcome.is_complete { "complete" } else { "not yet" }, error.items()));
        })
        .build()
        .unwrap();
    own.set(logger.clone()).unwrap();
    logger.log("a").unwrap();
    assert!(logger.flush_blocking(PATIENCE).is_complete);
    assert_eq!(*told.lock().unwrap(), [("not yet", 1)]);
}

/// BD-8, BD-9: threads without a runtime can do everything.
#[test]
fn threads_without_a_runtime_can_do_everything() {
    let logger = envoi::batch("").sink(envoi_testkit::mock::MockDeliver::new()).build().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let logger = logger.clone();
            std::thread::spawn(move || (0..100).for_each(|number| logger.log(&number).unwrap()))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(logger.flush_blocking(PATIENCE).is_complete);
    logger.log("last").unwrap();
    let outcome = logger.shutdown_blocking(PATIENCE);
    assert!(outcome.is_complete);
    assert_eq!((account(&logger).delivered, account(&logger).held()), (401, Some(0)));
}
