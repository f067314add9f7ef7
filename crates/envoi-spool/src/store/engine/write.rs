//! Writing, syncing, and making room on the disk.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::Duration;

use envoi_core::{Durable, Fate, Itemized, Lane};

use super::{Engine, monotonic};
use crate::format::KIND_DATA;
use crate::fs::Fs;
use crate::log::{AppendErrorKind, NewRecord, Seq};
use crate::store::Durability;
use crate::store::disk::Disk;
use crate::store::entry::Address;
use crate::store::front::{Event, Events, Job};
use crate::store::stats::Trouble;

impl<F, P> Engine<F, P>
where
    F: Fs,
    P: Durable + Itemized<Category: From<String> + Display>,
{
    pub(super) fn is_dirty(&mut self) {
        if let Durability::Interval(interval) = self.inner.config.durability {
            self.sync_due.get_or_insert_with(|| monotonic() + interval);
        }
        self.tick_due.get_or_insert_with(|| monotonic() + Duration::from_millis(100));
    }

    pub(super) fn write(&mut self, jobs: Vec<Job>, events: &mut Events<P::Category>) {
        if !self.disk.is_there() {
            let (cause, message) = match &self.disk.own {
                Some(slot) => (Trouble::Gone, format!("the directory {} is gone", slot.dir.display())),
                None => (Trouble::Busy, "no slot of the spool is free".to_owned()),
            };
            self.vanish(events);
            return self.fail(jobs, cause, message, events);
        }
        if let Err(message) = self.make_space(&jobs, events) {
            return self.fail(jobs, Trouble::Full, message, events);
        }
        let alone = self.inner.config.durability == Durability::PerRecord;
        if alone {
            let mut jobs = jobs.into_iter();
            while let Some(job) = jobs.next() {
                if let Err((mut rest, cause, message)) = self.write_batch(vec![job], events) {
                    rest.extend(jobs);
                    return self.fail(rest, cause, message, events);
                }
            }
        } else if let Err((rest, cause, message)) = self.write_batch(jobs, events) {
            self.fail(rest, cause, message, events);
        }
        self.is_dirty();
        events.push(Event::Wake);
    }

    /// One write for each lane, one sync for all of them. Gives back what was not written.
    pub(super) fn write_batch(
        &mut self,
        jobs: Vec<Job>,
        events: &mut Events<P::Category>,
    ) -> Result<(), (Vec<Job>, Trouble, String)> {
        let Some(slot) = &mut self.disk.own else { return Ok(()) };
        let mut lanes: [Vec<Job>; Lane::COUNT] = Default::default();
        for job in jobs {
            lanes[job.lane].push(job);
        }
        let mut written: Vec<(Job, Address)> = Vec::new();
        let mut failed: Option<(Vec<Job>, Trouble, String)> = None;
        for (lane, mut jobs) in lanes.into_iter().enumerate().filter(|(_, jobs)| !jobs.is_empty()) {
            if let Some((rest, ..)) = &mut failed {
                rest.append(&mut jobs);
                continue;
            }
            let records: Vec<NewRecord<'_>> = jobs
                .iter()
                .map(|job| NewRecord {
                    meta: &job.meta,
                    payload: std::slice::from_ref(&job.payload),
                    enqueued_ms: job.wall_ms,
                    kind: KIND_DATA,
                    flags: 0,
                })
                .collect();
            let (seqs, error) = match slot.lanes[lane].append(&records) {
                Ok(seqs) => (seqs, None),
                Err(error) => {
                    let cause = match error.kind {
                        AppendErrorKind::Full(_) => Trouble::Full,
                        _ => Trouble::Io,
                    };
                    let message = format!("{}: {error}", slot.lanes[lane].dir().display());
                    (error.written, Some((cause, message)))
                }
            };
            let rest = jobs.split_off(seqs.len().min(jobs.len()));
            let source = slot.source;
            let address = |seq: Seq| Address { source, lane, seq: seq.0 };
            written.extend(jobs.into_iter().zip(seqs).map(|(job, seq)| (job, address(seq))));
            failed = error.map(|(cause, message)| (rest, cause, message));
        }
        let at_once = matches!(self.inner.config.durability, Durability::Group | Durability::PerRecord);
        let is_synced =
            (at_once || written.iter().any(|(job, _)| job.confirm.is_some() || job.replaces)) && self.sync();
        let bytes = self.disk.disk_bytes();
        let mut front = self.inner.lock();
        front.disk_bytes = bytes;
        for (mut job, address) in written {
            front.written(&job, address, is_synced, &self.inner.config);
            let fate = if is_synced { Fate::Stored } else { Fate::Queued };
            events.extend(job.confirm.take().map(|confirm| Event::Confirmed(confirm, fate)));
        }
        drop(front);
        failed.map_or(Ok(()), Err)
    }

    /// Tells the device to keep what was written. Says whether it does. What it answers after an error is never asked
    /// for again: the log goes on in a new segment.
    pub(super) fn sync(&mut self) -> bool {
        self.sync_due = None;
        let mut is_synced = true;
        let (mut errors, mut last_error) = (0, None);
        for log in self.disk.slots().flat_map(|slot| &mut slot.lanes) {
            if let Err(error) = log.sync() {
                is_synced = false;
                errors += 1;
                last_error = Some(format!("could not sync {}: {error}", log.dir().display()));
            }
        }
        let mut front = self.inner.lock();
        front.counters.syncs += u64::from(is_synced);
        front.counters.io_errors += errors;
        front.last_error = last_error.or_else(|| front.last_error.take());
        is_synced
    }

    /// Keeps within the bounds in bytes and free space, as far as segments can be freed (OC-2).
    pub(super) fn make_space(
        &mut self,
        jobs: &[Job],
        events: &mut Events<P::Category>,
    ) -> Result<(), String> {
        let config = &self.inner.config;
        let (max_bytes, min_free) = (config.max_bytes, config.min_free);
        let records: u64 = jobs.iter().map(|job| job.payload.len() as u64 + 128).sum();
        // Zeros that are written ahead take their room as well.
        let lanes = Lane::ALL.iter().filter(|lane| jobs.iter().any(|job| job.lane == lane.index())).count();
        let ahead = if config.prewrite { self.disk.log_config.segment_bytes.min(1 << 20) } else { 0 };
        let coming = records + ahead * lanes as u64;
        let over = self.disk.disk_bytes().saturating_add(coming).saturating_sub(max_bytes);
        if over > 0 {
            self.free(over, events);
        }
        if min_free == 0 {
            return Ok(());
        }
        let free_space = |disk: &Disk<F>| disk.fs.free_space(&self.inner.root).ok().flatten();
        let missing = |free: Option<u64>| free.map_or(0, |free| (min_free + coming).saturating_sub(free));
        let short = missing(free_space(&self.disk));
        if short > 0 {
            self.free(short, events);
            if missing(self.disk.fs.free_space(&self.inner.root).ok().flatten()) > 0 {
                return Err(format!(
                    "less than {min_free} bytes are left on the device of {}",
                    self.inner.root.display()
                ));
            }
        }
        Ok(())
    }

    /// Frees whole segments: of the least urgent lane first, of the dead before our own.
    pub(super) fn free(&mut self, bytes: u64, events: &mut Events<P::Category>) {
        let before = self.disk.disk_bytes();
        let sources: Vec<u32> = self.disk.slots().map(|slot| slot.source).collect();
        for (lane, source) in
            (0..Lane::COUNT).rev().flat_map(|lane| sources.iter().rev().map(move |source| (lane, *source)))
        {
            let missing = bytes.saturating_sub(before.saturating_sub(self.disk.disk_bytes()));
            if missing == 0 {
                return;
            }
            let address = |seq: Seq| Address { source, lane, seq: seq.0 };
            let kept: HashSet<Address> = {
                let front = self.inner.lock();
                let lent = front.loans.values().filter_map(|loan| loan.entry.address);
                lent.chain(self.reports.iter().copied()).collect()
            };
            let Some(slot) = self.disk.slot(source) else { continue };
            let victims = slot.lanes[lane].to_evict(0, missing, |seq| kept.contains(&address(seq)));
            if victims.is_empty() {
                continue;
            }
            let victims: Vec<Address> = victims.into_iter().map(address).collect();
            let (losses, notes) = {
                let mut front = self.inner.lock();
                front.evict_at(lane, &victims, events);
                front.take_records()
            };
            self.report(&losses);
            self.settle(notes);
        }
    }
}
