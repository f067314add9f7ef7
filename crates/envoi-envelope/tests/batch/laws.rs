//! What holds for any schedule.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use envoi_core::{Clock, SystemClock};
use envoi_envelope::Envelope;
use envoi_envelope::batch::{BatchConfig, Batcher};
use proptest::prelude::*;

use super::{AGE, Books, container, numbers, poll, trace};

#[derive(Clone, Debug)]
enum Step {
    Log(usize),
    Metric(usize),
    Span(u8, usize, bool),
    Wait(u64),
    Poll,
    Flush(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_usize..40).prop_map(Step::Log),
        3 => (0_usize..40).prop_map(Step::Metric),
        8 => (0_u8..5, 0_usize..40, any::<bool>()).prop_map(|(trace, pad, header)| Step::Span(trace, pad, header)),
        3 => (0_u64..4000).prop_map(Step::Wait),
        2 => Just(Step::Poll),
        1 => (0_usize..3).prop_map(Step::Flush),
    ]
}

fn padded(number: usize, padding: usize) -> String {
    format!("{{\"n\":{number},\"p\":\"{}\"}}", "x".repeat(padding))
}

/// A group of items that keep their order: a kind, and for spans the trace.
type Group = (String, Option<u8>);

/// What the outside knows of a batcher.
#[derive(Default)]
struct Model {
    /// When each item came, and what it is.
    pushed: BTreeMap<usize, (Instant, Group, usize)>,
    out: BTreeSet<usize>,
    last: BTreeMap<Group, usize>,
}

impl Model {
    fn take(&mut self, envelope: &Envelope) -> Result<(), TestCaseError> {
        let item_type = container(envelope).item_type().as_str().to_owned();
        let mut groups = BTreeSet::new();
        for number in numbers(envelope) {
            let (_, group, _) = &self.pushed[&number];
            prop_assert_eq!(&group.0, &item_type);
            prop_assert!(self.out.insert(number), "an item came twice");
            let last = self.last.insert(group.clone(), number);
            prop_assert!(last.is_none_or(|last| last < number), "order within a group");
            groups.insert(group.clone());
        }
        prop_assert_eq!(groups.len(), 1, "one kind, one trace");
        Ok(())
    }
}

proptest! {
    /// TP-1, TP-4: over any schedule every item comes out once, in order, or is recorded; what is held never exceeds the
    /// bounds; after a poll nothing is left that is full or older than 5 s, and the deadline lies ahead.
    #[test]
    fn nothing_is_lost_doubled_or_late(steps in proptest::collection::vec(step(), 0..200)) {
        let mut config = BatchConfig::default();
        let frame = "{\"version\":2,\"items\":[]}".len();
        for limits in [&mut config.logs, &mut config.metrics, &mut config.spans] {
            limits.container_items = 4;
            limits.container_bytes = frame + 150;
            limits.buffered_items = 10;
            limits.buffered_bytes = 400;
        }
        let bounds = config.logs;
        let books = Books::default();
        let mut batcher = Batcher::new(config, books.clone());
        let mut now = SystemClock.now();
        let mut model = Model::default();

        for (number, step) in steps.into_iter().enumerate() {
            let mut push = |kind: &str, trace: Option<u8>, padding: usize| {
                let item = padded(number, padding);
                model.pushed.insert(number, (now, (kind.to_owned(), trace), item.len()));
                item
            };
            match step {
                Step::Log(padding) => batcher.push_log(push("log", None, padding), now).unwrap(),
                Step::Metric(padding) => batcher.push_metric(push("trace_metric", None, padding), now).unwrap(),
                Step::Span(id, padding, header) => {
                    let header = header.then_some("{\"sampled\":\"true\"}");
                    batcher.push_span(&trace(id), push("span", Some(id), padding), header, now).unwrap();
                }
                Step::Wait(milliseconds) => now += Duration::from_millis(milliseconds),
                Step::Poll => {
                    let due = batcher.deadline().is_some_and(|deadline| deadline <= now);
                    let ready = poll(&mut batcher, now);
                    prop_assert_eq!(due, !ready.is_empty());
                    for envelope in &ready {
                        model.take(envelope)?;
                    }
                    prop_assert!(batcher.deadline().is_none_or(|deadline| now < deadline && deadline <= now + AGE));
                    prop_assert_eq!(batcher.deadline().is_none(), batcher.is_empty());
                }
                Step::Flush(count) => {
                    for envelope in std::iter::from_fn(|| batcher.flush()).take(count) {
                        model.take(&envelope)?;
                    }
                }
            }

            let mut held = BTreeMap::new();
            batcher.tally(&mut |category, quantity| {
                held.insert(category.as_str().to_owned(), quantity);
            });
            let lost = books.all();
            for (kind, category, byte) in [
                ("log", "log_item", Some("log_byte")),
                ("trace_metric", "trace_metric", Some("trace_metric_byte")),
                ("span", "span", None),
            ] {
                let of = |map: &BTreeMap<String, u64>, name: &str| map.get(name).copied().unwrap_or(0);
                let missing: Vec<_> = model
                    .pushed
                    .iter()
                    .filter(|(number, (_, group, _))| group.0 == kind && !model.out.contains(number))
                    .map(|(_, (_, _, bytes))| *bytes as u64)
                    .collect();
                prop_assert_eq!(missing.len() as u64, of(&held, category) + of(&lost, category));
                prop_assert!(of(&held, category) <= bounds.buffered_items as u64);
                if let Some(byte) = byte {
                    prop_assert_eq!(missing.iter().sum::<u64>(), of(&held, byte) + of(&lost, byte));
                    prop_assert!(of(&held, byte) <= bounds.buffered_bytes as u64);
                }
            }
        }

        let rest = poll(&mut batcher, now + AGE);
        prop_assert!(batcher.is_empty(), "nothing outlives its deadline");
        for envelope in &rest {
            prop_assert!(container(envelope).payload().len() <= bounds.container_bytes);
            prop_assert!(numbers(envelope).len() <= bounds.container_items);
            model.take(envelope)?;
        }
    }
}
