use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use envoi_core::{Clock, Durable, Itemized, StoreHost, SystemClock};

use crate::format::AckKind;
use crate::fs::Fs;
use crate::log::{ReadError, Seq};

use crate::store::OpenError;
use crate::store::blob;
use crate::store::disk::{Disk, stock};
use crate::store::entry::Address;
use crate::store::front::{Event, Events, Fetch, Front};
use crate::store::inner::Inner;
use crate::store::meta::News;
use crate::store::stats::Trouble;

/// How often dead owners are looked for and ages are looked at.
const ROUNDS: Duration = Duration::from_secs(60);
/// A record that the disk does not give is asked for again after this.
const REREAD: Duration = Duration::from_secs(30);

mod reports;
mod trouble;
mod write;

use reports::add_up;
use trouble::{FIRST_PROBE, Obituary};

/// What a handle asks of the thread.
pub(in crate::store) enum Command {
    Save { name: String, bytes: Vec<u8>, reply: SyncSender<io::Result<()>> },
    Load { name: String, max_age: Duration, reply: SyncSender<io::Result<Option<Vec<u8>>>> },
}

/// The one thread that touches the disk.
pub(in crate::store) struct Engine<F: Fs, P: Itemized> {
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
    report_due: Option<Instant>,
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
    pub(in crate::store) fn new(inner: Arc<Inner<P>>, disk: Disk<F>) -> Self {
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
            report_due: None,
        }
    }

    /// Takes a slot and what dead owners left, and recovers all of it.
    pub(in crate::store) fn open(&mut self) -> Result<(), OpenError> {
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
    pub(in crate::store) fn open_later(&mut self, error: &OpenError) {
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
    pub(in crate::store) fn run(mut self) {
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
        [self.sync_due, self.tick_due, self.probe_due, self.report_due]
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
                let load = |dir: &PathBuf| blob::load(&self.disk.fs, dir, &name, max_age, wall_ms);
                let own = slot.map_err(io::Error::from).and_then(load);
                // A slot that was found free a moment too late, or whose owner is dead, is adopted.
                let of_the_dead = || self.disk.adopted.iter().find_map(|slot| load(&slot.dir).ok()?);
                let _ = reply.send(own.map(|own| own.or_else(of_the_dead)));
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

impl<P: Itemized> Front<P> {
    /// What evictions have left to be written.
    fn take_records(&mut self) -> (News<P::Category>, Vec<(Address, AckKind)>) {
        let work = self.take_work(0);
        self.commands.extend(work.commands);
        self.refetch(work.fetch);
        (work.losses, work.notes)
    }
}
