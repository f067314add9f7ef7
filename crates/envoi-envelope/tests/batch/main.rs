//! The batcher through its public API: TP-1, TP-4, IT-1, EN-7.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod laws;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use envoi_core::{Clock, DiscardReason, LossSink, SystemClock};
use envoi_envelope::batch::{BatchConfig, Batcher, RefusedKind};
use envoi_envelope::{DataCategory, Envelope, Item, ItemType};
use serde_json::value::RawValue;

const AGE: Duration = Duration::from_secs(5);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Losses by category; nothing but overflow is expected.
#[derive(Clone, Default)]
struct Books(Arc<Mutex<BTreeMap<String, u64>>>);

impl Books {
    fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap().clone()
    }

    fn entries(&self) -> Vec<(String, u64)> {
        self.all().into_iter().collect()
    }
}

impl LossSink<DataCategory> for Books {
    fn lost(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        assert_eq!(reason, DiscardReason::QueueOverflow);
        *self.0.lock().unwrap().entry(category.as_str().to_owned()).or_default() += quantity;
    }
}

fn entry(category: &str, quantity: u64) -> (String, u64) {
    (category.to_owned(), quantity)
}

fn trace(number: u8) -> String {
    format!("{number:032x}")
}

fn numbered(number: usize) -> String {
    format!("{{\"n\":{number}}}")
}

/// The one item of an envelope.
fn container(envelope: &Envelope) -> &Item {
    let [item] = envelope.items() else { unreachable!("one container per envelope") };
    item
}

/// The `n` of each entry.
fn numbers(envelope: &Envelope) -> Vec<usize> {
    let payload: serde_json::Value = serde_json::from_slice(container(envelope).payload()).unwrap();
    let entries = payload["items"].as_array().unwrap();
    entries.iter().map(|entry| usize::try_from(entry["n"].as_u64().unwrap()).unwrap()).collect()
}

fn flush<K: LossSink<DataCategory>>(batcher: &mut Batcher<K>) -> Vec<Envelope> {
    std::iter::from_fn(|| batcher.flush()).collect()
}

fn poll<K: LossSink<DataCategory>>(batcher: &mut Batcher<K>, now: Instant) -> Vec<Envelope> {
    std::iter::from_fn(|| batcher.poll(now)).collect()
}

/// TP-4: a container is due 5 s after its first item, and no later item puts that off.
#[test]
fn container_is_due_by_its_first_item() {
    let start = SystemClock.now();
    let mut batcher = Batcher::new(BatchConfig::default(), ());
    assert_eq!(batcher.deadline(), None);

    for second in 0..5 {
        let now = start + Duration::from_secs(second);
        batcher.push_log(numbered(0), now).unwrap();
        batcher.push_metric(numbered(1), now + MILLISECOND).unwrap();
        batcher.push_span(&trace(1), numbered(2), None, now + 2 * MILLISECOND).unwrap();
        assert_eq!(batcher.deadline(), Some(start + AGE));
        assert!(batcher.poll(now).is_none());
    }

    assert!(batcher.poll(start + AGE - Duration::from_nanos(1)).is_none());
    let due = |batcher: &mut Batcher, now| {
        poll(batcher, now).iter().map(|one| numbers(one).len()).collect::<Vec<_>>()
    };
    assert_eq!(due(&mut batcher, start + AGE), [5]);
    assert_eq!(batcher.deadline(), Some(start + AGE + MILLISECOND));
    assert_eq!(due(&mut batcher, start + AGE + MILLISECOND), [5]);
    assert_eq!(due(&mut batcher, start + AGE + 2 * MILLISECOND), [5]);
    assert_eq!(batcher.deadline(), None);
    assert!(batcher.is_empty());
}

/// TP-4: 100 logs, 100 metrics and 1000 spans fill a container, which is ready at once; the next item begins another,
/// with a deadline of its own.
#[test]
fn full_container_is_ready_at_once() {
    type Push = fn(&mut Batcher, usize, Instant);
    let kinds: [(usize, ItemType, Push); 3] = [
        (100, ItemType::Log, |batcher, n, now| batcher.push_log(numbered(n), now).unwrap()),
        (100, ItemType::TraceMetric, |batcher, n, now| batcher.push_metric(numbered(n), now).unwrap()),
        (1000, ItemType::Span, |batcher, n, now| {
            batcher.push_span(&trace(7), numbered(n), None, now).unwrap();
        }),
    ];
    for (size, item_type, push) in kinds {
        let start = SystemClock.now();
        let later = start + Duration::from_secs(1);
        let mut batcher = Batcher::new(BatchConfig::default(), ());
        for n in 0..size {
            assert!(batcher.poll(start).is_none(), "{item_type}: {n}");
            push(&mut batcher, n, start);
        }
        push(&mut batcher, size, later);

        assert!(batcher.deadline().unwrap() <= later);
        let full = batcher.poll(later).unwrap();
        assert_eq!(container(&full).item_type(), &item_type);
        assert_eq!(numbers(&full), (0..size).collect::<Vec<_>>());
        assert!(batcher.poll(later).is_none());
        assert_eq!(batcher.deadline(), Some(later + AGE));
        assert_eq!(numbers(&batcher.poll(later + AGE).unwrap()), [size]);
    }
}

/// TP-4, IT-1: containers of real SDKs, taken apart and collected again, are the same bytes: payload, item header
/// attributes and the trace header.
#[test]
fn containers_look_like_those_of_real_sdks() {
    for name in ["python-logs.log", "python-metrics.trace_metric", "python-span_stream.span"] {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../envoi-testkit/corpus");
        let real = Envelope::parse(std::fs::read(format!("{corpus}/{name}.envelope")).unwrap()).unwrap();
        let item = container(&real);
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(item.payload()).unwrap();
        let entries: Vec<&RawValue> = serde_json::from_str(members["items"].get()).unwrap();

        let now = SystemClock.now();
        let mut batcher = Batcher::new(BatchConfig::default(), ());
        for entry in entries {
            let json = entry.get().to_owned();
            match item.item_type() {
                ItemType::Log => batcher.push_log(json, now).unwrap(),
                ItemType::TraceMetric => batcher.push_metric(json, now).unwrap(),
                _ => {
                    let id: serde_json::Value = serde_json::from_str(&json).unwrap();
                    batcher.push_span(id["trace_id"].as_str().unwrap(), json, real.trace(), now).unwrap();
                }
            }
        }
        let built = Envelope::parse(batcher.flush().unwrap().to_bytes()).unwrap();

        assert!(batcher.is_empty());
        let again = container(&built);
        assert_eq!(again.payload(), item.payload(), "{name}");
        assert_eq!(again.item_count(), item.item_count(), "{name}");
        assert_eq!(again.content_type(), item.content_type(), "{name}");
        assert_eq!(again.explicit_length(), Some(item.payload().len() as u64), "{name}");
        assert_eq!(built.trace(), real.trace(), "{name}");
    }
}

/// TP-4: spans of one trace share a container and the last trace header that came; traces do not mix.
#[test]
fn spans_are_grouped_by_trace() {
    let now = SystemClock.now();
    let mut batcher = Batcher::new(BatchConfig::default(), ());
    batcher.push_span(&trace(1), numbered(0), None, now).unwrap();
    batcher.push_span(&trace(2), numbered(1), Some("{\"sampled\":\"true\"}"), now).unwrap();
    batcher.push_span(&trace(1), numbered(2), Some("{\"a\":1}"), now).unwrap();
    batcher.push_span(&trace(1), numbered(3), Some("{\"a\":\n\r2}"), now).unwrap();
    batcher.push_span(&trace(1), numbered(4), None, now).unwrap();

    let envelopes = flush(&mut batcher);

    let found: Vec<_> = envelopes.iter().map(|one| (numbers(one), one.trace())).collect();
    assert_eq!(found, [(vec![0, 2, 3, 4], Some("{\"a\":2}")), (vec![1], Some("{\"sampled\":\"true\"}"))]);
}

/// TP-4, CR-4: without room the oldest logs and metrics go, each recorded with its bytes.
#[test]
fn oldest_logs_and_metrics_make_room() {
    let now = SystemClock.now();
    let mut config = BatchConfig::default();
    config.logs.container_items = 2;
    config.logs.buffered_items = 4;
    config.metrics.buffered_bytes = 3 * numbered(0).len();
    let books = Books::default();
    let mut batcher = Batcher::new(config, books.clone());
    for n in 0..7 {
        batcher.push_log(numbered(n), now).unwrap();
        batcher.push_metric(numbered(n), now).unwrap();
    }

    let found: Vec<_> = flush(&mut batcher).iter().map(numbers).collect();

    assert_eq!(found, [vec![4, 5, 6], vec![3], vec![4, 5], vec![6]]);
    let size = numbered(0).len() as u64;
    let expected = [
        entry("log_byte", 3 * size),
        entry("log_item", 3),
        entry("trace_metric", 4),
        entry("trace_metric_byte", 4 * size),
    ];
    assert_eq!(books.entries(), expected);
}

/// TP-1, TP-4: without room the oldest trace goes as a whole, full containers included; other kinds are not touched.
#[test]
fn oldest_trace_makes_room_as_a_whole() {
    let now = SystemClock.now();
    let mut config = BatchConfig::default();
    config.spans.container_items = 2;
    config.spans.buffered_items = 5;
    let books = Books::default();
    let mut batcher = Batcher::new(config, books.clone());
    batcher.push_log(numbered(99), now).unwrap();
    for (number, n) in [(1, 0), (2, 1), (1, 2), (3, 3), (1, 4)] {
        batcher.push_span(&trace(number), numbered(n), None, now).unwrap();
    }
    assert!(books.entries().is_empty());

    batcher.push_span(&trace(3), numbered(5), None, now).unwrap();

    let found: Vec<_> = flush(&mut batcher).iter().map(numbers).collect();
    assert_eq!(found, [vec![3, 5], vec![1], vec![99]]);
    assert_eq!(books.entries(), [entry("span", 3)]);
}

/// EN-7: the payload of a container stays within its bytes, and an item that does not fit into one is handed back.
#[test]
fn containers_stay_within_their_bytes() {
    let now = SystemClock.now();
    let mut config = BatchConfig::default();
    let frame = "{\"version\":2,\"items\":[]}".len();
    config.logs.container_bytes = frame + 3 * numbered(0).len() + 2;
    let mut batcher = Batcher::new(config.clone(), ());
    for n in 0..7 {
        batcher.push_log(numbered(n), now).unwrap();
    }
    let envelopes = flush(&mut batcher);
    assert_eq!(envelopes.iter().map(numbers).collect::<Vec<_>>(), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    assert_eq!(container(&envelopes[0]).payload().len(), config.logs.container_bytes);

    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(3 * numbered(0).len() + 2 - 8));
    batcher.push_log(fits.clone(), now).unwrap();
    let larger = fits.replacen('x', "xx", 1);
    let refused = batcher.push_log(larger.clone(), now).unwrap_err();
    assert_eq!(refused.kind(), RefusedKind::TooLarge);
    assert_eq!(refused.into_item(), larger);
}

/// TP-4: what is not one JSON object is refused and handed back, and costs no neighbour.
#[test]
fn bad_items_are_refused_alone() {
    let now = SystemClock.now();
    let mut batcher = Batcher::new(BatchConfig::default(), ());
    batcher.push_log(numbered(0), now).unwrap();
    let bad: [&[u8]; 12] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"1",
        b"{",
        b"{}{}",
        b"{},{}",
        b"{\"a\":}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\n\"}",
        b"\xef\xbb\xbf{}",
    ];
    for item in bad {
        let refused = batcher.push_log(Bytes::from_static(item), now).unwrap_err();
        assert_eq!(refused.kind(), RefusedKind::NotAnObject, "{item:?}");
        assert!(refused.to_string().contains("not one JSON object"));
        assert_eq!(refused.into_item(), item);
    }
    for id in
        ["", "1", "+0000000000000000000000000000001", "0000000000000000000000000000000g", &"0".repeat(33)]
    {
        assert_eq!(batcher.push_span(id, "{}", None, now).unwrap_err().kind(), RefusedKind::TraceId, "{id}");
    }
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(16 * 1024));
    for header in ["", "[]", "{", &long] {
        let refused = batcher.push_span(&trace(1), "{}", Some(header), now).unwrap_err();
        assert_eq!(refused.kind(), RefusedKind::TraceHeader);
    }
    batcher.push_log(" \n{\"n\":1}\r\n", now).unwrap();

    let envelopes = flush(&mut batcher);
    assert_eq!(envelopes.len(), 1);
    assert_eq!(container(&envelopes[0]).payload(), "{\"version\":2,\"items\":[{\"n\":0},{\"n\":1}]}");
}

/// TP-4: nesting of any depth is taken for what it is, without recursion.
#[test]
fn deep_nesting_is_harmless() {
    let depth = 100_000;
    let item = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let mut batcher = Batcher::new(BatchConfig::default(), ());
    batcher.push_log(item, SystemClock.now()).unwrap();
    assert_eq!(container(&batcher.flush().unwrap()).item_count(), Some(1));
}

/// CR-1: what a batcher holds can be counted, and is recorded if it is dropped.
#[test]
fn what_is_held_is_recorded_on_drop() {
    let now = SystemClock.now();
    let books = Books::default();
    let mut batcher = Batcher::new(BatchConfig::default(), books.clone());
    batcher.push_log(numbered(0), now).unwrap();
    batcher.push_span(&trace(1), numbered(0), None, now).unwrap();
    batcher.push_span(&trace(2), numbered(0), None, now).unwrap();
    let mut held = Vec::new();
    batcher.tally(&mut |category, quantity| held.push(entry(category.as_str(), quantity)));
    held.sort();

    drop(batcher);

    assert_eq!(held, [entry("log_byte", numbered(0).len() as u64), entry("log_item", 1), entry("span", 2)]);
    assert_eq!(books.entries(), held);
}

/// The container says nothing but its items where no version is wanted.
#[test]
fn version_can_be_left_out() {
    let mut config = BatchConfig::default();
    config.version = None;
    let mut batcher = Batcher::new(config, ());
    batcher.push_metric("{}", SystemClock.now()).unwrap();
    assert_eq!(container(&batcher.flush().unwrap()).payload(), "{\"items\":[{}]}");
}
