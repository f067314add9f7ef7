//! Envelopes as payloads of a transport: the traits of `envoi-core`.

mod codec;
mod shed;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use envoi_core::{BoxError, DiscardReason, Durable, Itemized, Lane, Payload, Weight};

use crate::quantity::{self, Company};
use crate::reports::parse_discarded;
use crate::{DataCategory, Envelope, Item, ItemType};

pub use codec::{CONTENT_TYPE, EnvelopeCodec, EnvelopeCodecError};

impl Payload for Envelope {
    fn weight(&self) -> Weight {
        Weight { items: self.items().len().max(1), bytes: self.written_bytes() }
    }

    /// The most urgent of its items (TP-2). Reports that ride along do not make an envelope urgent.
    fn lane(&self) -> Lane {
        self.items().iter().filter(|item| !item.is_rider()).map(lane_of).min().unwrap_or_default()
    }

    /// The event id, without dashes.
    fn id(&self) -> Option<Cow<'_, str>> {
        self.event_id().map(|id| Cow::Owned(id.to_string()))
    }
}

fn lane_of(item: &Item) -> Lane {
    match item.item_type() {
        ItemType::Event | ItemType::UnrealReport | ItemType::Feedback | ItemType::UserReport => {
            Lane::Critical
        }
        ItemType::Attachment if quantity::is_crash_report(item) => Lane::Critical,
        ItemType::Session | ItemType::Sessions | ItemType::CheckIn => Lane::High,
        ItemType::Log
        | ItemType::OtelLog
        | ItemType::TraceMetric
        | ItemType::Statsd
        | ItemType::MetricBuckets
        | ItemType::Profile
        | ItemType::ProfileChunk => Lane::Low,
        ItemType::ReplayEvent | ItemType::ReplayRecording | ItemType::ReplayVideo => Lane::Lowest,
        _ => Lane::Medium,
    }
}

impl Itemized for Envelope {
    type Category = DataCategory;

    /// What decision 12 says. Payloads are counted on the first call only.
    fn tally(&self, visit: &mut dyn FnMut(&DataCategory, u64)) {
        let company = Company::of(self.items());
        for item in self.items() {
            for (category, quantity) in quantity::lost_with(item, company) {
                visit(category, quantity);
            }
        }
    }

    /// What decisions 8 to 11 say: an event or a transaction takes its attachments along, a transaction its profile.
    fn shed(
        &mut self,
        limited: &mut dyn FnMut(&DataCategory) -> bool,
        lost: &mut dyn FnMut(&DataCategory, u64),
    ) {
        let company = Company::of(self.items());
        let plan = shed::Plan::new(self.items(), limited);
        let before = self.items().len();
        self.retain(|item| {
            let goes = plan.takes(item, limited);
            if goes {
                quantity::lost_with(item, company).for_each(|(category, count)| lost(category, count));
            }
            !goes
        });
        if self.items().len() < before {
            self.is_stripped = self.is_only_client_reports();
        }
    }

    fn clear(&mut self, lost: &mut dyn FnMut(&DataCategory, u64)) {
        self.tally(lost);
        self.retain(|_| false);
    }

    fn is_held(&self, limited: &mut dyn FnMut(&DataCategory) -> bool) -> bool {
        if self.is_empty() || self.is_only_client_reports() {
            return false;
        }
        let plan = shed::Plan::new(self.items(), limited);
        let is_report = |item: &Item| *item.item_type() == ItemType::ClientReport;
        self.items().iter().all(|item| is_report(item) || plan.takes(item, limited))
    }

    fn holders(&self, visit: &mut dyn FnMut(&[DataCategory])) -> bool {
        shed::holders(self.items(), visit);
        true
    }

    /// Without items (EN-6), with nothing but reports that ride along, or with nothing but reports after everything
    /// else was shed (decision 11). An envelope that was made of reports is worth a request.
    fn is_spent(&self) -> bool {
        self.is_stripped || self.items().iter().all(Item::is_rider)
    }

    fn carried_losses(&self, visit: &mut dyn FnMut(DiscardReason, &DataCategory, u64)) {
        for item in self.items().iter().filter(|item| *item.item_type() == ItemType::ClientReport) {
            parse_discarded(item.payload(), &mut *visit);
        }
    }
}

impl Durable for Envelope {
    /// The envelope as bytes, without reports that were attached at send time (decision 14) and without adding
    /// `sent_at` (EN-5). An envelope that was not changed gives the bytes that it was read from.
    fn freeze(&self) -> Result<Bytes, BoxError> {
        Ok(self.to_bytes_without_riders())
    }

    fn thaw(bytes: Bytes) -> Result<Self, BoxError> {
        Ok(Self::parse(bytes)?)
    }

    fn is_worth_storing(&self) -> bool {
        self.items().iter().any(|item| {
            let is_report = *item.item_type() == ItemType::ClientReport;
            !is_report || (self.is_forwarded && !item.is_rider())
        })
    }
}
