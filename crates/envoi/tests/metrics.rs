//! The figures that the `metrics` feature publishes.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoi::{DataCategory, DiscardReason, Envelope, Item};
use envoi_testkit::mock::MockExchange;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tower::layer::layer_fn;

#[derive(Clone, Default)]
struct Board(Arc<Mutex<BTreeMap<String, f64>>>);

struct Cell(Board, String);

impl Cell {
    fn set_to(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value);
    }
}

impl CounterFn for Cell {
    fn increment(&self, _: u64) {
        panic!("counters are set, so that publishing twice is harmless");
    }

    fn absolute(&self, value: u64) {
        self.set_to(value as f64);
    }
}

impl GaugeFn for Cell {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.set_to(value);
    }
}

fn name(key: &Key) -> String {
    let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

impl Recorder for Board {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Cell(self.clone(), name(key))))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Cell(self.clone(), name(key))))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The ledger and the queue are published every 10 s.
#[tokio::test(start_paused = true)]
async fn ledger_and_queue_are_published() {
    let board = Board::default();
    metrics::set_global_recorder(board.clone()).map_err(drop).unwrap();
    let mock = MockExchange::new();
    let network = mock.clone();
    let transport = envoi::sentry("http://public@ingest.invalid/42")
        .unwrap()
        .http_layer(layer_fn(move |_network| network.clone()))
        .build_on(&tokio::runtime::Handle::current())
        .unwrap();
    transport.send(Envelope::new().with_item(Item::event("{}")).unwrap()).unwrap();
    transport.record_lost(DiscardReason::SampleRate, &DataCategory::Transaction, 5);
    tokio::time::sleep(Duration::from_secs(11)).await;
    let figures = board.0.lock().unwrap().clone();
    let figure = |name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
    assert_eq!(figure("envoi_items_posted_total{category=error}"), 1.0, "{figures:?}");
    assert_eq!(figure("envoi_items_delivered_total{category=error}"), 1.0);
    assert_eq!(figure("envoi_items_lost_total{category=transaction,reason=sample_rate}"), 5.0);
    assert_eq!(figure("envoi_items_held{category=error}"), 0.0);
    assert_eq!(figure("envoi_queue_envelopes{lane=critical}"), 0.0);
    assert_eq!(figure("envoi_attempts_total{}"), 1.0);
    #[cfg(feature = "batch")]
    batches_are_published(&board).await;
}

/// There is one recorder per process, hence no test of its own.
#[cfg(feature = "batch")]
async fn batches_are_published(board: &Board) {
    use envoi_testkit::mock::Answer;

    let mock = MockExchange::new();
    mock.script([Answer::ok()]);
    mock.otherwise(Answer::status(http::StatusCode::UNAUTHORIZED));
    let network = mock.clone();
    let logger = envoi::batch("http://logs.invalid/")
        .http_layer(layer_fn(move |_network| network.clone()))
        .build_on(&tokio::runtime::Handle::current())
        .unwrap();
    for number in 0..41 {
        logger.log(&number).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(11)).await;
    let figures = board.0.lock().unwrap().clone();
    let figure = |name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
    assert_eq!(figure("envoi_items_posted_total{category=event}"), 41.0, "{figures:?}");
    assert_eq!(figure("envoi_items_delivered_total{category=event}"), 20.0);
    assert_eq!(figure("envoi_items_refused_total{category=event,status=401}"), 20.0);
    assert_eq!(figure("envoi_items_held{category=event}"), 0.0);
    assert_eq!(figure("envoi_batch_queue_events{}"), 0.0);
    assert_eq!(figure("envoi_batch_in_flight{}"), 0.0);
    assert_eq!((figure("envoi_batch_breaker_open{}"), figure("envoi_batch_disabled{}")), (0.0, 1.0));
    assert!(figure("envoi_batch_deliveries_total{}") >= 2.0);
    assert_eq!(figure("envoi_attempts_total{}"), 1.0, "those of the other transport");
}
