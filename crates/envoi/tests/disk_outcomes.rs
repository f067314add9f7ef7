//! What a server answers, and what that means for what is on disk.
#![cfg(feature = "spool")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use envoi::{DataCategory, DiscardReason, Envelope, Item, SentryBuilder, Transport};
use envoi_core::{Clock, SystemClock};
use envoi_layers::outbox::Backoff;
use envoi_testkit::ingest::{IngestServer, Step};
use http::StatusCode;

const SECOND: Duration = Duration::from_secs(1);

fn event() -> Envelope {
    Envelope::new().with_item(Item::event(r#"{"message":"hello"}"#)).unwrap()
}

fn buffer(server: &IngestServer, path: &Path) -> SentryBuilder {
    let moment = Duration::from_millis(1);
    envoi::sentry(&server.dsn())
        .unwrap()
        .disk_buffer(path)
        .replay_pace(Duration::ZERO)
        .backoff(Backoff::new(moment, 5 * moment))
        .report_interval(None)
}

fn account(transport: &Transport) -> envoi::core::Account {
    transport.ledger().get(&DataCategory::Error).cloned().unwrap_or_default()
}

/// What the next run would find.
fn left(path: &Path) -> usize {
    let spool = envoi_spool::Spool::<Envelope>::open(path, envoi_spool::SpoolConfig::new()).unwrap();
    spool.stats().entries
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = SystemClock.now() + 20 * SECOND;
    while !is_so() {
        assert!(SystemClock.now() < patience, "in vain: {what}");
        tokio::task::yield_now().await;
    }
}

/// OC-3, CR-3: a 2xx removes the entry; 4xx and 5xx discard it, are counted and reported as `send_error`, a 429 is
/// counted and not reported; all of them at once, with one request, and the next run finds nothing.
#[tokio::test(flavor = "multi_thread")]
async fn every_status_ends_an_entry() {
    for status in [200, 201, 204, 400, 401, 403, 404, 413, 429, 500, 502, 503] {
        let dir = tempfile::tempdir().unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let server = IngestServer::start().await.unwrap();
        server.script([Step::reply(status)]);
        let transport = buffer(&server, dir.path()).build().unwrap();
        assert_eq!(transport.send_durable(event()).await.unwrap(), envoi::Fate::Stored);
        assert!(transport.flush(20 * SECOND).await.is_complete());
        let account = account(&transport);
        let refused: BTreeMap<u16, u64> =
            if status.is_success() { BTreeMap::new() } else { [(status.as_u16(), 1)].into() };
        assert_eq!(
            (account.delivered, &account.refused),
            (u64::from(status.is_success()), &refused),
            "{status}"
        );
        assert_eq!(transport.disk_stats().unwrap().entries, 0, "{status}");
        assert_eq!(server.requests().len(), 1, "{status}: one request, and no other");

        let is_reported = !status.is_success() && status != StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(transport.stats().unwrap().has_pending_reports, is_reported, "{status}");
        transport.flush(20 * SECOND).await;
        let reported = server.reported_losses();
        let expected = [((DiscardReason::SendError, DataCategory::Error), 1)];
        assert_eq!(reported, expected.into_iter().filter(|_| is_reported).collect(), "{status}");
        if status == StatusCode::TOO_MANY_REQUESTS {
            assert!(transport.limited_until(&DataCategory::Error).is_some(), "the limit is applied");
        }
        transport.close(5 * SECOND).await;
        drop(transport);
        assert_eq!(left(dir.path()), 0, "{status}");
    }
}

/// OC-3: a 413 says what the server said about it.
#[tokio::test(flavor = "multi_thread")]
async fn a_413_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let server = IngestServer::start().await.unwrap();
    let body = r#"{"detail":"envelope exceeded size limits for type 'event'"}"#;
    server.script([Step::reply(StatusCode::PAYLOAD_TOO_LARGE).body(body)]);
    let transport = buffer(&server, dir.path()).build().unwrap();
    transport.send(event()).unwrap();
    transport.flush(20 * SECOND).await;
    let failure = transport.stats().unwrap().outbox.last_failure.unwrap();
    assert_eq!(failure.status, Some(StatusCode::PAYLOAD_TOO_LARGE));
    assert!(failure.message.contains("exceeded size limits"), "{}", failure.message);
}

/// Every byte of every segment below.
fn segments(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            bytes.append(&mut segments(&entry.path()));
        } else if entry.path().extension().is_some_and(|kind| kind == "seg") {
            bytes.append(&mut fs::read(entry.path()).unwrap());
        }
    }
    bytes
}

/// Decision 14: a report rides with a stored envelope and is not stored with it. While the carrier is held for another
/// try nobody else reports the counts, and they are told once when it gets through.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_not_stored_with_its_carrier() {
    let dir = tempfile::tempdir().unwrap();
    let server = IngestServer::start().await.unwrap();
    server.script([Step::reset(), Step::reset()]);
    let transport = buffer(&server, dir.path()).build().unwrap();
    transport.record_lost(DiscardReason::SampleRate, &DataCategory::Error, 7);
    transport.send_durable(event()).await.unwrap();
    assert!(transport.flush(20 * SECOND).await.is_complete());
    assert!(server.requests().len() >= 3, "two resets and a success");
    let expected = [((DiscardReason::SampleRate, DataCategory::Error), 7)];
    assert_eq!(server.reported_losses(), expected.into());
    assert!(!transport.stats().unwrap().has_pending_reports);

    // One that stays on disk.
    server.otherwise(Step::stall());
    transport.record_lost(DiscardReason::SampleRate, &DataCategory::Error, 7);
    transport.send_durable(event()).await.unwrap();
    until("it is under way", || transport.stats().unwrap().outbox.in_flight > 0).await;
    let stored = segments(dir.path());
    let has = |word: &[u8]| stored.windows(word.len()).any(|window| window == word);
    assert!(has(b"hello"), "the envelope is on disk");
    assert!(!has(b"discarded_events") && !has(b"sent_at"), "and what is added at send time is not");
    transport.close(SECOND / 5).await;
}

/// Decision 14: of a carrier that was refused the counts are told again, but after a 429, for then the server has read
/// them: either way it hears of them once. (The books of the test server take on what came with a 2xx or a 429.)
#[tokio::test(flavor = "multi_thread")]
async fn counts_of_a_refused_report_are_told_again() {
    let sample = (DiscardReason::SampleRate, DataCategory::Error);
    for status in [StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS] {
        let dir = tempfile::tempdir().unwrap();
        let server = IngestServer::start().await.unwrap();
        // A limit on something else only, so that the next report may leave.
        let limits = http::HeaderValue::from_static("600:transaction:key");
        let name = http::HeaderName::from_static("x-sentry-rate-limits");
        server.script([Step::reply(status).header(name, limits)]);
        let transport = buffer(&server, dir.path()).build().unwrap();
        transport.record_lost(DiscardReason::SampleRate, &DataCategory::Error, 7);
        transport.send(event()).unwrap();
        assert!(transport.flush(20 * SECOND).await.is_complete());
        transport.send(event()).unwrap();
        assert!(transport.flush(20 * SECOND).await.is_complete());
        assert!(server.requests().iter().any(|request| request.is_accepted()), "the second envelope");
        let reported = server.reported_losses();
        assert_eq!(reported.get(&sample), Some(&7), "{status}: {reported:?}");
        assert!(!transport.stats().unwrap().has_pending_reports);
    }
}

/// Decision 17: a status that came beats what happened to the connection after it: the entry is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_beats_a_cut_connection() {
    let dir = tempfile::tempdir().unwrap();
    let server = IngestServer::start().await.unwrap();
    server.script([Step::reply(StatusCode::INTERNAL_SERVER_ERROR).body("x".repeat(100)).cut_in_body()]);
    let transport = buffer(&server, dir.path()).build().unwrap();
    transport.send(event()).unwrap();
    assert!(transport.flush(20 * SECOND).await.is_complete());
    assert_eq!(account(&transport).refused, [(500, 1)].into());
    transport.close(5 * SECOND).await;
    drop(transport);
    assert_eq!(left(dir.path()), 0);
}
