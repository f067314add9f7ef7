//! What a command or another process that is to end soon asks of a transport.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoi::core::Parcel;
use envoi::layers::outbox::Backoff;
use envoi::{DataCategory, DiscardReason, Envelope, Fate, Item};
use envoi_testkit::ingest::{IngestServer, Step};
use http::{HeaderName, HeaderValue, StatusCode};
use tower::util::MapRequestLayer;

const PATIENCE: Duration = Duration::from_secs(20);

fn event() -> Envelope {
    Envelope::new().with_item(Item::event(r#"{"message":"x"}"#)).unwrap()
}

/// RL-8, OC-8: what is queued when a limit comes up waits for its end, unless it is not to: then it is dropped at once,
/// and counted.
#[tokio::test]
async fn a_queue_need_not_wait_for_the_end_of_a_limit() {
    let server = IngestServer::start().await.unwrap();
    let limit =
        (HeaderName::from_static("x-sentry-rate-limits"), HeaderValue::from_static("600::organization"));
    let refusal = Step::reply(StatusCode::TOO_MANY_REQUESTS).header(limit.0, limit.1);
    for hold in [true, false] {
        server.script([refusal.clone().after(Duration::from_millis(50))]);
        let builder = envoi::sentry(&server.dsn()).unwrap().concurrency(1).hold_limited(hold);
        let transport = builder.build().unwrap();
        for _ in 0..3 {
            assert_eq!(transport.send(event()).unwrap(), Fate::Queued);
        }
        let patience = if hold { Duration::from_millis(300) } else { PATIENCE };
        assert_eq!(transport.flush(patience).await.is_complete(), !hold);
        let errors = transport.ledger().get(&DataCategory::Error).cloned().unwrap();
        assert_eq!(errors.refused_total(), 1);
        assert_eq!(errors.held(), Some(if hold { 2 } else { 0 }));
        let dropped = errors.lost.get(&DiscardReason::RatelimitBackoff).copied().unwrap_or_default();
        assert_eq!(dropped, if hold { 0 } else { 2 });
    }
    assert_eq!(server.summary().requests, 2);
}

/// TR-6: what a caller puts into the extensions of a parcel reaches its layers with every attempt, and goes with it.
#[tokio::test]
async fn a_parcel_takes_the_papers_of_its_caller_along() {
    let server = IngestServer::start().await.unwrap();
    server.script([Step::reset(), Step::judge()]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let transport = envoi::sentry(&server.dsn())
        .unwrap()
        .backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(10)))
        .delivery_layer(MapRequestLayer::new(move |parcel: Parcel<Envelope>| {
            let number = parcel.meta().extensions.get::<Arc<u32>>().map(|number| **number);
            sink.lock().unwrap().push((number, parcel.meta().attempt));
            parcel
        }))
        .build()
        .unwrap();
    let papers = Arc::new(7_u32);
    let mut parcel = Parcel::new(event());
    parcel.meta_mut().extensions.insert(Arc::clone(&papers));
    transport.send(parcel).unwrap();
    assert!(transport.flush(PATIENCE).await.is_complete());
    assert_eq!(*seen.lock().unwrap(), [(Some(7), 0), (Some(7), 1)]);
    assert_eq!(Arc::strong_count(&papers), 1);
}
