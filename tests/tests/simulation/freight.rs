//! What is posted: envelopes of items that can be told apart, and what each of them counts for.
//!
//! The counts are written down here once more, from the table of categories, so that they check those of the library.

use std::collections::BTreeMap;

use envoi_core::{Lane, Payload};
use envoi_envelope::DataCategory as Category;
use envoi_envelope::{Envelope, EventId, Item};
use fastrand::Rng;

use crate::weather::pick;

/// Quantities by category.
pub(crate) type Counts = BTreeMap<Category, u64>;
/// Losses by the name of the reason and by category.
pub(crate) type Losses = BTreeMap<(String, Category), u64>;

pub(crate) fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, quantity: u64) {
    *counts.entry(key).or_default() += quantity;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Event,
    Attachment,
    Minidump,
    Transaction,
    Profile,
    Session,
    Sessions,
    Logs,
    Metrics,
    Spans,
    CheckIn,
    Feedback,
    UserReport,
    ReplayEvent,
    ReplayRecording,
    ChunkUi,
    ChunkBackend,
    ChunkOfNoPlatform,
    Statsd,
    Security,
    Unknown,
    /// A client report of the application's own.
    Report,
}

const ANY: [Kind; 22] = [
    Kind::Event,
    Kind::Attachment,
    Kind::Minidump,
    Kind::Transaction,
    Kind::Profile,
    Kind::Session,
    Kind::Sessions,
    Kind::Logs,
    Kind::Metrics,
    Kind::Spans,
    Kind::CheckIn,
    Kind::Feedback,
    Kind::UserReport,
    Kind::ReplayEvent,
    Kind::ReplayRecording,
    Kind::ChunkUi,
    Kind::ChunkBackend,
    Kind::ChunkOfNoPlatform,
    Kind::Statsd,
    Kind::Security,
    Kind::Unknown,
    Kind::Report,
];

/// An item to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ItemPlan {
    pub(crate) kind: Kind,
    /// How many entries a container has.
    pub(crate) amount: u64,
    /// How many bytes are added to the payload.
    pub(crate) padding: usize,
}

/// An envelope to be made.
#[derive(Clone, Debug)]
pub(crate) struct EnvelopePlan(pub(crate) Vec<ItemPlan>);

impl EnvelopePlan {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let mut kinds = match rng.u8(..20) {
            0..4 => vec![Kind::Event],
            4 => vec![Kind::Event, Kind::Attachment],
            5 => vec![Kind::Event, Kind::Minidump, Kind::Attachment],
            6 => vec![Kind::Minidump],
            7..9 => vec![Kind::Transaction],
            9 => vec![Kind::Transaction, Kind::Profile, Kind::Attachment],
            10 => vec![Kind::Session, Kind::Session],
            11 => vec![Kind::Sessions],
            12..14 => vec![Kind::Logs],
            14 => vec![Kind::Metrics],
            15 => vec![Kind::Spans],
            16 => vec![Kind::ReplayEvent, Kind::ReplayRecording],
            _ => (0..rng.usize(..5)).map(|_| pick(rng, &ANY)).collect(),
        };
        if rng.u8(..12) == 0 {
            kinds.push(pick(rng, &ANY));
        }
        let plan = |kind| ItemPlan {
            kind,
            amount: rng.u64(..6),
            padding: if rng.u8(..8) == 0 { rng.usize(..3000) } else { rng.usize(..60) },
        };
        Self(kinds.into_iter().map(plan).collect())
    }
}

impl EnvelopePlan {
    pub(crate) fn without_reports(rng: &mut Rng) -> Self {
        let mut plan = Self::random(rng);
        plan.0.retain(|item| item.kind != Kind::Report);
        plan
    }
}

/// What is known of an item that was posted.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) kind: Kind,
    /// The number of its envelope, in the order of posting.
    pub(crate) envelope: usize,
    pub(crate) counts: Vec<(Category, u64)>,
    /// What holds it back, its company included.
    held_by: Vec<Category>,
    pub(crate) arrived: bool,
    pub(crate) accepted: bool,
}

impl Known {
    pub(crate) fn is_held(&self, is_limited: impl Fn(&Category) -> bool) -> bool {
        self.held_by.iter().any(is_limited)
    }
}

/// All items that were ever made, by number.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    items: Vec<Known>,
    /// The lane of each envelope.
    lanes: Vec<Lane>,
}

/// An envelope that was made, and what it stands for.
pub(crate) struct Made {
    pub(crate) envelope: Envelope,
    pub(crate) counts: Counts,
    /// What its own reports tell of.
    pub(crate) carried: Losses,
}

impl Catalogue {
    pub(crate) fn get(&mut self, number: usize) -> Option<&mut Known> {
        self.items.get_mut(number)
    }

    pub(crate) fn lane(&self, envelope: usize) -> Option<Lane> {
        self.lanes.get(envelope).copied()
    }

    /// Whether an item of the envelope was delivered.
    pub(crate) fn has_accepted(&self, envelope: usize) -> bool {
        self.items.iter().any(|item| item.envelope == envelope && item.accepted)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.items.iter()
    }

    pub(crate) fn make(&mut self, plan: &EnvelopePlan) -> Made {
        let mut envelope = Envelope::new();
        let mut accepted = Vec::new();
        for plan in &plan.0 {
            let item = item(plan, self.items.len() + accepted.len());
            let bytes = item.payload().len() as u64;
            // What may not be in one envelope with the others is left out (IT-1).
            if envelope.push(item).is_ok() {
                accepted.push((plan, bytes));
            }
        }
        let has = |kind| accepted.iter().any(|(plan, _)| plan.kind == kind);
        let (event, dump, transaction) = (has(Kind::Event), has(Kind::Minidump), has(Kind::Transaction));
        let number = self.lanes.len();
        if event || transaction {
            envelope = envelope.with_event_id(event_id(number));
        }
        let mut made = Made { envelope, counts: Counts::new(), carried: Losses::new() };
        for (plan, bytes) in accepted {
            let counts = counts(plan, bytes, event);
            for (category, quantity) in &counts {
                add(&mut made.counts, category.clone(), *quantity);
            }
            if plan.kind == Kind::Report {
                add(&mut made.carried, ("sample_rate".to_owned(), Category::Error), plan.amount);
                add(&mut made.carried, ("solar_flare".to_owned(), Category::from("teapot")), 2);
            }
            let held_by = held_by(plan.kind, event || dump, transaction);
            let (kind, envelope) = (plan.kind, number);
            self.items.push(Known { kind, envelope, counts, held_by, arrived: false, accepted: false });
        }
        self.lanes.push(made.envelope.lane());
        made
    }
}

/// The id of the event in an envelope.
pub(crate) fn event_id(envelope: usize) -> EventId {
    EventId::from_bytes((envelope as u128).to_be_bytes())
}

fn item(plan: &ItemPlan, id: usize) -> Item {
    let entries = |entry: &str| vec![entry; usize::try_from(plan.amount).unwrap()].join(",");
    let filler = "x".repeat(plan.padding);
    let json = |members: &str| format!(r#"{{"sim":{id},"filler":"{filler}"{members}}}"#);
    let container = || json(&format!(r#","items":[{}]"#, entries("{}")));
    match plan.kind {
        Kind::Event => Item::event(json("")),
        Kind::Attachment => Item::attachment("a.txt", json("")),
        Kind::Minidump => Item::attachment("dump", json("")).with_attachment_type("event.minidump"),
        Kind::Transaction => Item::transaction(json(&format!(r#","spans":[{}]"#, entries("{}")))),
        Kind::Profile => Item::profile(json("")),
        Kind::Session => Item::session(json("")),
        Kind::Sessions => {
            Item::sessions(json(&format!(r#","aggregates":[{}]"#, entries(r#"{"exited":2,"crashed":1}"#))))
        }
        // With and without a count in the header.
        Kind::Logs if plan.amount.is_multiple_of(2) => Item::new("log", container()),
        Kind::Logs => Item::logs(plan.amount, container()),
        Kind::Metrics => Item::metrics(plan.amount, container()),
        Kind::Spans => Item::spans(plan.amount, container()),
        Kind::CheckIn => Item::check_in(json("")),
        Kind::Feedback => Item::feedback(json("")),
        Kind::UserReport => Item::new("user_report", json("")),
        Kind::ReplayEvent => Item::replay_event(json("")),
        Kind::ReplayRecording => Item::replay_recording(json("")),
        Kind::ChunkUi => Item::profile_chunk("cocoa", json("")),
        Kind::ChunkBackend => Item::profile_chunk("python", json("")),
        Kind::ChunkOfNoPlatform => Item::new("profile_chunk", json("")),
        Kind::Statsd => Item::new("statsd", json("")),
        Kind::Security => Item::new("raw_security", json("")),
        Kind::Unknown => Item::new("hologram", json("")),
        Kind::Report => {
            let rows = format!(
                r#","discarded_events":[{{"reason":"sample_rate","category":"error","quantity":{}}},{{"reason":"solar_flare","category":"teapot","quantity":2}}]"#,
                plan.amount,
            );
            Item::client_report(json(&rows))
        }
    }
}

/// The number of an item that [`Catalogue::make`] has made.
pub(crate) fn number_of(item: &Item) -> Option<usize> {
    let text = std::str::from_utf8(item.payload()).ok()?;
    let (_, rest) = text.split_once(r#""sim":"#)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn counts(plan: &ItemPlan, bytes: u64, has_event: bool) -> Vec<(Category, u64)> {
    let counts = match plan.kind {
        Kind::Event => vec![(Category::Error, 1)],
        Kind::Minidump if !has_event => vec![(Category::Error, 1)],
        Kind::Attachment | Kind::Minidump => vec![(Category::Attachment, bytes)],
        Kind::Transaction => vec![(Category::Transaction, 1), (Category::Span, plan.amount + 1)],
        Kind::Profile => vec![(Category::Profile, 1)],
        Kind::Session => vec![(Category::Session, 1)],
        Kind::Sessions => vec![(Category::Session, 3 * plan.amount)],
        Kind::Logs => vec![(Category::LogItem, plan.amount), (Category::LogByte, bytes)],
        Kind::Metrics => vec![(Category::TraceMetric, plan.amount), (Category::TraceMetricByte, bytes)],
        Kind::Spans => vec![(Category::Span, plan.amount)],
        Kind::CheckIn => vec![(Category::Monitor, 1)],
        Kind::Feedback | Kind::UserReport => vec![(Category::Feedback, 1)],
        Kind::ReplayEvent | Kind::ReplayRecording => vec![(Category::Replay, 1)],
        Kind::ChunkUi => vec![(Category::ProfileChunkUi, 1)],
        Kind::ChunkBackend => vec![(Category::ProfileChunk, 1)],
        Kind::Statsd => vec![(Category::MetricBucket, 1)],
        Kind::Security => vec![(Category::Security, 1)],
        Kind::ChunkOfNoPlatform | Kind::Unknown | Kind::Report => Vec::new(),
    };
    counts.into_iter().filter(|(_, quantity)| *quantity > 0).collect()
}

/// The limits that hold an item: its own, and those of what it goes along with (decision 8).
fn held_by(kind: Kind, with_event: bool, with_transaction: bool) -> Vec<Category> {
    let mut held_by = match kind {
        Kind::Event | Kind::Minidump => vec![Category::Error],
        Kind::Attachment => vec![Category::Attachment, Category::AttachmentItem],
        Kind::Transaction => vec![Category::Transaction],
        Kind::Profile => vec![Category::Profile],
        Kind::Session | Kind::Sessions => vec![Category::Session],
        Kind::Logs => vec![Category::LogItem, Category::LogByte],
        Kind::Metrics => vec![Category::TraceMetric, Category::TraceMetricByte],
        Kind::Spans => vec![Category::Span],
        Kind::CheckIn => vec![Category::Monitor],
        Kind::Feedback => vec![Category::Feedback],
        Kind::ReplayEvent | Kind::ReplayRecording => vec![Category::Replay],
        Kind::ChunkUi => vec![Category::ProfileChunkUi, Category::ProfileDurationUi],
        Kind::ChunkBackend => vec![Category::ProfileChunk, Category::ProfileDuration],
        Kind::Statsd => vec![Category::MetricBucket],
        Kind::Security => vec![Category::Security],
        Kind::UserReport | Kind::ChunkOfNoPlatform | Kind::Unknown | Kind::Report => Vec::new(),
    };
    if kind == Kind::Attachment && with_event {
        held_by.push(Category::Error);
    }
    if matches!(kind, Kind::Attachment | Kind::Profile) && with_transaction {
        held_by.push(Category::Transaction);
    }
    held_by
}
