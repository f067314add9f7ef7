//! How the verbs look at a disk buffer.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use envoi::core::{Clock, SystemClock};
use envoi::spool::SpoolConfig;
use envoi::spool::store::{LaneView, RecordView, SlotView, inspect};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::text;

/// Everything that is in the directory.
///
/// # Errors
/// If it cannot be read, or is no disk buffer.
pub(super) fn open(dir: &Path) -> Result<Vec<SlotView>, CliError> {
    let slots = inspect(dir).map_err(|error| {
        CliError::failed(format_args!("cannot read the spool {}: {error}", dir.display()))
    })?;
    if slots.is_empty() {
        return Err(CliError::failed(format_args!("{} is no spool: there is no slot in it", dir.display())));
    }
    Ok(slots)
}

/// As [`open`], for verbs that write.
///
/// # Errors
/// If it is in use, too (OC-10).
pub(super) fn open_unused(dir: &Path) -> Result<Vec<SlotView>, CliError> {
    let slots = open(dir)?;
    match slots.iter().find_map(|slot| Some((slot, slot.owner.as_ref()?))) {
        Some((slot, owner)) => Err(CliError::failed(format_args!(
            "the spool {} is in use: {owner} has {}; end that process first",
            dir.display(),
            slot.name
        ))),
        None => Ok(slots),
    }
}

/// Settings under which nothing is evicted: whoever looks after a buffer by hand wants what is in it.
pub(crate) fn unbounded() -> SpoolConfig {
    SpoolConfig::new()
        .on_busy(envoi::spool::OnBusy::Error)
        .max_count(usize::MAX)
        .max_bytes(u64::MAX)
        .max_age(FOR_EVER)
        .min_free(0)
}

/// A hundred years.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A record and where it is.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) slot: &'a SlotView,
    pub(super) lane: &'a LaneView,
    pub(super) record: &'a RecordView,
}

/// All records, slot by slot, lane by lane, oldest first.
pub(super) fn places(slots: &[SlotView]) -> impl Iterator<Item = Place<'_>> {
    slots.iter().flat_map(|slot| {
        let of = move |lane| move |record| Place { slot, lane, record };
        slot.lanes.iter().flat_map(move |lane| lane.records.iter().map(of(lane)))
    })
}

impl Place<'_> {
    /// `slot-00/critical/17`: names the record for good.
    pub(super) fn address(&self) -> String {
        format!("{}/{}/{}", self.slot.name, self.lane.lane.as_str(), self.record.seq)
    }

    /// Whether it is a payload, and not a report of losses.
    pub(super) const fn is_entry(&self) -> bool {
        self.record.losses.is_none()
    }

    pub(super) fn json(&self) -> Value {
        let record = self.record;
        let losses = record.losses.as_ref().map(|losses| {
            let of = |(reason, category, quantity): &(envoi::DiscardReason, String, u64)| {
                json!({ "reason": reason.as_str(), "category": category, "quantity": quantity })
            };
            losses.iter().map(of).collect::<Vec<_>>()
        });
        json!({
            "address": self.address(),
            "slot": self.slot.name,
            "lane": self.lane.lane.as_str(),
            "seq": record.seq,
            "segment": record.segment,
            "kind": if losses.is_some() { "losses" } else { "envelope" },
            "losses": losses,
            "accepted_ms": record.enqueued_ms,
            "age_s": age(record.enqueued_ms).as_secs(),
            "attempts": record.attempts,
            "items": record.items,
            "categories": record.tally.iter().cloned().collect::<BTreeMap<_, _>>(),
            "payload_bytes": record.payload_bytes,
            "bytes_on_disk": record.bytes_on_disk,
            "is_sound": record.is_sound,
        })
    }

    /// What is in it, in words.
    pub(super) fn content(&self) -> String {
        let part = |name: &str, quantity: u64| format!("{name} {}", text::grouped(quantity));
        let parts: Vec<String> = match &self.record.losses {
            None => self.record.tally.iter().map(|(name, quantity)| part(name, *quantity)).collect(),
            Some(losses) => losses.iter().map(|(_, name, quantity)| part(name, *quantity)).collect(),
        };
        let parts = parts.join(", ");
        if self.is_entry() { parts } else { format!("report of losses: {parts}") }
    }
}

/// How long ago a moment is, in milliseconds since the Unix epoch.
pub(super) fn age(ms: u64) -> Duration {
    let now = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(ms))
}

/// An age in words: `12 s`, `5 min`, `3 h`, `40 d`.
pub(super) fn in_words(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", text::grouped(seconds / 86_400)),
    }
}

/// Sums of what waits, by category.
pub(super) fn by_category<'a>(places: impl Iterator<Item = Place<'a>>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (category, quantity) in places.filter(Place::is_entry).flat_map(|place| &place.record.tally) {
        let sum: &mut u64 = sums.entry(category.clone()).or_default();
        *sum = sum.saturating_add(*quantity);
    }
    sums
}

/// The owner of a slot for machines.
pub(super) fn owner(slot: &SlotView) -> Value {
    slot.owner.as_ref().map_or(
        Value::Null,
        |owner| json!({ "pid": owner.pid, "host": owner.host, "program": owner.program }),
    )
}
