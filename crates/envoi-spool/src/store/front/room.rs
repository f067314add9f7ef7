//! Who goes when there is no room, and how that is recorded (OC-2, decision 19).

use std::collections::HashMap;

use envoi_core::{DiscardReason, Itemized, Lane};

use super::{Event, Events, Front};
use crate::format::AckKind;
use crate::store::SpoolConfig;
use crate::store::entry::{Address, Body, Entry};

impl<P: Itemized> Front<P> {
    /// Destroys what is left of an entry that was taken off its shelf, and records it once.
    pub(in crate::store) fn destroyed(
        &mut self,
        order: u64,
        mut entry: Entry<P>,
        reason: DiscardReason,
        kind: AckKind,
        events: &mut Events<P::Category>,
    ) {
        self.carrier_ended(order, Some(kind));
        self.cancel_job(order, &mut entry);
        self.note_all(&entry, kind);
        let mut news = Vec::new();
        if let Body::Here(parcel) = &entry.body {
            parcel.payload().carried_losses(&mut |reason, category, quantity| {
                news.push((reason, category.clone(), quantity));
            });
        }
        if !news.is_empty() {
            events.push(Event::Restore(news));
        }
        if !entry.label.tally.is_empty() {
            let told = entry.label.tally.iter();
            self.losses
                .extend(told.map(|(category, quantity)| (reason.clone(), category.clone(), *quantity)));
            events.push(Event::Lost(reason, entry.label.tally));
        }
        events.push(Event::Gone(entry.tag));
    }

    pub(in crate::store) fn destroy(
        &mut self,
        (lane, order): (usize, u64),
        reason: Option<DiscardReason>,
        kind: AckKind,
        events: &mut Events<P::Category>,
    ) {
        if let Some(entry) = self.shelves[lane].take(order) {
            let reason = reason.unwrap_or_else(|| entry.overflow());
            self.counters.evicted += 1;
            self.destroyed(order, entry, reason, kind, events);
        }
    }

    /// The oldest of the least urgent lane that is not more urgent than `lane` (decision 19).
    pub(in crate::store) fn victim(
        &self,
        lane: usize,
        may: impl Fn(&Entry<P>) -> bool,
    ) -> Option<(usize, u64)> {
        (lane..Lane::COUNT).rev().find_map(|lane| {
            let (order, _) = self.shelves[lane].iter().find(|(_, entry)| may(entry))?;
            Some((lane, order))
        })
    }

    pub(in crate::store) fn evict(
        &mut self,
        lane: usize,
        may: impl Fn(&Entry<P>) -> bool,
        events: &mut Events<P::Category>,
    ) -> bool {
        let victim = self.victim(lane, may);
        if let Some(victim) = victim {
            self.destroy(victim, None, AckKind::Evicted, events);
        }
        victim.is_some()
    }

    /// Lets go what is too old (OC-2): the oldest of each lane while it is, or wherever it stands.
    pub(in crate::store) fn expire(
        &mut self,
        everywhere: bool,
        config: &SpoolConfig,
        wall_ms: u64,
        events: &mut Events<P::Category>,
    ) {
        let max_age = u64::try_from(config.max_age.as_millis()).unwrap_or(u64::MAX);
        for lane in 0..Lane::COUNT {
            let is_old = |entry: &Entry<P>| entry.wall_ms.saturating_add(max_age) <= wall_ms;
            let in_order = self.shelves[lane].iter().take_while(|(_, entry)| everywhere || is_old(entry));
            let old: Vec<u64> = in_order.filter(|(_, entry)| is_old(entry)).map(|(order, _)| order).collect();
            for order in old {
                self.destroy((lane, order), Some(DiscardReason::CacheOverflow), AckKind::Expired, events);
            }
        }
    }

    /// Evicts until `count` more entries of `size` bytes would fit, sparing what is more urgent than `lane` (OC-2).
    pub(in crate::store) fn make_room(
        &mut self,
        lane: usize,
        (count, size): (usize, u64),
        config: &SpoolConfig,
        events: &mut Events<P::Category>,
    ) -> bool {
        while self.entries() + count > config.max_count || self.size() + size > config.max_bytes {
            if !self.evict(lane, |_| true, events) {
                return false;
            }
        }
        true
    }

    /// Lets go of payloads in memory until `bytes` more fit: first those that are on disk as well, then, in a lane that
    /// is not more urgent, those that are nowhere else.
    pub(in crate::store) fn make_memory(
        &mut self,
        lane: usize,
        bytes: usize,
        config: &SpoolConfig,
        events: &mut Events<P::Category>,
    ) -> bool {
        let cap = config.cache_bytes;
        if self.cached() + bytes <= cap {
            return true;
        }
        for shelf in &mut self.shelves {
            let spare: Vec<u64> = shelf
                .iter()
                .filter(|(_, entry)| {
                    entry.address.is_some() && !entry.is_in_writing() && entry.body.is_here()
                })
                .map(|(order, _)| order)
                .collect();
            for order in spare {
                shelf.edit(order, |entry| entry.body = Body::Away);
            }
        }
        while self.cached() + bytes > cap {
            if !self.evict(lane, |entry| entry.address.is_none() && !entry.is_in_writing(), events) {
                return false;
            }
        }
        true
    }

    /// Lets go of these records, to free what they take on disk.
    pub(in crate::store) fn evict_at(
        &mut self,
        lane: usize,
        addresses: &[Address],
        events: &mut Events<P::Category>,
    ) {
        let at: HashMap<Address, u64> =
            self.shelves[lane].iter().filter_map(|(order, entry)| Some((entry.address?, order))).collect();
        for address in addresses {
            if let Some(order) = at.get(address) {
                self.destroy((lane, *order), Some(DiscardReason::CacheOverflow), AckKind::Evicted, events);
            }
        }
    }

    /// The disk of a slot is gone. What is in memory goes on from there; the rest is lost.
    pub(in crate::store) fn forget_source(&mut self, source: u32, events: &mut Events<P::Category>) {
        let is_there = |entry: &Entry<P>| entry.address.is_some_and(|address| address.source == source);
        for loan in self.loans.values_mut().filter(|loan| is_there(&loan.entry)) {
            loan.entry.address = None;
        }
        let entries = self.loans.values_mut().map(|loan| &mut loan.entry);
        entries.for_each(|entry| entry.former.retain(|address| address.source != source));
        for lane in 0..Lane::COUNT {
            let all: Vec<u64> = self.shelves[lane].iter().map(|(order, _)| order).collect();
            for order in all {
                self.shelves[lane]
                    .edit(order, |entry| entry.former.retain(|address| address.source != source));
            }
            let there: Vec<u64> = self.shelves[lane]
                .iter()
                .filter(|(_, entry)| is_there(entry))
                .map(|(order, _)| order)
                .collect();
            for order in there {
                let here = self.shelves[lane].edit(order, |entry| {
                    entry.address = None;
                    entry.body.is_here()
                });
                if here == Some(false)
                    && let Some(entry) = self.shelves[lane].take(order)
                {
                    self.counters.corrupt += 1;
                    self.destroyed(order, entry, DiscardReason::InternalSdkError, AckKind::Corrupt, events);
                }
            }
        }
        self.notes.retain(|(address, _)| address.source != source);
    }

    /// Lets go of what a close cannot keep.
    pub(in crate::store) fn drop_if(
        &mut self,
        may: impl Fn(&Entry<P>) -> bool,
        events: &mut Events<P::Category>,
    ) {
        while let Some((lane, order)) = self.victim(0, &may) {
            if let Some(entry) = self.shelves[lane].take(order) {
                self.destroyed(order, entry, DiscardReason::QueueOverflow, AckKind::Evicted, events);
            }
        }
    }
}
