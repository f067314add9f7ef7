use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use envoi_core::DiscardReason;
use envoi_envelope::DataCategory;
use envoi_testkit::ManualClock;
use envoi_testkit::ingest::{IngestServer, Problem, Step};
use http::StatusCode;

use crate::support::{ENVELOPE, PATIENCE, send};

fn event(id: u32, more: &str) -> String {
    format!("{{\"event_id\":\"{id:032x}\"}}\n{{\"type\":\"event\"}}\n{{}}\n{more}")
}

const ATTACHMENT: &str = "{\"type\":\"attachment\",\"length\":5}\nabcde\n";

fn report(reason: &str, quantity: u64) -> String {
    let lost = format!(r#"{{"reason":"{reason}","category":"log_item","quantity":{quantity}}}"#);
    format!("{{\"type\":\"client_report\"}}\n{{\"discarded_events\":[{lost}]}}\n")
}

/// Conservation: what is accepted and what is refused is counted by category.
#[tokio::test]
async fn items_are_tallied_by_answer() {
    let server = IngestServer::start().await.unwrap();
    server.script([Step::judge(), Step::judge(), Step::reply(StatusCode::FORBIDDEN), Step::close()]);
    send(&server, event(1, ATTACHMENT)).await;
    send(&server, event(2, "")).await;
    send(&server, event(3, ATTACHMENT)).await;
    let _ = crate::support::client().request(crate::support::post(&server, event(4, ""))).await;
    let error = DataCategory::Error;
    let attachment = DataCategory::Attachment;
    assert_eq!(server.received_tally(), BTreeMap::from([(error.clone(), 2), (attachment.clone(), 5)]));
    assert_eq!(
        server.refused_tally(),
        BTreeMap::from([(StatusCode::FORBIDDEN, BTreeMap::from([(error, 1), (attachment, 5)]))])
    );
    let summary = server.summary();
    assert_eq!((summary.requests, summary.accepted, summary.items, summary.unanswered), (4, 2, 3, 1));
    assert_eq!(summary.statuses, BTreeMap::from([(StatusCode::OK, 2), (StatusCode::FORBIDDEN, 1)]));
}

/// EN-3: quantities are what anybody wrote into a header, so their sum stays at the top instead of overflowing.
#[tokio::test]
async fn a_tally_of_hostile_quantities_saturates() {
    let server = IngestServer::start().await.unwrap();
    server.script([
        Step::judge(),
        Step::judge(),
        Step::reply(StatusCode::FORBIDDEN),
        Step::reply(StatusCode::FORBIDDEN),
    ]);
    for _ in 0..4 {
        send(&server, format!("{{}}\n{{\"type\":\"log\",\"item_count\":{}}}\n{{}}\n", u64::MAX)).await;
    }
    assert_eq!(server.received_tally()[&DataCategory::LogItem], u64::MAX);
    assert_eq!(server.refused_tally()[&StatusCode::FORBIDDEN][&DataCategory::LogItem], u64::MAX);
    assert_eq!(server.summary().requests, 4);
}

/// CR-6, decision 14: reports count when they were accepted, and on a 429, which the server has read.
#[tokio::test]
async fn reported_losses_are_summed() {
    let server = IngestServer::start().await.unwrap();
    server.script([
        Step::judge(),
        Step::reply(StatusCode::TOO_MANY_REQUESTS),
        Step::reply(StatusCode::BAD_GATEWAY),
        Step::close(),
    ]);
    send(&server, event(1, &report("queue_overflow", 3))).await;
    send(&server, format!("{{}}\n{}", report("queue_overflow", 4))).await;
    send(&server, format!("{{}}\n{}", report("network_error", 100))).await;
    let _ = crate::support::client().request(crate::support::post(&server, event(1, &report("x", 1)))).await;
    send(&server, format!("{{}}\n{}", report("solar_flare", 1))).await;
    send(&server, "{}\n{\"type\":\"client_report\"}\nnot json\n").await;
    assert_eq!(
        server.reported_losses(),
        BTreeMap::from([
            ((DiscardReason::QueueOverflow, DataCategory::LogItem), 7),
            ((DiscardReason::from("solar_flare"), DataCategory::LogItem), 1),
        ])
    );
}

/// A second event of one id is noted and counted; an attachment that comes later under the id is not one.
#[tokio::test]
async fn duplicates_are_noticed() {
    let server = IngestServer::start().await.unwrap();
    server.script([Step::reply(StatusCode::BAD_GATEWAY)]);
    send(&server, ENVELOPE).await; // refused: the next is no duplicate
    send(&server, ENVELOPE).await;
    send(&server, format!("{}\n{ATTACHMENT}", ENVELOPE.lines().next().unwrap())).await;
    assert_eq!((server.summary().duplicates, server.summary().problems), (0, 0));
    assert_eq!(send(&server, ENVELOPE).await.0, StatusCode::OK);
    assert_eq!((server.summary().duplicates, server.summary().accepted), (1, 3));
    assert!(matches!(server.requests()[3].problems[..], [Problem::DuplicateEvent(_)]));
}

#[tokio::test]
async fn memory_is_bounded_and_counters_are_not_affected() {
    let server = IngestServer::builder().remembering(2, usize::MAX).start().await.unwrap();
    for id in 0..5 {
        send(&server, event(id, "")).await;
    }
    assert_eq!(server.requests().iter().map(|record| record.head.sequence).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(server.summary().accepted, 5);
    assert_eq!(server.received_tally()[&DataCategory::Error], 5);

    let server = IngestServer::builder().remembering(100, 10_000).start().await.unwrap();
    for length in [100, 3000, 20_000] {
        let envelope = format!("{{}}\n{{\"type\":\"attachment\"}}\n{}\n", "x".repeat(length));
        send(&server, envelope).await;
    }
    assert_eq!(server.requests().len(), 1, "the last one is kept, however large it is");
}

#[tokio::test]
async fn envelopes_are_waited_for() {
    let server = IngestServer::start().await.unwrap();
    let (waited, ()) = tokio::join!(server.wait_for(3, PATIENCE), async {
        for id in 0..3 {
            send(&server, event(id, "")).await;
        }
    });
    assert_eq!(waited.unwrap().len(), 3);
    let error = server.wait_for(4, Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(error.summary.accepted, 3);
    assert_eq!(error.to_string(), "waited in vain: 3 of 3 requests were accepted, 0 are underway");
}

#[tokio::test]
async fn every_request_is_an_event() {
    let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH));
    let server = IngestServer::builder().with_clock(clock).start().await.unwrap();
    let mut events = server.events();
    send(&server, ENVELOPE).await;
    send(&server, "nonsense").await;
    let first = events.next().await.unwrap();
    assert_eq!((first.status, first.head.at), (Some(StatusCode::OK), SystemTime::UNIX_EPOCH));
    assert!(first.head.peer.ip().is_loopback());
    assert_eq!(events.next().await.unwrap().status, Some(StatusCode::BAD_REQUEST));
    // Who does not listen for long misses the oldest and is told how many.
    let one = crate::support::client();
    for _ in 0..1100 {
        let response = one.request(crate::support::post(&server, "{}\n")).await.unwrap();
        crate::support::whole(response).await;
    }
    assert!(events.next().await.unwrap().head.sequence > 2);
    assert!(events.missed() > 0);
}
