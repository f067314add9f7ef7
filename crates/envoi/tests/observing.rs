//! What an application sees of its transport, and that the transport does not see itself.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use envoi::{Capacity, DataCategory, DiscardReason, Envelope, Item, Transport};
use envoi_testkit::ingest::{IngestServer, Step};
use http::StatusCode;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const PATIENCE: Duration = Duration::from_secs(20);

/// An application that makes an envelope of every event of its subscriber, those of the transport included.
struct Feedback {
    transport: Arc<OnceLock<Transport>>,
    seen: Arc<AtomicUsize>,
}

impl<S: tracing::Subscriber> Layer<S> for Feedback {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("envoi") {
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(transport) = self.transport.get() {
            let log = format!(r#"{{"body":"{}"}}"#, event.metadata().target());
            let _ = transport
                .send(Envelope::new().with_item(Item::logs(1, format!(r#"{{"items":[{log}]}}"#))).unwrap());
            let _ = transport.send_log(log);
        }
    }
}

/// CR-1: the transport's own events reach the subscriber, but what the subscriber posts because of them is refused and
/// counted, or it would never end.
#[test]
fn the_transport_does_not_feed_on_its_own_events() {
    let thread = IngestServer::spawn_thread().unwrap();
    let server = thread.server();
    server.otherwise(Step::reply(StatusCode::PAYLOAD_TOO_LARGE));
    let (cell, seen) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
    let feedback = Feedback { transport: Arc::clone(&cell), seen: Arc::clone(&seen) };
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(feedback)).unwrap();

    // One error fits; each further one pushes the oldest out on the thread of the caller.
    let transport =
        envoi::sentry(&server.dsn()).unwrap().capacity(Capacity::new(1, 1 << 20)).build().unwrap();
    cell.set(transport.clone()).unwrap();
    for _ in 0..50 {
        transport.send(Envelope::new().with_item(Item::event("{}")).unwrap()).unwrap();
    }
    assert!(transport.flush_blocking(PATIENCE).is_complete());
    assert!(transport.close_blocking(PATIENCE).is_complete);
    assert!(seen.load(Ordering::Relaxed) > 0, "the events are there to be seen");

    let ledger = transport.ledger();
    assert!(ledger.is_settled(), "{ledger:?}");
    let errors = ledger.get(&DataCategory::Error).unwrap();
    assert_eq!(errors.posted, 50);
    let logs = ledger.get(&DataCategory::LogItem).unwrap();
    assert_eq!(logs.lost.get(&DiscardReason::Ignored), Some(&logs.posted), "{logs:?}");
    assert!(
        server
            .envelopes()
            .iter()
            .all(|envelope| { envelope.items().iter().all(|item| item.item_type().as_str() != "log") })
    );
}
