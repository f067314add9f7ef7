//! Losses of the store itself are on disk until they have been reported (CR-6).

use std::fmt::Display;
use std::time::{Duration, Instant};

use bytes::Bytes;
use envoi_core::{Durable, Itemized, Lane, StoreHost};

use super::Engine;
use crate::format::{AckKind, KIND_LOSS};
use crate::fs::Fs;
use crate::log::NewRecord;
use crate::store::entry::Address;
use crate::store::front::Told;
use crate::store::meta::{News, encode_news};

/// For so long nothing may be pending before losses count as reported: news that a queue above has taken out of the books
/// gets here in the meantime, as a parcel.
const QUIET: Duration = Duration::from_secs(1);
/// More reports of losses than this are made into one.
const MANY_REPORTS: usize = 32;

pub(super) fn add_up<C: Clone + PartialEq>(sums: &mut News<C>, news: &News<C>) {
    for (reason, category, quantity) in news {
        match sums.iter_mut().find(|(known, name, _)| known == reason && name == category) {
            Some((.., sum)) => *sum = sum.saturating_add(*quantity),
            None => sums.push((reason.clone(), category.clone(), *quantity)),
        }
    }
}

impl<F, P> Engine<F, P>
where
    F: Fs,
    P: Durable + Itemized<Category: From<String> + Display>,
{
    /// Writes losses down before the records are let go, so that they are reported even after a crash.
    pub(super) fn report(&mut self, losses: &News<P::Category>) {
        if losses.is_empty() {
            return;
        }
        self.quiet_since = None;
        self.inner.lock().carriers = None;
        add_up(&mut self.untold, losses);
        // A long outage does not fill the disk with reports of what it has cost.
        if self.reports.len() < MANY_REPORTS {
            let mut sums = News::new();
            add_up(&mut sums, losses);
            self.write_report(&sums);
        } else {
            let replaced = std::mem::take(&mut self.reports);
            let all = std::mem::take(&mut self.untold);
            let is_written = self.write_report(&all);
            self.untold = all;
            if is_written {
                let superseded = replaced.into_iter().map(|address| (address, AckKind::Superseded));
                self.settle(superseded.collect());
            } else {
                self.reports = replaced;
            }
        }
    }

    /// Says whether it is on disk. On one that takes nothing losses are told from memory, as ever.
    pub(super) fn write_report(&mut self, sums: &News<P::Category>) -> bool {
        let Some(slot) = &mut self.disk.own else { return false };
        let lane = Lane::Critical.index();
        let payload = [Bytes::from(encode_news(sums))];
        let enqueued_ms = self.inner.wall_ms();
        let record = NewRecord { meta: &[], payload: &payload, enqueued_ms, kind: KIND_LOSS, flags: 0 };
        let Ok(seqs) = slot.lanes[lane].append(&[record]) else { return false };
        let source = slot.source;
        self.reports.extend(seqs.into_iter().map(|seq| Address { source, lane, seq: seq.0 }));
        self.is_dirty();
        true
    }

    /// Lets go of the losses on disk that were reported: nothing is pending, and all who were under way when that began
    /// were delivered. So a crash tells a loss twice only if it comes in the second after its report.
    pub(super) fn retire_reports(&mut self, now: Instant) {
        self.report_due = None;
        if self.reports.is_empty() {
            return;
        }
        let is_pending = self.inner.host().is_none_or(StoreHost::has_unreported);
        let mut front = self.inner.lock();
        let told = front.told().filter(|_| !is_pending);
        let since = match self.quiet_since.filter(|_| told.is_some()) {
            Some(since) => since,
            None => {
                // Nobody is waited for while there is more to be told.
                front.carriers = None;
                if !is_pending {
                    front.watch_carriers();
                }
                self.quiet_since = Some(now);
                now
            }
        };
        let is_quiet = now.saturating_duration_since(since) >= QUIET;
        match front.told() {
            Some(Told::All) if is_quiet => {
                front.carriers = None;
                drop(front);
                self.forget_reports();
            }
            Some(Told::Perhaps) if is_quiet => {
                front.watch_carriers();
                self.quiet_since = Some(now);
                self.report_due = Some(now + QUIET);
            }
            Some(Told::All | Told::Perhaps) => self.report_due = Some(since + QUIET),
            Some(Told::NotYet) | None => {}
        }
    }

    pub(super) fn forget_reports(&mut self) {
        self.untold.clear();
        let reports = std::mem::take(&mut self.reports);
        self.settle(reports.into_iter().map(|address| (address, AckKind::Delivered)).collect());
    }
}
