use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use bytes::Bytes;
use envoi_core::{Clock, Confirm, Durable, Fate, Itemized, Lane, StoreHost, SystemClock};

use crate::format::{AckKind, KIND_DATA, KIND_LOSS};
use crate::fs::Fs;
use crate::log::{AppendErrorKind, NewRecord, ReadError, Seq};

use super::blob;
use super::disk::{Disk, stock};
use super::entry::{Address, Body};
use super::front::{Event, Events, Fetch, Front, Job};
use super::inner::Inner;
use super::meta::{News, encode_news};
use super::spool::freeze;
use super::stats::Trouble;
use super::{Durability, OpenError};

/// Waits between attempts at a disk that failed.
const FIRST_PROBE: Duration = Duration::from_secs(1);
const LAST_PROBE: Duration = Duration::from_secs(30);
/// How often dead owners are looked for and ages are looked at.
const ROUNDS: Duration = Duration::from_secs(60);
/// A record that the disk does not give is asked for again after this.
const REREAD: Duration = Duration::from_secs(30);
/// Losses are known to be reported when nothing has been pending for so long: longer than an attempt takes.
const QUIET: Duration = Duration::from_secs(60);
/// More reports of losses than this are made into one.
const MANY_REPORTS: usize = 32;

/// What a handle asks of the thread.
pub(super) enum Command {
    Save { name: String, bytes: Vec<u8>, reply: SyncSender<io::Result<()>> },
    Load { name: String, max_age: Duration, reply: SyncSender<io::Result<Option<Vec<u8>>>> },
}

/// The one thread that touches the disk.
pub(super) struct Engine<F: Fs, P: Itemized> {
    inner: Arc<Inner<P>>,
    disk: Disk<F>,
    sync_due: Option<Instant>,
    tick_due: Option<Instant>,
    round_due: Instant,
    probe_due: Option<Instant>,
    probe_wait: Duration,
    /// Losses of the store itself that are on disk until they are reported, and since when none was pending.
    reports: Vec<Address>,
    /// What these say, in sum.
    untold: News<P::Category>,
    quiet_since: Option<Instant>,
}

fn add_up<C: Clone + PartialEq>(sums: &mut News<C>, news: &News<C>) {
    for (reason, category, quantity) in news {
        match sums.iter_mut().find(|(known, name, _)| known == reason && name == category) {
            Some((.., sum)) => *sum = sum.saturating_add(*quantity),
            None => sums.push((reason.clone(), category.clone(), *quantity)),
        }
    }
}

/// Runs a stranger's code: a panic in it costs no more than what it was about.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

fn monotonic() -> Instant {
    SystemClock.now()
}

impl<F, P> Engine<F, P>
where
    F: Fs,
    P: Durable + Itemized<Category: From<String> + Display>,
{
    pub(super) fn new(inner: Arc<Inner<P>>, disk: Disk<F>) -> Self {
        Self {
            inner,
            disk,
            sync_due: None,
            tick_due: None,
            round_due: monotonic() + ROUNDS,
            probe_due: None,
            probe_wait: FIRST_PROBE,
            reports: Vec::new(),
            untold: Vec::new(),
            quiet_since: None,
        }
    }

    /// Takes a slot and what dead owners left, and recovers all of it.
    pub(super) fn open(&mut self) -> Result<(), OpenError> {
        let wall_ms = self.inner.wall_ms();
        let recoveries = self.disk.open_own(wall_ms)?;
        let own = self.disk.own.as_ref().map_or(0, |slot| slot.source);
        *self.inner.slot() = self.disk.own.as_ref().map(|slot| slot.dir.clone());
        let mut found = vec![(own, recoveries)];
        found.extend(self.disk.adopt(wall_ms));
        self.shelve(found);
        Ok(())
    }

    /// Another process has the directory: begins in memory.
    pub(super) fn open_later(&mut self, error: &OpenError) {
        self.degrade(Trouble::Busy, error.to_string());
    }

    fn shelve(&mut self, found: Vec<(u32, Vec<crate::log::Recovery>)>) {
        let inner = Arc::clone(&self.inner);
        let (entries, told) = self.disk.shelve(found, &inner, &mut self.reports);
        for event in &told.events {
            match event {
                // The log has settled what is damaged, so this run answers for telling of it.
                Event::Lost(reason, tally) => {
                    let told = tally.iter().map(|(category, sum)| (reason.clone(), category.clone(), *sum));
                    self.report(&told.collect());
                }
                Event::Restore(news) => add_up(&mut self.untold, news),
                _ => {}
            }
        }
        // Told before it can be leased.
        guarded(|| inner.tell(told.events));
        let mut events = Vec::new();
        {
            let mut front = inner.lock();
            stock(&mut front, entries);
            front.uuids = self.disk.slots().map(|slot| (slot.source, slot.uuid)).collect();
            front.counters.corrupt += told.corrupt;
            front.adopted = self.disk.adopted.len();
            front.disk_bytes = self.disk.disk_bytes();
            if let Some(note) = told.notes.into_iter().next_back() {
                front.last_error = Some(note);
            }
            front.make_room(0, (0, 0), &inner.config, &mut events);
            front.expire(true, &inner.config, inner.wall_ms(), &mut events);
        }
        events.push(Event::Wake);
        inner.tell(events);
    }

    /// Works until told to stop.
    pub(super) fn run(mut self) {
        let _obituary = Obituary(Arc::clone(&self.inner));
        loop {
            let within = self.next_due().saturating_duration_since(monotonic());
            let mut work = self.inner.wait_for_work(within);
            let mut events = Vec::new();
            for command in work.commands {
                self.obey(command);
            }
            self.read(work.fetch, &mut events);
            self.report(&std::mem::take(&mut work.losses));
            // First, so that what was let go makes room on the disk.
            self.settle(work.notes);
            if !work.jobs.is_empty() {
                self.write(work.jobs, &mut events);
            }
            self.tend(&mut events);
            guarded(|| self.inner.tell(events));
            if work.closing {
                self.keep();
            }
            if work.stop {
                break self.shut();
            }
            self.inner.announce();
        }
    }

    fn next_due(&self) -> Instant {
        [self.sync_due, self.tick_due, self.probe_due]
            .into_iter()
            .flatten()
            .fold(self.round_due, Instant::min)
    }

    fn obey(&self, command: Command) {
        let wall_ms = self.inner.wall_ms();
        let slot = self.disk.own.as_ref().map(|slot| &slot.dir).ok_or(io::ErrorKind::NotFound);
        // Who does not wait any more does not mind.
        match command {
            Command::Save { name, bytes, reply } => {
                let saved = slot.map_err(io::Error::from);
                let saved = saved.and_then(|dir| blob::save(&self.disk.fs, dir, &name, &bytes, wall_ms));
                let _ = reply.send(saved);
            }
            Command::Load { name, max_age, reply } => {
                let loaded = slot.map_err(io::Error::from);
                let loaded = loaded.and_then(|dir| blob::load(&self.disk.fs, dir, &name, max_age, wall_ms));
                let _ = reply.send(loaded);
            }
        }
    }

    fn read(&mut self, fetches: Vec<Fetch>, events: &mut Events<P::Category>) {
        if fetches.is_empty() {
            return;
        }
        let wall_ms = self.inner.wall_ms();
        for fetch in fetches {
            let Address { source, lane, seq } = fetch.address;
            let record = match self.disk.slot(source) {
                Some(slot) => slot.lanes[lane].read(Seq(seq), wall_ms),
                None => Err(ReadError::Unknown(Seq(seq))),
            };
            match record {
                Ok(record) => match guarded(|| P::thaw(record.payload.clone())) {
                    Some(Ok(payload)) => self.inner.lock().fetched(fetch, payload),
                    _ => {
                        self.disk.quarantine(fetch.address, &record.payload);
                        self.inner.lock().corrupt(fetch, events);
                    }
                },
                Err(ReadError::Io { .. }) if self.disk.is_there() => {
                    let until = self.inner.now() + REREAD;
                    let mut front = self.inner.lock();
                    front.counters.io_errors += 1;
                    front.last_error = record.err().map(|error| error.to_string());
                    front.unreadable(fetch, until);
                }
                Err(_) => self.inner.lock().corrupt(fetch, events),
            }
        }
        events.push(Event::Wake);
    }

    /// Writes losses down before the records are let go, so that they are reported even after a crash.
    fn report(&mut self, losses: &News<P::Category>) {
        if losses.is_empty() {
            return;
        }
        self.quiet_since = None;
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
    fn write_report(&mut self, sums: &News<P::Category>) -> bool {
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

    fn is_dirty(&mut self) {
        if let Durability::Interval(interval) = self.inner.config.durability {
            self.sync_due.get_or_insert_with(|| monotonic() + interval);
        }
        self.tick_due.get_or_insert_with(|| monotonic() + Duration::from_millis(100));
    }

    fn write(&mut self, jobs: Vec<Job>, events: &mut Events<P::Category>) {
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
    fn write_batch(
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
        let is_synced = (at_once || written.iter().any(|(job, _)| job.confirm.is_some())) && self.sync();
        let bytes = self.disk.disk_bytes();
        let mut front = self.inner.lock();
        front.disk_bytes = bytes;
        for (mut job, address) in written {
            front.written(&job, address, &self.inner.config);
            let fate = if is_synced { Fate::Stored } else { Fate::Queued };
            events.extend(job.confirm.take().map(|confirm| Event::Confirmed(confirm, fate)));
        }
        drop(front);
        failed.map_or(Ok(()), Err)
    }

    /// Tells the device to keep what was written. Says whether it does. What it answers after an error is never asked
    /// for again: the log goes on in a new segment.
    fn sync(&mut self) -> bool {
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
    fn make_space(&mut self, jobs: &[Job], events: &mut Events<P::Category>) -> Result<(), String> {
        let config = &self.inner.config;
        let (max_bytes, min_free) = (config.max_bytes, config.min_free);
        let coming: u64 = jobs.iter().map(|job| job.payload.len() as u64 + 128).sum();
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
    fn free(&mut self, bytes: u64, events: &mut Events<P::Category>) {
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

    fn settle(&mut self, notes: Vec<(Address, AckKind)>) {
        if notes.is_empty() {
            return;
        }
        let wall_ms = self.inner.wall_ms();
        for (address, kind) in notes {
            self.disk.ack(address, kind, wall_ms);
        }
        self.tick_due.get_or_insert_with(|| monotonic() + Duration::from_millis(100));
        self.inner.lock().disk_bytes = self.disk.disk_bytes();
    }

    /// The disk has failed: what waits for it goes on in memory (OC-11).
    fn fail(&mut self, jobs: Vec<Job>, cause: Trouble, message: String, events: &mut Events<P::Category>) {
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

    fn degrade(&mut self, cause: Trouble, message: String) {
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
    fn vanish(&mut self, events: &mut Events<P::Category>) {
        if let Some(slot) = self.disk.own.take() {
            self.reports.retain(|address| address.source != slot.source);
            self.inner.lock().forget_source(slot.source, events);
            *self.inner.slot() = None;
        }
    }

    /// Does what is due.
    fn tend(&mut self, events: &mut Events<P::Category>) {
        let now = monotonic();
        if self.sync_due.is_some_and(|due| due <= now) {
            self.sync();
        }
        if self.tick_due.is_some_and(|due| due <= now) {
            self.tick(now);
        }
        if self.probe_due.is_some_and(|due| due <= now) {
            self.probe(events);
        }
        if self.round_due <= now {
            self.round_due = now + ROUNDS;
            let wall_ms = self.inner.wall_ms();
            self.inner.lock().expire(true, &self.inner.config, wall_ms, events);
            if self.disk.own.is_some() {
                let found = self.disk.adopt(wall_ms);
                if !found.is_empty() {
                    self.shelve(found);
                }
            }
        }
        self.retire_reports(now);
    }

    fn tick(&mut self, now: Instant) {
        let wall_ms = self.inner.wall_ms();
        let mut next: Option<Instant> = None;
        let mut failed = None;
        for log in self.disk.slots().flat_map(|slot| &mut slot.lanes) {
            match log.tick(now, wall_ms) {
                Ok(due) => next = next.into_iter().chain(due).min(),
                Err(error) => failed = Some(format!("{}: {error}", log.dir().display())),
            }
        }
        if let Err(error) = self.disk.release_drained() {
            failed = Some(error.to_string());
        }
        // Whoever names an instant that has passed, or fails, must not make us spin.
        let floor = if failed.is_some() { FIRST_PROBE } else { Duration::from_millis(1) };
        self.tick_due = next.map(|due| due.max(now + floor)).or(failed.is_some().then(|| now + floor));
        let (disk_bytes, adopted) = (self.disk.disk_bytes(), self.disk.adopted.len());
        let mut front = self.inner.lock();
        (front.disk_bytes, front.adopted) = (disk_bytes, adopted);
        if failed.is_some() {
            front.counters.io_errors += 1;
            front.last_error = failed;
        }
    }

    /// Looks whether the disk works again, and if so writes what waits in memory (OC-11).
    fn probe(&mut self, events: &mut Events<P::Category>) {
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

    fn save_unsaved(&self) {
        let mut front = self.inner.lock();
        front.trouble = None;
        let unsaved: Vec<(usize, u64)> = front.unsaved().collect();
        for (lane, order) in unsaved {
            let Some(entry) = front.shelves[lane].get(order) else { continue };
            let Body::Here(parcel) = &entry.body else { continue };
            let Some(frozen) = freeze(parcel.payload(), entry.label.clone(), entry.attempts, None) else {
                continue;
            };
            let wall_ms = entry.wall_ms;
            front.shelves[lane].edit(order, |entry| {
                entry.in_writing = true;
                entry.size = frozen.size;
            });
            let (meta, payload) = (frozen.meta, frozen.payload);
            front.push_job(Job { order, lane, meta, payload, wall_ms, confirm: None });
        }
    }

    /// Lets go of the losses on disk that were reported.
    fn retire_reports(&mut self, now: Instant) {
        if self.reports.is_empty() {
            return;
        }
        let is_pending = self.inner.host().is_none_or(StoreHost::has_unreported);
        if is_pending {
            self.quiet_since = None;
        } else if now.saturating_duration_since(*self.quiet_since.get_or_insert(now)) >= QUIET {
            self.forget_reports();
        }
    }

    fn forget_reports(&mut self) {
        self.untold.clear();
        let reports = std::mem::take(&mut self.reports);
        self.settle(reports.into_iter().map(|address| (address, AckKind::Delivered)).collect());
    }

    /// A close: everything that is kept is made to survive.
    fn keep(&mut self) {
        if self.probe_due.is_some() {
            // The last chance for what is only in memory.
            let mut events = Vec::new();
            self.probe(&mut events);
            let work = self.inner.lock().take_work(usize::MAX);
            for command in work.commands {
                self.obey(command);
            }
            self.report(&work.losses);
            self.settle(work.notes);
            if !work.jobs.is_empty() {
                self.write(work.jobs, &mut events);
            }
            self.inner.tell(events);
        }
        if !self.inner.host().is_none_or(StoreHost::has_unreported) {
            self.forget_reports();
        }
        self.flush();
        self.inner.lock().is_kept = true;
    }

    fn flush(&mut self) {
        self.sync();
        let mut failed = None;
        for log in self.disk.slots().flat_map(|slot| &mut slot.lanes) {
            failed = log.flush_acks(true).err().or(failed);
        }
        if let Some(error) = failed {
            let mut front = self.inner.lock();
            front.counters.io_errors += 1;
            front.last_error = Some(error.to_string());
        }
    }

    fn shut(mut self) {
        self.flush();
        let Self { inner, disk, .. } = self;
        // The locks are free before anybody is told that it is over.
        drop(disk);
        inner.lock().is_over = true;
        inner.announce();
    }
}

/// Sees to it that nothing waits for a thread that ended before its time: what is queued goes on in memory.
struct Obituary<P: Itemized>(Arc<Inner<P>>);

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

impl<P: Itemized> Front<P> {
    /// What evictions have left to be written.
    fn take_records(&mut self) -> (News<P::Category>, Vec<(Address, AckKind)>) {
        let work = self.take_work(0);
        self.commands.extend(work.commands);
        self.refetch(work.fetch);
        (work.losses, work.notes)
    }
}
