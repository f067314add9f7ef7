//! What items count for when they are lost, and which limits hold them (decisions 8 to 10, 12 and 13).

mod payload;

#[cfg(test)]
mod tests;

use crate::DataCategory::{self as Category};
use crate::{Item, ItemType};

/// A category and how much of it.
pub(crate) type Quantity = (&'static Category, u64);

/// What the other items of an envelope mean for one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Company {
    /// Whether there is an event for crash reports to belong to.
    has_event: bool,
}

impl Company {
    pub(crate) fn of(items: &[Item]) -> Self {
        Self { has_event: items.iter().any(is_event) }
    }
}

/// Whether a server makes an error event of this item.
pub(crate) const fn is_event(item: &Item) -> bool {
    matches!(item.item_type(), ItemType::Event | ItemType::UnrealReport)
}

/// Whether this is the attachment that a native crash is made of.
pub(crate) fn is_crash_report(item: &Item) -> bool {
    *item.item_type() == ItemType::Attachment
        && item
            .attachment_type()
            .is_some_and(|ty| matches!(&*ty, "event.minidump" | "event.applecrashreport"))
}

/// What is lost with `item`: at most two quantities, none of them zero.
pub(crate) fn lost_with(item: &Item, company: Company) -> impl Iterator<Item = Quantity> {
    let bytes = item.payload().len() as u64;
    let one = |category| [(category, 1), (category, 0)];
    let quantities: [Quantity; 2] = match item.item_type() {
        ItemType::Event | ItemType::UnrealReport => one(&Category::Error),
        ItemType::Transaction => {
            [(&Category::Transaction, 1), (&Category::Span, counted(item).saturating_add(1))]
        }
        ItemType::Attachment if !company.has_event && is_crash_report(item) => one(&Category::Error),
        ItemType::Attachment => [(&Category::Attachment, bytes.max(1)), (&Category::Attachment, 0)],
        ItemType::Session => one(&Category::Session),
        ItemType::Sessions => [(&Category::Session, counted(item)), (&Category::Session, 0)],
        ItemType::Log | ItemType::OtelLog => {
            [(&Category::LogItem, counted(item)), (&Category::LogByte, bytes)]
        }
        ItemType::TraceMetric => {
            [(&Category::TraceMetric, counted(item)), (&Category::TraceMetricByte, bytes)]
        }
        ItemType::Span => [(&Category::Span, counted(item)), (&Category::Span, 0)],
        ItemType::OtelSpan | ItemType::OtelTracesData => one(&Category::Span),
        ItemType::Profile => one(&Category::Profile),
        ItemType::ProfileChunk => match chunk_categories(item) {
            [category, ..] => one(category),
            [] => none(),
        },
        ItemType::ReplayEvent | ItemType::ReplayRecording | ItemType::ReplayVideo => one(&Category::Replay),
        ItemType::Feedback | ItemType::UserReport => one(&Category::Feedback),
        ItemType::CheckIn => one(&Category::Monitor),
        ItemType::Statsd | ItemType::MetricBuckets => one(&Category::MetricBucket),
        ItemType::Security | ItemType::RawSecurity => one(&Category::Security),
        ItemType::ClientReport
        | ItemType::FormData
        | ItemType::Nel
        | ItemType::Integration
        | ItemType::Other(_) => none(),
    };
    quantities.into_iter().filter(|(_, quantity)| *quantity > 0)
}

const fn none() -> [Quantity; 2] {
    [(&Category::Default, 0), (&Category::Default, 0)]
}

/// The limits that hold an item of its own accord; what goes along with others is the business of shedding.
pub(crate) fn held_by(item: &Item) -> &'static [Category] {
    match item.item_type() {
        ItemType::Event | ItemType::UnrealReport => &[Category::Error],
        ItemType::Transaction => &[Category::Transaction],
        ItemType::Attachment if is_crash_report(item) => &[Category::Error],
        ItemType::Attachment => &[Category::Attachment, Category::AttachmentItem],
        ItemType::Session | ItemType::Sessions => &[Category::Session],
        ItemType::Log | ItemType::OtelLog => &[Category::LogItem, Category::LogByte],
        ItemType::TraceMetric => &[Category::TraceMetric, Category::TraceMetricByte],
        ItemType::Span | ItemType::OtelSpan | ItemType::OtelTracesData => &[Category::Span],
        ItemType::Profile => &[Category::Profile],
        ItemType::ProfileChunk => chunk_categories(item),
        ItemType::ReplayEvent | ItemType::ReplayRecording | ItemType::ReplayVideo => &[Category::Replay],
        ItemType::Feedback => &[Category::Feedback],
        ItemType::CheckIn => &[Category::Monitor],
        ItemType::Statsd | ItemType::MetricBuckets => &[Category::MetricBucket],
        ItemType::Security | ItemType::RawSecurity => &[Category::Security],
        ItemType::UserReport
        | ItemType::ClientReport
        | ItemType::FormData
        | ItemType::Nel
        | ItemType::Integration
        | ItemType::Other(_) => &[],
    }
}

/// Decision 9: by platform; without one a chunk has no category.
fn chunk_categories(item: &Item) -> &'static [Category] {
    match item.platform().as_deref() {
        None => &[],
        Some("cocoa" | "android" | "javascript") => &[Category::ProfileChunkUi, Category::ProfileDurationUi],
        Some(_) => &[Category::ProfileChunk, Category::ProfileDuration],
    }
}

/// What has to be counted in the payload, unless the header says it. Counted once per item.
fn counted(item: &Item) -> u64 {
    match item.item_type() {
        ItemType::Transaction => *item.counted.get_or_init(|| payload::spans(item.payload())),
        ItemType::Sessions => *item.counted.get_or_init(|| payload::sessions(item.payload())),
        _ => item
            .item_count()
            .unwrap_or_else(|| *item.counted.get_or_init(|| payload::container(item.payload()))),
    }
}
