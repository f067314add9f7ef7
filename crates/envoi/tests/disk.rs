//! The preset with a disk buffer, against the ingest server, over restarts.
#![cfg(feature = "spool")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::time::Duration;

use envoi::{BuildError, DataCategory, Envelope, Fate, Item, Transport};
use envoi_core::{Clock, SystemClock};
use envoi_testkit::ingest::{IngestServer, Step};
use http::{HeaderName, HeaderValue, StatusCode};

const SECOND: Duration = Duration::from_secs(1);

fn event() -> Envelope {
    Envelope::new().with_item(Item::event(r#"{"message":"hello"}"#)).unwrap()
}

fn account(transport: &Transport) -> envoi::core::Account {
    transport.ledger().get(&DataCategory::Error).cloned().unwrap_or_default()
}

/// OC-1, OC-4, CR-1: nobody listens, the process ends; the next one delivers what the first posted, and the books of both
/// balance.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_took_is_sent_by_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("buffer");
    let transport = envoi::sentry("http://public@127.0.0.1:9/1").unwrap().disk_buffer(&path).build().unwrap();
    for _ in 0..3 {
        assert_eq!(transport.send(event()).unwrap(), Fate::Stored);
    }
    assert_eq!(transport.send_durable(event()).await.unwrap(), Fate::Stored);
    assert_eq!(transport.disk_stats().unwrap().entries, 4);
    let closed = transport.close(SECOND / 10).await;
    assert_eq!((closed.kept, closed.lost), (4, 0), "{closed:?}");
    assert_eq!(account(&transport).held(), Some(4));
    drop(transport);

    let server = IngestServer::start().await.unwrap();
    let transport = envoi::sentry(&server.dsn()).unwrap().disk_buffer(&path).build().unwrap();
    assert_eq!(account(&transport).posted, 4, "found is posted");
    assert!(transport.drain(20 * SECOND).await.is_complete());
    assert_eq!((account(&transport).delivered, server.envelopes().len()), (4, 4));
    assert!(transport.close(5 * SECOND).await.is_complete);
}

/// OC-4, TR-2: a program whose runs are short gets to what the last one left at its close, if it is told to, and does not
/// make each exit of an outage take all its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_run_sends_what_the_last_one_left() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = "http://public@127.0.0.1:9/1";
    let build = |dsn: &str| {
        envoi::sentry(dsn).unwrap().disk_buffer(dir.path()).replay_on_close(true).build().unwrap()
    };
    let transport = build(nobody);
    for _ in 0..4 {
        transport.send(event()).unwrap();
    }
    assert_eq!(transport.close(SECOND).await.kept, 4);
    drop(transport);
    // Still nobody there: one attempt is enough to know.
    let transport = build(nobody);
    assert_eq!(transport.close(600 * SECOND).await.kept, 4);
    assert!(transport.stats().unwrap().outbox.attempts <= 2);
    drop(transport);

    let server = IngestServer::start().await.unwrap();
    let transport = build(&server.dsn());
    let closed = transport.close(20 * SECOND).await;
    assert_eq!((closed.is_complete, closed.discharged, closed.kept), (true, 4, 0), "{closed:?}");
    assert_eq!(server.envelopes().len(), 4);
}

/// RL-12: a limit outlives the process.
#[tokio::test(flavor = "multi_thread")]
async fn limits_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let server = IngestServer::start().await.unwrap();
    let limits = HeaderValue::from_static("600:error:key");
    server.script([Step::reply(StatusCode::TOO_MANY_REQUESTS)
        .header(HeaderName::from_static("x-sentry-rate-limits"), limits)]);
    let build = || envoi::sentry(&server.dsn()).unwrap().disk_buffer(dir.path()).build().unwrap();
    let transport = build();
    transport.send(event()).unwrap();
    assert!(transport.flush(20 * SECOND).await.is_complete());
    assert!(transport.limited_until(&DataCategory::Error).is_some());
    let slot = transport.disk_stats().unwrap().slot;
    transport.close(5 * SECOND).await;
    drop(transport);
    // The lock is free when the background has ended, which is a moment after the close.
    let patience = SystemClock.now() + 20 * SECOND;
    let transport = loop {
        let transport = build();
        if transport.disk_stats().unwrap().slot == slot {
            break transport;
        }
        assert!(SystemClock.now() < patience, "the lock is never free");
    };
    let rest = transport.limited_until(&DataCategory::Error).unwrap() - SystemClock.now();
    assert!(rest > 500 * SECOND && rest <= 601 * SECOND, "{rest:?}");
    assert_eq!(transport.send(event()).unwrap(), Fate::Spent);
}

/// OC-10: a directory that cannot be used is an error at the start, in words.
#[test]
fn a_bad_directory_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let result = envoi::sentry("http://public@127.0.0.1:9/1").unwrap().disk_buffer(file.path()).build();
    let Err(error @ BuildError::Disk(_)) = result else { panic!("built on a file") };
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(&*file.path().to_string_lossy()), "{source}");
}
