//! What happens when the disk fails, and how it is tried again (OC-11).

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use envoi_core::{Confirm, Durable, Fate, Itemized};

use super::{Engine, monotonic};
use crate::fs::Fs;
use crate::log::AppendErrorKind;
use crate::store::OpenError;
use crate::store::entry::Body;
use crate::store::front::{Event, Events, Job};
use crate::store::inner::Inner;
use crate::store::spool::freeze;
use crate::store::stats::Trouble;

/// Waits between attempts at a disk that failed.
pub(super) const FIRST_PROBE: Duration = Duration::from_secs(1);
const LAST_PROBE: Duration = Duration::from_secs(30);

impl<F, P> Engine<F, P>
where
    F: Fs,
    P: Durable + Itemized<Category: From<String> + Display>,
{
    /// The disk has failed: what waits for it goes on in memory (OC-11).
    pub(super) fn fail(
        &mut self,
        jobs: Vec<Job>,
        cause: Trouble,
        message: String,
        events: &mut Events<P::Category>,
    ) {
        self.degrade(cause, message);
        let mut front = self.inner.lock();
        let mut confirms: Vec<Confirm> = Vec::new();
        for mut job in jobs {
            front.unwritten(&job);
            confirms.extend(job.confirm.take());
        }
        confirms.extend(front.give_up_jobs().into_iter().filter_map(|job| job.confirm));
        front.make_memory(0, 0, &self.inner.config, events);
        drop(front);
        events.extend(confirms.into_iter().map(|confirm| Event::Confirmed(confirm, Fate::Queued)));
        events.push(Event::Wake);
    }

    pub(super) fn degrade(&mut self, cause: Trouble, message: String) {
        self.probe_due = Some(monotonic() + self.probe_wait);
        self.probe_wait = (self.probe_wait * 2).min(LAST_PROBE);
        let since = self.inner.now();
        let mut front = self.inner.lock();
        front.counters.io_errors += 1;
        front.last_error = Some(message.clone());
        let since = front.trouble.take().map_or(since, |(_, _, since)| since);
        front.trouble = Some((cause, message, since));
    }

    /// The directory is gone, and what was only there.
    pub(super) fn vanish(&mut self, events: &mut Events<P::Category>) {
        if let Some(slot) = self.disk.own.take() {
            self.reports.retain(|address| address.source != slot.source);
            self.inner.lock().forget_source(slot.source, events);
            *self.inner.slot() = None;
        }
    }

    /// Looks whether the disk works again, and if so writes what waits in memory (OC-11).
    pub(super) fn probe(&mut self, events: &mut Events<P::Category>) {
        self.probe_due = None;
        if self.disk.own.is_some() && !self.disk.is_there() {
            self.vanish(events);
        }
        let result = if self.disk.own.is_some() {
            self.disk.try_out().map_err(|error| (Trouble::Io, error))
        } else {
            self.open().map_err(|error| match error {
                OpenError::Busy { .. } => (Trouble::Busy, io::Error::other(error)),
                _ => (Trouble::Gone, io::Error::other(error)),
            })
        };
        let result = result.and_then(|()| {
            self.make_space(&[], events).map_err(|message| (Trouble::Full, io::Error::other(message)))
        });
        match result {
            Ok(()) => {
                self.probe_wait = FIRST_PROBE;
                self.save_unsaved();
            }
            Err((cause, error)) => {
                let full = matches!(AppendErrorKind::of(error.kind().into()), AppendErrorKind::Full(_));
                self.degrade(if full { Trouble::Full } else { cause }, error.to_string());
            }
        }
    }

    pub(super) fn save_unsaved(&self) {
        let mut front = self.inner.lock();
        front.trouble = None;
        let unsaved: Vec<(usize, u64)> = front.unsaved().collect();
        for (lane, order) in unsaved {
            let Some(entry) = front.shelves[lane].get(order) else { continue };
            let Body::Here(parcel) = &entry.body else { continue };
            let replaces = front.names(entry);
            let Some(frozen) = freeze(parcel.payload(), entry.label.clone(), entry.attempts, replaces) else {
                continue;
            };
            let (wall_ms, is_stored) = (entry.wall_ms, entry.is_stored());
            front.shelves[lane].edit(order, |entry| {
                entry.writes += 1;
                entry.size = frozen.size;
            });
            let (meta, payload) = (frozen.meta, frozen.payload);
            front.push_job(Job { order, lane, meta, payload, wall_ms, replaces: is_stored, confirm: None });
        }
    }
}

/// Sees to it that nothing waits for a thread that ended before its time: what is queued goes on in memory.
pub(super) struct Obituary<P: Itemized>(pub(super) Arc<Inner<P>>);

impl<P: Itemized> Drop for Obituary<P> {
    fn drop(&mut self) {
        let now = self.0.now();
        let mut front = self.0.lock();
        if !front.is_over {
            let message = "the thread of the spool ended before its time".to_owned();
            front.last_error = Some(message.clone());
            front.trouble = Some((Trouble::Io, message, now));
            drop(front.give_up_jobs());
            front.is_over = true;
            front.is_kept = true;
        }
        drop(front);
        self.0.announce();
    }
}
