//! What the thread has to say: written, read, failed.

use std::time::Instant;

use envoi_core::{DiscardReason, Itemized, Meta, Origin, Parcel};

use super::{Events, Fetch, Front, Job};
use crate::format::AckKind;
use crate::store::SpoolConfig;
use crate::store::entry::{Address, Body, Entry};
use crate::store::shelf::Place;

impl<P: Itemized> Front<P> {
    /// A record was written.
    pub(in crate::store) fn written(
        &mut self,
        job: &Job,
        address: Address,
        is_synced: bool,
        config: &SpoolConfig,
    ) {
        self.counters.written += 1;
        let crowded = self.cached() > config.cache_bytes;
        let landed = |entry: &mut Entry<P>| {
            entry.writes -= 1;
            entry.former.extend(entry.address.replace(address));
            if is_synced { std::mem::take(&mut entry.former) } else { Vec::new() }
        };
        let former = if let Some(loan) = self.loans.get_mut(&job.order) {
            Some(landed(&mut loan.entry))
        } else {
            self.shelves[job.lane].edit(job.order, |entry| {
                if crowded && entry.writes == 1 {
                    entry.body = Body::Away;
                }
                landed(entry)
            })
        };
        match former {
            Some(former) => {
                self.notes.extend(former.into_iter().map(|address| (address, AckKind::Superseded)));
                if self.shelves[job.lane].place(job.order) == Some(Place::Writing) {
                    self.shelves[job.lane].call_up(job.order);
                }
            }
            // It went in the meantime.
            None => self.note(Some(address), AckKind::Evicted),
        }
    }

    /// A record could not be written: the entry goes on in memory (OC-11).
    pub(in crate::store) fn unwritten(&mut self, job: &Job) {
        // What is on disk of it, if anything, holds more than is left.
        let stayed = |entry: &mut Entry<P>| {
            entry.writes -= 1;
            entry.former.extend(entry.address.take());
        };
        let shelf = &mut self.shelves[job.lane];
        match self.loans.get_mut(&job.order) {
            Some(loan) => stayed(&mut loan.entry),
            None => drop(shelf.edit(job.order, stayed)),
        }
        if shelf.place(job.order) == Some(Place::Writing) {
            shelf.call_up(job.order);
        }
    }

    /// Every record that waits to be written stays in memory.
    pub(in crate::store) fn give_up_jobs(&mut self) -> Vec<Job> {
        self.job_bytes = 0;
        let jobs: Vec<Job> = std::mem::take(&mut self.jobs).into();
        for job in &jobs {
            self.unwritten(job);
        }
        jobs
    }

    /// A payload was read.
    pub(in crate::store) fn fetched(&mut self, fetch: Fetch, payload: P) {
        self.counters.read += 1;
        self.shelves[fetch.lane].edit(fetch.order, |entry| {
            if matches!(entry.body, Body::Asked) {
                let origin = if entry.replayed { Origin::Replayed } else { Origin::Live };
                let meta = Meta { attempt: entry.attempts, origin, ..Default::default() };
                entry.body = Body::Here(Parcel::with_meta(payload, meta));
            }
        });
    }

    /// A payload cannot be read for now: it is kept, and tried again later (decision 20).
    pub(in crate::store) fn unreadable(&mut self, fetch: Fetch, until: Instant) {
        let shelf = &mut self.shelves[fetch.lane];
        if shelf.edit(fetch.order, |entry| entry.body = Body::Away).is_some() {
            shelf.move_to(fetch.order, Place::Backoff(until));
        }
    }

    /// A record is damaged or gone (OC-5).
    pub(in crate::store) fn corrupt(&mut self, fetch: Fetch, events: &mut Events<P::Category>) {
        if let Some(entry) = self.shelves[fetch.lane].take(fetch.order) {
            self.counters.corrupt += 1;
            self.destroyed(fetch.order, entry, DiscardReason::InternalSdkError, AckKind::Corrupt, events);
        }
    }

    /// What is only in memory and not to stay so.
    pub(in crate::store) fn unsaved(&self) -> impl Iterator<Item = (usize, u64)> {
        self.shelves.iter().enumerate().flat_map(|(lane, shelf)| {
            let unsaved =
                |entry: &Entry<P>| entry.address.is_none() && !entry.is_in_writing() && !entry.volatile;
            shelf.iter().filter(move |(_, entry)| unsaved(entry)).map(move |(order, _)| (lane, order))
        })
    }
}
