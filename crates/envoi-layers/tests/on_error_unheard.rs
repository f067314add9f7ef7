//! What a process hears that has no error handler. A binary of its own, because it hears it once.
#![cfg(all(feature = "on_error", feature = "tracing"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};

use envoi_core::{Kind, Parcel};
use envoi_layers::on_error::OnErrorLayer;
use envoi_testkit::Goods;
use envoi_testkit::mock::{MockDeliver, Outcome};
use tower::{Layer, ServiceExt};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the events.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        self.0.lock().unwrap().push((*event.metadata().level(), words.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// BD-7: without a handler there is one warning per process, whatever is lost by whichever stack, then silence.
#[tokio::test]
async fn one_warning_per_process_then_silence() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    for kind in [Kind::Unauthorized, Kind::Rejected, Kind::Encode] {
        let service = OnErrorLayer::default().layer(MockDeliver::answering(Outcome::failure(kind)));
        assert!(service.oneshot(Parcel::new(Goods::new("event"))).await.is_err());
    }
    let log = log.0.lock().unwrap();
    let ours: Vec<_> = log.iter().filter(|(level, _)| *level == Level::WARN).collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert!(ours[0].1.contains("error=1 item lost: the server refused the credentials"), "{ours:?}");
}
