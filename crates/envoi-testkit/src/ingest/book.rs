use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use envoi_core::{DiscardReason, Itemized};
use envoi_envelope::{DataCategory, Envelope, EventId, ItemType};
use http::StatusCode;
use serde_json::Value;

use super::record::Record;
use super::server::Summary;

/// How many ids are remembered to recognise duplicates.
const IDS: usize = 100_000;

/// Quantities by category.
pub(super) type Tally = BTreeMap<DataCategory, u64>;

/// What the server remembers. Counters are kept for ever, requests only within bounds.
#[derive(Debug)]
pub(super) struct Book {
    ring: VecDeque<Arc<Record>>,
    weight: usize,
    capacity: (usize, usize),
    ids: HashSet<EventId>,
    ids_in_order: VecDeque<EventId>,
    pub(super) accepted: Tally,
    pub(super) refused: BTreeMap<StatusCode, Tally>,
    pub(super) reported: BTreeMap<(DiscardReason, DataCategory), u64>,
}

impl Book {
    /// Remembers at most so many requests and so many bytes, but always the last one.
    pub(super) fn new(requests: usize, bytes: usize) -> Self {
        Self {
            ring: VecDeque::new(),
            weight: 0,
            capacity: (requests.max(1), bytes),
            ids: HashSet::new(),
            ids_in_order: VecDeque::new(),
            accepted: Tally::new(),
            refused: BTreeMap::new(),
            reported: BTreeMap::new(),
        }
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.ring.iter()
    }

    /// The id of the event in `envelope`, if one with this id was accepted before. Attachments and reports may come
    /// under the id of an event that came alone.
    pub(super) fn duplicate(&self, envelope: &Envelope) -> Option<EventId> {
        event_id(envelope).filter(|id| self.ids.contains(id))
    }

    /// Books a request that has been answered, and counts it in `summary`.
    pub(super) fn enter(&mut self, record: &Arc<Record>, summary: &mut Summary) {
        summary.requests += 1;
        summary.wire_bytes += record.wire.len() as u64;
        summary.body_bytes += record.body.len() as u64;
        summary.problems += u64::from(!record.problems.is_empty());
        match record.status {
            Some(status) => *summary.statuses.entry(status).or_default() += 1,
            None => summary.unanswered += 1,
        }
        if let (Some(envelope), Some(status)) = (&record.envelope, record.status) {
            self.enter_envelope(envelope, status, summary);
        }
        self.remember(Arc::clone(record));
    }

    fn enter_envelope(&mut self, envelope: &Envelope, status: StatusCode, summary: &mut Summary) {
        let tally = if status.is_success() {
            summary.accepted += 1;
            summary.items += envelope.items().len() as u64;
            if let Some(id) = event_id(envelope) {
                if self.ids.insert(id) {
                    self.ids_in_order.push_back(id);
                } else {
                    summary.duplicates += 1;
                }
                if self.ids_in_order.len() > IDS
                    && let Some(oldest) = self.ids_in_order.pop_front()
                {
                    self.ids.remove(&oldest);
                }
            }
            &mut self.accepted
        } else {
            self.refused.entry(status).or_default()
        };
        envelope.tally(&mut |category, quantity| {
            let sum = tally.entry(category.clone()).or_default();
            *sum = sum.saturating_add(quantity);
        });
        // A 429 means that the reports have been read (decision 14).
        if status.is_success() || status == StatusCode::TOO_MANY_REQUESTS {
            for item in envelope.items().iter().filter(|item| *item.item_type() == ItemType::ClientReport) {
                self.enter_report(item.payload());
            }
        }
    }

    /// Reads a report on its own, not with the code of the client: so it is a check of that code.
    fn enter_report(&mut self, payload: &[u8]) {
        let report: Value = serde_json::from_slice(payload).unwrap_or_default();
        for lost in report["discarded_events"].as_array().into_iter().flatten() {
            if let (Some(reason), Some(category), Some(quantity)) =
                (lost["reason"].as_str(), lost["category"].as_str(), lost["quantity"].as_u64())
            {
                let key = (DiscardReason::from(reason), DataCategory::from(category));
                let sum = self.reported.entry(key).or_default();
                *sum = sum.saturating_add(quantity);
            }
        }
    }

    fn remember(&mut self, record: Arc<Record>) {
        self.weight += record.weight();
        self.ring.push_back(record);
        while self.ring.len() > self.capacity.0 || (self.weight > self.capacity.1 && self.ring.len() > 1) {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.weight -= oldest.weight();
        }
    }
}

fn event_id(envelope: &Envelope) -> Option<EventId> {
    let has_event = envelope
        .items()
        .iter()
        .any(|item| matches!(item.item_type(), ItemType::Event | ItemType::Transaction));
    envelope.event_id().filter(|_| has_event)
}
