use std::fmt::{self, Display};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::Builder;
use std::time::{Duration, Instant};

use envoi_core::{
    Confirm, Depth, Durable, Failure, Fate, Fault, IsLimited, Itemized, Kind, Lane, LeaseId, Next, Parcel,
    Settle, Store, StoreHost,
};

use crate::format::{AckKind, frame_len};
use crate::fs::{Fs, RealFs};

use super::disk::Disk;
use super::engine::{Command, Engine};
use super::front::{Event, Events, Front, Frozen};
use super::inner::Inner;
use super::meta::{GlobalId, Label, RecordMeta};
use super::shelf::{Place, Shelf};
use super::{OnBusy, OpenError, SpoolConfig, SpoolState, SpoolStats};

/// How long a question to the thread may take. A disk that hangs does not hang the caller.
const ANSWER: Duration = Duration::from_secs(5);

/// A store on disk: see the [module](crate::store) for what it does.
///
/// Dropping it syncs, waits for that for a bounded time, and gives the lock back. Keep an `Arc` of it to look at
/// [`Spool::stats`] while an outbox works with the other.
pub struct Spool<P: Itemized> {
    inner: Arc<Inner<P>>,
}

/// A payload as it would be written; `None` if it cannot be expressed.
pub(super) fn freeze<P>(
    payload: &P,
    label: Label<P::Category>,
    attempts: u32,
    replaces: Vec<GlobalId>,
) -> Option<Frozen>
where
    P: Durable + Itemized<Category: Display>,
{
    let payload = payload.freeze().ok()?;
    let meta = RecordMeta { attempts, replaces, label }.encode()?;
    let size = frame_len(meta.len(), payload.len());
    Some(Frozen { meta, payload, size })
}

impl<P> Spool<P>
where
    P: Durable + Itemized<Category: From<String> + Display>,
{
    /// Opens the spool in the directory `path`, which is made if it is missing, and recovers what earlier runs left.
    ///
    /// Blocks for the recovery: one pass over the files, 35 ms for 100,000 records that are in the page cache.
    ///
    /// ```
    /// use envoi_spool::{Spool, SpoolConfig};
    /// # use envoi_testkit::Goods;
    /// let dir = tempfile::tempdir()?;
    /// let spool = Spool::<Goods>::open(dir.path().join("spool"), SpoolConfig::new())?;
    /// assert_eq!(spool.stats().entries, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`OpenError`]. Damage is no error: what is intact is found, the rest is counted.
    pub fn open(path: impl AsRef<Path>, config: SpoolConfig) -> Result<Self, OpenError> {
        Self::open_on(RealFs, path.as_ref(), config)
    }

    /// [`Spool::open`] on a file system of your own.
    ///
    /// # Errors
    /// As [`Spool::open`].
    pub fn open_on<F: Fs>(fs: F, path: &Path, config: SpoolConfig) -> Result<Self, OpenError> {
        let disk = Disk::new(fs, path, &config);
        let in_memory = config.on_busy == OnBusy::Memory;
        let inner = Arc::new(Inner::new(Front::default(), path.to_owned(), config));
        let mut engine = Engine::new(Arc::clone(&inner), disk);
        match engine.open() {
            Ok(()) => {}
            Err(error @ OpenError::Busy { .. }) if in_memory => engine.open_later(&error),
            Err(error) => return Err(error),
        }
        let thread = Builder::new().name("envoi-spool".to_owned());
        drop(thread.spawn(move || engine.run()).map_err(OpenError::Thread)?);
        Ok(Self { inner })
    }

    /// Keeps a small piece of state in the spool, at most 1 MiB under a name of `a-z`, `0-9` and `-`: rate limits, the
    /// state of a breaker. Replaces what had the name, in one step. Blocks on the disk.
    ///
    /// # Errors
    /// Of the file system; [`io::ErrorKind::NotFound`] while the spool has no directory,
    /// [`io::ErrorKind::TimedOut`] if the disk does not answer within 5 s.
    pub fn save_state(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (reply, answer) = sync_channel(1);
        self.ask(Command::Save { name: name.to_owned(), bytes: bytes.to_vec(), reply })?;
        answer.recv_timeout(ANSWER).map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// [`Spool::save_state`] without waiting: before the spool is dropped it is done, or the disk did not take it.
    pub fn save_state_soon(&self, name: &str, bytes: &[u8]) {
        let (reply, _) = sync_channel(1);
        // After a fork there is nobody to do it.
        let _ = self.ask(Command::Save { name: name.to_owned(), bytes: bytes.to_vec(), reply });
    }

    /// What was saved under a name, unless it is missing, damaged, older than `max_age`, or from the future. What a dead
    /// owner saved whose slot was adopted counts if there is nothing of our own. Blocks on the disk.
    ///
    /// # Errors
    /// As [`Spool::save_state`].
    pub fn load_state(&self, name: &str, max_age: Duration) -> io::Result<Option<Vec<u8>>> {
        let (reply, answer) = sync_channel(1);
        self.ask(Command::Load { name: name.to_owned(), max_age, reply })?;
        answer.recv_timeout(ANSWER).map_err(|_| io::ErrorKind::TimedOut)?
    }

    fn ask(&self, command: Command) -> io::Result<()> {
        if self.inner.is_forked() {
            return Err(io::Error::other(FORKED));
        }
        self.inner.lock().commands.push(command);
        self.inner.ring();
        Ok(())
    }

    fn take_on(
        &self,
        parcel: Parcel<P>,
        tag: u64,
        now: Instant,
        confirm: Option<Confirm>,
    ) -> Result<Fate, Failure<P>> {
        let inner = &self.inner;
        if inner.is_forked() {
            return Err(Failure::new(Fault::new(Kind::Storage).with_message(FORKED), parcel));
        }
        // Encoded by the caller, so that the thread has nothing to do but write.
        let label = Label::of(parcel.payload());
        let frozen = if parcel.payload().is_worth_storing() {
            let attempt = parcel.meta().attempt;
            let Some(frozen) = freeze(parcel.payload(), label.clone(), attempt, Vec::new()) else {
                let fault = Fault::new(Kind::Encode).with_message("the payload cannot be stored");
                return Err(Failure::new(fault, parcel));
            };
            Some(frozen)
        } else {
            None
        };
        let mut events = Vec::new();
        if inner.host().is_none() {
            events.push(Event::Found(label.tally.clone()));
        }
        let found = events.len();
        let when = (tag, now, inner.wall_ms());
        let result = inner.lock().append(parcel, label, frozen, when, confirm, &inner.config, &mut events);
        if result.is_err() {
            events.drain(..found);
        }
        inner.ring();
        inner.tell(events);
        result
    }
}

const FORKED: &str = "the spool belongs to the process before the fork, open one of your own";

impl<P: Itemized> Spool<P> {
    /// The spool in numbers.
    #[must_use]
    pub fn stats(&self) -> SpoolStats {
        let slot = self.inner.slot().clone();
        let front = self.inner.lock();
        let counters = front.counters;
        SpoolStats {
            state: match &front.trouble {
                None => SpoolState::Healthy,
                Some((cause, message, since)) => {
                    SpoolState::Degraded { cause: *cause, message: message.clone(), since: *since }
                }
            },
            slot,
            entries: front.entries(),
            on_disk: front.on_disk(),
            disk_bytes: front.disk_bytes,
            cached_bytes: front.cached(),
            queued_bytes: front.job_bytes,
            written: counters.written,
            read: counters.read,
            syncs: counters.syncs,
            io_errors: counters.io_errors,
            evicted: counters.evicted,
            corrupt: counters.corrupt,
            adopted: front.adopted,
            last_error: front.last_error.clone(),
        }
    }

    /// The directory that it was opened in.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        &self.inner.root
    }
}

impl<P> Store<P> for Spool<P>
where
    P: Durable + Itemized<Category: From<String> + Display>,
{
    fn connect(&self, host: Arc<dyn StoreHost<P::Category>>) {
        self.inner.connect(host);
    }

    /// [`Fate::Stored`]: on its way to the disk, and not sent before it is there. [`Fate::Queued`] while the disk fails.
    fn append(&self, parcel: Parcel<P>, tag: u64, now: Instant) -> Result<Fate, Failure<P>> {
        self.take_on(parcel, tag, now, None)
    }

    fn append_durable(
        &self,
        parcel: Parcel<P>,
        tag: u64,
        now: Instant,
        confirm: Confirm,
    ) -> Result<Fate, Failure<P>> {
        self.take_on(parcel, tag, now, Some(confirm))
    }

    fn lease(&self, lane: Lane, now: Instant, limited: Option<IsLimited<'_, P::Category>>) -> Next<P> {
        if self.inner.is_forked() {
            return Next::Empty;
        }
        let next = self.inner.lock().lease(lane, now, limited, &self.inner.config);
        if matches!(next, Next::Fetching) {
            self.inner.ring();
        }
        next
    }

    fn settle(&self, lease: LeaseId, outcome: Settle<P>, now: Instant) {
        if self.inner.is_forked() {
            return;
        }
        let order = lease.0;
        let finish = |kind| {
            let mut front = self.inner.lock();
            front.finish(order, kind);
            let needs_bell = front.needs_bell();
            drop(front);
            if needs_bell {
                self.inner.ring();
            }
        };
        let mut events: Events<P::Category> = Vec::new();
        match outcome {
            Settle::Delivered => return finish(AckKind::Delivered),
            Settle::Discarded => return finish(AckKind::Rejected),
            Settle::Abandoned => self.inner.lock().abandon(order),
            Settle::Return { parcel, not_before, until_server } => {
                let place = not_before
                    .filter(|due| *due > now)
                    .map(|due| if until_server { Place::Asked(due) } else { Place::Backoff(due) });
                self.take_back(order, parcel, place, &mut events);
            }
        }
        self.inner.ring();
        self.inner.tell(events);
    }

    fn hurry(&self) {
        self.inner.lock().shelves.iter_mut().for_each(Shelf::hurry);
    }

    fn pace(&self, until: Instant) {
        self.inner.lock().shelves.iter_mut().for_each(|shelf| shelf.pace(until));
    }

    fn is_durable(&self, lease: LeaseId) -> bool {
        self.inner.lock().loans.get(&lease.0).is_some_and(|loan| loan.entry.is_stored())
    }

    fn depth(&self, lane: Lane) -> Depth {
        self.inner.lock().shelves[lane.index()].depth()
    }

    fn held(&self, visit: &mut dyn FnMut(&P::Category, u64)) {
        let front = self.inner.lock();
        for (_, entry) in front.shelves.iter().flat_map(Shelf::iter) {
            entry.label.tally.iter().for_each(|(category, quantity)| visit(category, *quantity));
        }
    }

    /// Syncs and keeps what is on disk; waits for that at most [`SpoolConfig::close_timeout`]. What the disk did not
    /// take is recorded as `queue_overflow`; reports of losses go back to where they came from (decision 21).
    fn close(&self, _: Instant) -> usize {
        let inner = &self.inner;
        if inner.is_forked() {
            return 0;
        }
        let mut events = Vec::new();
        {
            let mut front = inner.lock();
            front.closed = true;
            front.drop_if(|entry| entry.volatile, &mut events);
        }
        inner.tell(events);
        // From here on the thread may ask whether losses are pending.
        inner.ring();
        let mut events = Vec::new();
        let mut front = inner.wait_until(inner.config.close_timeout, |front| front.is_kept);
        front.drop_if(|entry| !entry.is_stored() && !entry.is_in_writing(), &mut events);
        let kept = front.entries();
        drop(front);
        inner.ring();
        inner.tell(events);
        kept
    }
}

impl<P> Spool<P>
where
    P: Durable + Itemized<Category: From<String> + Display>,
{
    /// A lease ends with the parcel back. If it holds less than what is on disk it is written anew.
    fn take_back(
        &self,
        order: u64,
        parcel: Parcel<P>,
        place: Option<Place>,
        events: &mut Events<P::Category>,
    ) {
        let config = &self.inner.config;
        let label = Label::of(parcel.payload());
        let mut front = self.inner.lock();
        let Some(mut loan) = front.loans.remove(&order) else { return };
        let is_same = loan.entry.label.tally == label.tally && loan.entry.label.items == label.items;
        let address = loan.entry.address;
        let is_stored = address.is_some() || loan.entry.is_in_writing();
        let may_write = front.trouble.is_none() && !front.closed && !loan.entry.volatile;
        let must_write = may_write && !(is_stored && is_same);
        if !must_write {
            loan.entry.label = label;
            return front.restore((order, loan), parcel, place, (is_same, None), config, events);
        }
        let replaces = front.names(&loan.entry);
        drop(front);
        let frozen = freeze(parcel.payload(), label.clone(), parcel.meta().attempt, replaces);
        loan.entry.label = label;
        self.inner.lock().restore((order, loan), parcel, place, (is_same, frozen), config, events);
    }
}

/// Syncs what was accepted, for at most [`SpoolConfig::close_timeout`], and gives the lock back.
impl<P: Itemized> Drop for Spool<P> {
    fn drop(&mut self) {
        // The thread is the parent's; there is none in a child.
        if !self.inner.is_forked() {
            self.inner.lock().stop = true;
            self.inner.ring();
            drop(self.inner.wait_until(self.inner.config.close_timeout, |front| front.is_over));
        }
    }
}

impl<P: Itemized> fmt::Debug for Spool<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Spool")
            .field("path", &self.inner.root)
            .field("state", &stats.state)
            .field("entries", &stats.entries)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use envoi_core::{Clock, SystemClock};
    use envoi_testkit::Goods;

    use super::*;

    /// OC-10: after a fork the child, which has no thread and shares the lock, is refused, and does not wait for anything.
    #[test]
    fn a_forked_child_is_refused() {
        let mut inner = Inner::<Goods>::new(Front::default(), PathBuf::new(), SpoolConfig::new());
        inner.pretend_pid(std::process::id() + 1);
        let spool = Spool { inner: Arc::new(inner) };
        let now = SystemClock.now();
        let refused = spool.append(Parcel::new(Goods::new("error")), 1, now).unwrap_err();
        assert_eq!(refused.fault().kind(), Kind::Storage);
        assert!(refused.fault().to_string().contains("before the fork"), "{}", refused.fault());
        assert!(refused.parcel().is_some());
        assert!(matches!(spool.lease(Lane::Medium, now, None), Next::Empty));
        assert!(spool.save_state("limits", b"").is_err());
        assert_eq!(spool.close(now), 0);
    }
}
