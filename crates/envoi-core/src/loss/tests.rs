use std::collections::BTreeSet;
use std::sync::Mutex;

use http::StatusCode;
use proptest::prelude::*;

use super::*;

/// CR-2: the reasons of the specification, by name, and nothing forgotten.
#[test]
fn the_known_reasons_are_those_of_the_specification() {
    let names = "queue_overflow cache_overflow ratelimit_backoff network_error sample_rate before_send \
                 event_processor send_error internal_sdk_error insufficient_data backpressure buffer_overflow \
                 ignored invalid";
    assert!(DiscardReason::KNOWN.iter().map(DiscardReason::as_str).eq(names.split_whitespace()));
    for known in DiscardReason::KNOWN {
        assert_eq!(DiscardReason::from(known.as_str()), known);
        assert_eq!(known.to_string(), known.as_str());
    }
    assert_eq!(DiscardReason::KNOWN.into_iter().collect::<BTreeSet<_>>().len(), 14);
}

proptest! {
    /// CR-2: an open set: any name is kept as it is, and the same name is the same reason.
    #[test]
    fn unknown_reasons_are_kept(name in ".{0,40}") {
        let reason = DiscardReason::from(name.as_str());
        prop_assert_eq!(reason.as_str(), name.as_str());
        prop_assert_eq!(&reason, &DiscardReason::from(Cow::Owned(name)));
    }
}

/// Keeps every call.
#[derive(Default)]
struct Tape(Mutex<Vec<String>>);

impl Tape {
    fn calls(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl LossSink<&'static str> for Tape {
    fn lost(&self, reason: DiscardReason, category: &&'static str, quantity: u64) {
        self.0.lock().unwrap().push(format!("lost {quantity} {category} {reason}"));
    }

    fn restore(&self, reason: DiscardReason, category: &&'static str, quantity: u64) {
        self.0.lock().unwrap().push(format!("restore {quantity} {category} {reason}"));
    }
}

/// CR-3: a refusal is a `send_error`, also 413, and a 429 is none: the server counts those itself.
#[test]
fn a_refusal_is_a_send_error_but_for_429() {
    let tape = Tape::default();
    for status in [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::BAD_GATEWAY] {
        tape.refused(status, &"error", 2);
    }
    assert_eq!(tape.calls(), ["lost 2 error send_error"; 3]);

    let tape = Tape::default();
    tape.refused(StatusCode::TOO_MANY_REQUESTS, &"error", 2);
    assert!(tape.calls().is_empty());
}

/// CR-1: a pair tells both sinks everything, in whatever wrapping.
#[test]
fn a_pair_tells_both() {
    let (left, right) = (Arc::new(Tape::default()), Arc::new(Tape::default()));
    let pair = (left.clone(), ((), right.clone()));
    pair.lost(DiscardReason::BeforeSend, &"error", 1);
    pair.refused(StatusCode::BAD_REQUEST, &"log_item", 2);
    pair.refused(StatusCode::TOO_MANY_REQUESTS, &"log_item", 4);
    pair.restore(DiscardReason::NetworkError, &"span", 3);
    assert_eq!(
        left.calls(),
        ["lost 1 error before_send", "lost 2 log_item send_error", "restore 3 span network_error"]
    );
    assert_eq!(left.calls(), right.calls());
}

/// A sink that keeps refusals apart (as the ledger does) is asked for them inside a pair and behind an `Arc<dyn>` too.
#[test]
fn a_pair_keeps_what_each_sink_makes_of_a_refusal() {
    let ledger = crate::Ledger::new();
    let tape = Arc::new(Tape::default());
    let sink: Arc<dyn LossSink<&'static str>> = Arc::new((ledger.clone(), tape.clone()));
    sink.refused(StatusCode::TOO_MANY_REQUESTS, &"error", 7);
    assert_eq!(ledger.snapshot().get(&"error").unwrap().refused_total(), 7);
    assert!(tape.calls().is_empty());
}

/// CR-7: the sink that is not there takes no room.
#[test]
fn no_sink_costs_nothing() {
    assert_eq!(size_of_val(&()), 0);
    let sink: &dyn LossSink<&'static str> = &();
    sink.lost(DiscardReason::Invalid, &"error", 1);
    sink.refused(StatusCode::BAD_REQUEST, &"error", 1);
    sink.restore(DiscardReason::Invalid, &"error", 1);
}
