//! The transport as an application uses it, against a real server on loopback.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use envoi::core::{Itemized, LossSink, Parcel};
use envoi::envelope::DataCategory;
use envoi::{
    BuildError, Capacity, DiscardReason, Encoding, End, Envelope, Fate, Item, Kind, Lane, Notice, Transport,
    WayError,
};
use envoi_testkit::corpus;
use envoi_testkit::ingest::{IngestServer, Step};
use http::{HeaderName, HeaderValue, StatusCode};

/// Generous: it only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(20);

fn event(id: u8) -> Envelope {
    let id = format!("{id:02x}").repeat(16);
    let mut envelope = Envelope::new().with_item(Item::event(format!(r#"{{"event_id":"{id}"}}"#))).unwrap();
    envelope.set_event_id(id.parse().unwrap()).unwrap();
    envelope
}

/// What the server has and what it was told was lost is what was posted (CR-1).
fn assert_books(transport: &Transport, server: &IngestServer) {
    let ledger = transport.ledger();
    assert!(ledger.is_settled(), "{ledger:?}");
    let received = server.received_tally();
    for (category, account) in ledger.iter() {
        assert_eq!(account.delivered, received.get(category).copied().unwrap_or(0), "{category}");
    }
    let mut reported = BTreeMap::<_, u64>::new();
    for ((_, category), quantity) in server.reported_losses() {
        *reported.entry(category).or_default() += quantity;
    }
    for (category, account) in ledger.iter() {
        let uncounted = account.refused.get(&429).copied().unwrap_or(0);
        let lost = account.lost_total() + account.refused_total() - uncounted;
        assert_eq!(lost, reported.get(category).copied().unwrap_or(0), "{category}");
    }
}

/// TR-1, TR-2: every real envelope arrives, from many threads, with the payload bytes that it was posted with.
#[tokio::test]
async fn the_corpus_arrives_from_many_threads() {
    let server = IngestServer::start().await.unwrap();
    let transport = envoi::sentry(&server.dsn()).unwrap().build().unwrap();
    let senders: Vec<_> = corpus::all()
        .chunks(9)
        .map(|samples| {
            let transport = transport.clone();
            std::thread::spawn(move || {
                for sample in samples {
                    let envelope = Envelope::parse(Bytes::from_static(sample.bytes)).unwrap();
                    assert_eq!(transport.send(envelope).unwrap(), Fate::Queued);
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert!(transport.flush(PATIENCE).await.is_complete());

    let mut sent: Vec<Bytes> = Vec::new();
    for sample in corpus::all() {
        let envelope = Envelope::parse(Bytes::from_static(sample.bytes)).unwrap();
        sent.extend(envelope.items().iter().map(|item| item.payload().clone()));
    }
    let mut seen: Vec<Bytes> = Vec::new();
    for envelope in server.envelopes() {
        seen.extend(envelope.items().iter().map(|item| item.payload().clone()));
    }
    sent.sort();
    seen.sort();
    assert_eq!(seen, sent);
    let ledger = transport.ledger();
    assert!(ledger.is_settled());
    assert!(transport.close(PATIENCE).await.is_complete);
}

/// AU-6: without a DSN nothing happens, and nothing is an error until something is to be sent.
#[test]
fn without_a_dsn_nothing_is_sent() {
    let transport = envoi::sentry("  ").unwrap().build().unwrap();
    assert!(!transport.is_enabled());
    assert_eq!(transport.send(event(1)).unwrap_err().kind(), Kind::Disabled);
    assert_eq!(transport.send_log("{}").unwrap_err().kind(), Kind::Disabled);
    assert!(transport.flush_blocking(PATIENCE).is_complete());
    assert!(transport.close_blocking(PATIENCE).is_complete);
    assert!(transport.stats().is_none() && transport.outcomes().is_none());
    assert_eq!(transport.ledger().iter().count(), 0);
}

/// AU-6, AU-7: a DSN that cannot work says why when the transport is built, without its secret.
#[test]
fn a_dsn_that_cannot_work_is_refused() {
    let error = envoi::sentry("https://public:s3cret@sentry.io/").unwrap_err().to_string();
    assert!(!error.contains("s3cret"), "{error}");
    let builder = envoi::sentry("https://public:s3cret@sentry.io/42").unwrap();
    assert!(!format!("{builder:?}").contains("s3cret"));
    let error = builder.connector(envoi::http::client::TcpConnector::new()).build().unwrap_err();
    let BuildError::Way(error @ WayError::TlsUnavailable(_)) = error else { panic!("{error}") };
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

/// AU-3, AU-5, CO-1, EN-5: requests carry what was asked for.
#[tokio::test]
async fn requests_are_as_configured() {
    let server = IngestServer::start().await.unwrap();
    let transport = envoi::sentry(&server.dsn())
        .unwrap()
        .client("shop/1.2")
        .user_agent("shop/1.2 (test)")
        .header(HeaderName::from_static("x-team"), HeaderValue::from_static("payments"))
        .encoding(Encoding::Gzip)
        .dsn_header(true)
        .build()
        .unwrap();
    let big = format!(r#"{{"message":"{}"}}"#, "words ".repeat(2000));
    transport.send(Envelope::new().with_item(Item::event(big)).unwrap()).unwrap();
    assert!(transport.flush(PATIENCE).await.is_complete());

    let requests = server.requests();
    let headers = &requests[0].head.headers;
    assert!(requests[0].problems.is_empty(), "{:?}", requests[0].problems);
    assert_eq!(headers["user-agent"], "shop/1.2 (test)");
    assert_eq!(headers["x-team"], "payments");
    assert_eq!(headers["content-encoding"], "gzip");
    assert_eq!(headers["content-type"], "application/x-sentry-envelope");
    assert!(headers["x-sentry-auth"].to_str().unwrap().contains("sentry_client=shop/1.2"));
    let envelope = &server.envelopes()[0];
    assert!(envelope.sent_at().is_some());
    assert!(envelope.dsn().is_some());
}

/// TR-1, TR-2: without any runtime, and on a runtime of one thread that is blocked meanwhile.
#[test]
fn works_from_sync_code_and_inside_a_blocked_runtime() {
    let thread = IngestServer::spawn_thread().unwrap();
    let server = thread.server();
    let transport = envoi::sentry(&server.dsn()).unwrap().build().unwrap();
    transport.send(event(1)).unwrap();
    assert!(transport.flush_blocking(PATIENCE).is_complete());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        transport.send(event(2)).unwrap();
        assert!(transport.flush_blocking(PATIENCE).is_complete());
    });
    assert_eq!(server.envelopes().len(), 2);
    assert!(transport.close_blocking(PATIENCE).is_complete);
    assert_eq!(transport.send(event(3)).unwrap_err().kind(), Kind::Closed);
    assert!(transport.ledger().is_settled());
}

/// TR-2: the application's own runtime will do, and a panicking thread can flush.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_on_the_applications_runtime() {
    let server = IngestServer::start().await.unwrap();
    let transport =
        envoi::sentry(&server.dsn()).unwrap().build_on(&tokio::runtime::Handle::current()).unwrap();
    struct OnUnwind(Transport);
    impl Drop for OnUnwind {
        fn drop(&mut self) {
            self.0.send(event(7)).unwrap();
            assert!(self.0.flush_blocking(PATIENCE).is_complete());
        }
    }
    let guard = OnUnwind(transport.clone());
    let panicked = std::thread::spawn(move || {
        let _guard = guard;
        std::panic::resume_unwind(Box::new("boom"));
    });
    assert!(tokio::task::spawn_blocking(move || panicked.join()).await.unwrap().is_err());
    assert_eq!(server.envelopes().len(), 1);
    assert!(transport.close(PATIENCE).await.is_complete);
}

/// TR-2: what was posted before the last handle went is still sent, containers that were not full included.
#[tokio::test]
async fn dropping_the_last_handle_still_sends() {
    let server = IngestServer::start().await.unwrap();
    let transport = envoi::sentry(&server.dsn()).unwrap().build().unwrap();
    transport.send(event(1)).unwrap();
    transport.send_log(r#"{"body":"last words"}"#).unwrap();
    drop(transport);
    let envelopes = server.wait_for(2, PATIENCE).await.unwrap();
    assert_eq!(envelopes.len(), 2);
}

/// TP-4, IT-1: logs, metrics and spans leave in containers; a flush sends what is not full.
#[tokio::test]
async fn volume_is_collected_in_containers() {
    let server = IngestServer::start().await.unwrap();
    let transport = envoi::sentry(&server.dsn()).unwrap().build().unwrap();
    for number in 0..250 {
        transport.send_log(format!(r#"{{"body":"{number}"}}"#)).unwrap();
    }
    transport.send_metric(r#"{"name":"queue.depth","value":3}"#).unwrap();
    transport.send_span(&"ab".repeat(16), r#"{"name":"GET /"}"#, Some(r#"{"trace_id":"x"}"#)).unwrap();
    assert_eq!(transport.stats().unwrap().batching[&DataCategory::LogItem], 50);
    assert!(transport.flush(PATIENCE).await.is_complete());

    let mut logs: Vec<u64> = Vec::new();
    for envelope in server.envelopes() {
        assert_eq!(envelope.items().len(), 1, "one container per envelope");
        if envelope.items()[0].item_type().as_str() == "log" {
            logs.push(envelope.items()[0].item_count().unwrap());
        }
    }
    logs.sort_unstable();
    assert_eq!(logs, [50, 100, 100]);
    assert_eq!(server.received_tally()[&DataCategory::LogItem], 250);
    assert_eq!(server.received_tally()[&DataCategory::Span], 1);
    assert_books(&transport, &server);

    assert_eq!(transport.send_log("not json").unwrap_err().kind(), Kind::Encode);
    transport.close(PATIENCE).await;
    assert_eq!(transport.send_log("{}").unwrap_err().kind(), Kind::Closed);
    assert!(transport.ledger().is_settled());
}

/// RL-8, TP-3, RL-12, CR-5: a limit that the server states is obeyed at the door, readable, reported, and outlives the
/// process.
#[tokio::test]
async fn limits_are_obeyed_reported_and_kept() {
    let server = IngestServer::start().await.unwrap();
    let header = HeaderName::from_static("x-sentry-rate-limits");
    server
        .script([Step::judge().header(header, HeaderValue::from_static("600:error;log_item:organization"))]);
    let transport = envoi::sentry(&server.dsn()).unwrap().build().unwrap();
    transport.send(event(1)).unwrap();
    assert!(transport.flush(PATIENCE).await.is_complete());

    assert!(transport.limited_until(&DataCategory::Error).is_some());
    assert!(transport.limited_until(&DataCategory::Transaction).is_none());
    assert_eq!(transport.stats().unwrap().limits.len(), 2);
    assert_eq!(transport.send(event(2)).unwrap(), Fate::Spent);
    assert_eq!(transport.send_log("{}").unwrap_err().kind(), Kind::RateLimited);
    assert!(transport.flush(PATIENCE).await.is_complete(), "the report leaves alone");
    assert_books(&transport, &server);
    let reason = (DiscardReason::RatelimitBackoff, DataCategory::Error);
    assert_eq!(server.reported_losses()[&reason], 1);

    let saved = transport.save_limits().unwrap();
    let second = envoi::sentry(&server.dsn()).unwrap().restore_limits(saved).build().unwrap();
    assert_eq!(second.send(event(3)).unwrap(), Fate::Spent);
}

/// CR-3, CR-6, TR-7: refusals are counted, reported and explained in the server's words, by event id.
#[tokio::test]
async fn refusals_are_counted_reported_and_explained() {
    let server = IngestServer::start().await.unwrap();
    let error = HeaderName::from_static("x-sentry-error");
    server.script([
        Step::reply(StatusCode::BAD_REQUEST)
            .header(error, HeaderValue::from_static("event submission rejected"))
            .body(r#"{"detail":"no such thing","causes":["because"]}"#),
        Step::reply(StatusCode::SERVICE_UNAVAILABLE),
    ]);
    let transport = envoi::sentry(&server.dsn()).unwrap().concurrency(1).build().unwrap();
    let mut outcomes = transport.outcomes().unwrap();
    transport.send(event(1)).unwrap();
    transport.send(event(2)).unwrap();
    transport.send(event(3)).unwrap();
    assert!(transport.flush(PATIENCE).await.is_complete());

    let mut ends = Vec::new();
    while let Some(Notice::Outcome(outcome)) = outcomes.try_next() {
        ends.push((
            outcome.id.unwrap_or_default(),
            outcome.status.map(|status| status.as_u16()),
            outcome.end,
        ));
    }
    let of = |id: u8| ends.iter().find(|(seen, ..)| *seen == format!("{id:02x}").repeat(16)).unwrap();
    assert_eq!(of(1).1, Some(400));
    assert!(matches!(of(2).2, End::GivenUp(_)));
    assert_eq!(of(3).2, End::Discharged(Fate::Delivered));
    transport.flush(PATIENCE).await;
    assert_books(&transport, &server);
    let failure = transport.stats().unwrap().outbox.last_failure.unwrap();
    assert_eq!(failure.status.unwrap(), 503);
}

/// CR-7: with reports off nothing is reported, and the ledger counts all the same.
#[tokio::test]
async fn reports_can_be_switched_off() {
    let server = IngestServer::start().await.unwrap();
    server.script([Step::reply(StatusCode::INTERNAL_SERVER_ERROR)]);
    let transport = envoi::sentry(&server.dsn()).unwrap().client_reports(false).build().unwrap();
    transport.send(event(1)).unwrap();
    transport.flush(PATIENCE).await;
    transport.record_lost(DiscardReason::SampleRate, &DataCategory::Transaction, 3);
    assert!(transport.close(PATIENCE).await.is_complete);
    assert!(server.reported_losses().is_empty());
    let ledger = transport.ledger();
    assert_eq!(ledger.get(&DataCategory::Error).unwrap().refused_total(), 1);
    assert_eq!(ledger.get(&DataCategory::Transaction).unwrap().lost_total(), 3);
    assert!(ledger.is_settled());
}

/// OC-4: an outage costs nothing: what could not be sent is sent when the server is back.
#[tokio::test]
async fn an_outage_costs_nothing() {
    let server = IngestServer::start().await.unwrap();
    let transport = envoi::sentry(&server.dsn()).unwrap().build().unwrap();
    server.go_down().await;
    for number in 1..=40 {
        transport.send(event(number)).unwrap();
    }
    assert!(!transport.flush(Duration::from_millis(200)).await.is_complete());
    assert_eq!(transport.ledger().get(&DataCategory::Error).unwrap().held(), Some(40));
    server.come_up().await.unwrap();
    transport.online();
    assert!(transport.flush(PATIENCE).await.is_complete());
    assert_eq!(server.envelopes().len(), 40);
    assert_books(&transport, &server);
}

/// TP-1: a flood in one lane does not push out another.
#[tokio::test]
async fn a_flood_of_logs_does_not_push_out_errors() {
    let server = IngestServer::start().await.unwrap();
    server.go_down().await;
    let transport = envoi::sentry(&server.dsn())
        .unwrap()
        .lane_capacity(Lane::Low, Capacity::new(10, 1 << 20))
        .build()
        .unwrap();
    transport.send(event(1)).unwrap();
    for _ in 0..1_000 {
        let logs = Item::logs(1, r#"{"items":[{"body":"flood"}]}"#);
        transport.send(Envelope::new().with_item(logs).unwrap()).unwrap();
    }
    server.come_up().await.unwrap();
    transport.online();
    assert!(transport.flush(PATIENCE).await.is_complete());
    transport.flush(PATIENCE).await;
    assert_eq!(server.received_tally()[&DataCategory::Error], 1);
    assert!(server.reported_losses()[&(DiscardReason::QueueOverflow, DataCategory::LogItem)] > 900);
    assert_books(&transport, &server);
}

/// TR-2: a server that accepts and never answers holds nobody up, and what it cost is counted.
#[tokio::test]
async fn a_hung_server_holds_nobody_up() {
    let server = IngestServer::start().await.unwrap();
    server.otherwise(Step::stall());
    let transport = envoi::sentry(&server.dsn()).unwrap().build().unwrap();
    for number in 1..=30 {
        transport.send(event(number)).unwrap();
    }
    assert!(!transport.flush(Duration::from_millis(50)).await.is_complete());
    let closed = transport.close(Duration::from_millis(300)).await;
    assert!(!closed.is_complete);
    assert_eq!(closed.lost, 30);
    let ledger = transport.ledger();
    assert!(ledger.is_settled());
    assert_eq!(ledger.get(&DataCategory::Error).unwrap().lost_total(), 30);
}

/// A `before_send` of the user's: it changes and drops what it likes, and records what it drops (CR-1).
#[tokio::test]
async fn user_layers_fit_into_the_slots() {
    use tower::util::MapRequestLayer;

    let server = IngestServer::start().await.unwrap();
    let builder = envoi::sentry(&server.dsn()).unwrap();
    let books = builder.books();
    let transport = builder
        .delivery_layer(MapRequestLayer::new(move |mut parcel: Parcel<Envelope>| {
            parcel.payload_mut().retain(|item| item.item_type().as_str() != "attachment");
            books.lost(DiscardReason::BeforeSend, &DataCategory::Attachment, 3);
            parcel
        }))
        .http_layer(MapRequestLayer::new(|mut request: http::Request<envoi::core::Segments>| {
            request.headers_mut().insert("x-layer", HeaderValue::from_static("mine"));
            request
        }))
        .build()
        .unwrap();
    let mut envelope = event(1);
    envelope.push(Item::attachment("notes.txt", "abc")).unwrap();
    let mut tally = 0;
    envelope.tally(&mut |_, quantity| tally += quantity);
    assert_eq!(tally, 4, "one error and three bytes");
    transport.send(envelope).unwrap();
    assert!(transport.flush(PATIENCE).await.is_complete());
    let envelope = &server.envelopes()[0];
    let types: Vec<_> = envelope.items().iter().map(|item| item.item_type().as_str()).collect();
    assert_eq!(
        types,
        ["event", "client_report"],
        "the loss is reported by the envelope that it was taken from"
    );
    assert_eq!(server.requests()[0].head.headers["x-layer"], "mine");
    transport.flush(PATIENCE).await;
    assert_books(&transport, &server);
}
