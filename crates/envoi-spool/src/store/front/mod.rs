use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use envoi_core::{
    Confirm, DiscardReason, Failure, Fate, Fault, IsLimited, Itemized, Kind, Lane, Next, Origin, Parcel,
};
use envoi_core::{Lease, LeaseId};

use crate::format::AckKind;

use crate::store::SpoolConfig;
use crate::store::engine::Command;
use crate::store::entry::{Address, Body, Entry};
use crate::store::meta::{GlobalId, Label, News, Tally};
use crate::store::shelf::{Choice, Place, Shelf};
use crate::store::stats::Trouble;

mod carriers;
mod news;
mod room;

use carriers::Carriers;
pub(in crate::store) use carriers::Told;

/// So many settled entries do not wait.
const MANY_NOTES: usize = 64;

/// What the host is told, without any lock held.
pub(in crate::store) enum Event<C> {
    Found(Tally<C>),
    Lost(DiscardReason, Tally<C>),
    Restore(News<C>),
    Gone(u64),
    Wake,
    Confirmed(Confirm, Fate),
}

pub(in crate::store) type Events<C> = Vec<Event<C>>;

/// A record to be written.
pub(in crate::store) struct Job {
    pub(in crate::store) order: u64,
    pub(in crate::store) lane: usize,
    pub(in crate::store) meta: Vec<u8>,
    pub(in crate::store) payload: Bytes,
    pub(in crate::store) wall_ms: u64,
    /// Whether it takes the place of another, which may only go when this one is sure to survive.
    pub(in crate::store) replaces: bool,
    /// Who waits for it to survive a power failure.
    pub(in crate::store) confirm: Option<Confirm>,
}

/// A parcel as it would be written.
pub(in crate::store) struct Frozen {
    pub(in crate::store) meta: Vec<u8>,
    pub(in crate::store) payload: Bytes,
    pub(in crate::store) size: u64,
}

/// A payload to be read.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Fetch {
    pub(in crate::store) order: u64,
    pub(in crate::store) lane: usize,
    pub(in crate::store) address: Address,
}

/// What the thread has to do.
pub(in crate::store) struct Work<C> {
    pub(in crate::store) jobs: Vec<Job>,
    pub(in crate::store) notes: Vec<(Address, AckKind)>,
    pub(in crate::store) fetch: Vec<Fetch>,
    pub(in crate::store) losses: News<C>,
    pub(in crate::store) commands: Vec<Command>,
    pub(in crate::store) closing: bool,
    pub(in crate::store) stop: bool,
}

/// An entry that is away.
pub(in crate::store) struct Loan<P: Itemized> {
    pub(in crate::store) lane: usize,
    pub(in crate::store) entry: Entry<P>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Counters {
    pub(in crate::store) written: u64,
    pub(in crate::store) read: u64,
    pub(in crate::store) syncs: u64,
    pub(in crate::store) io_errors: u64,
    pub(in crate::store) evicted: u64,
    pub(in crate::store) corrupt: u64,
}

/// What callers and the thread share: all entries, and what is to be done. Nothing in here touches the disk.
pub(in crate::store) struct Front<P: Itemized> {
    pub(in crate::store) shelves: [Shelf<P>; Lane::COUNT],
    pub(in crate::store) loans: HashMap<u64, Loan<P>>,
    next_order: u64,
    jobs: VecDeque<Job>,
    pub(in crate::store) job_bytes: usize,
    notes: Vec<(Address, AckKind)>,
    fetch: Vec<Fetch>,
    losses: News<P::Category>,
    pub(in crate::store) commands: Vec<Command>,
    pub(in crate::store) trouble: Option<(Trouble, String, Instant)>,
    pub(in crate::store) counters: Counters,
    pub(in crate::store) disk_bytes: u64,
    pub(in crate::store) adopted: usize,
    /// Which spool a source is.
    pub(in crate::store) uuids: HashMap<u32, [u8; 16]>,
    pub(in crate::store) last_error: Option<String>,
    pub(in crate::store) closed: bool,
    /// The thread has made durable what a close keeps.
    pub(in crate::store) is_kept: bool,
    pub(in crate::store) stop: bool,
    pub(in crate::store) is_over: bool,
    /// What happened before anybody was there to hear it.
    pub(in crate::store) unheard: Events<P::Category>,
    /// Who may carry news of losses; `None` while nobody wants to know.
    pub(in crate::store) carriers: Option<Carriers>,
    /// There is news of them that the thread has not seen.
    news: bool,
    /// The thread waits, and not only until it takes what was settled.
    pub(in crate::store) bell_for_notes: bool,
}

impl<P: Itemized> Default for Front<P> {
    fn default() -> Self {
        Self {
            shelves: Default::default(),
            loans: HashMap::new(),
            next_order: 1,
            jobs: VecDeque::new(),
            job_bytes: 0,
            notes: Vec::new(),
            fetch: Vec::new(),
            losses: Vec::new(),
            commands: Vec::new(),
            trouble: None,
            counters: Counters::default(),
            disk_bytes: 0,
            adopted: 0,
            uuids: HashMap::new(),
            last_error: None,
            closed: false,
            is_kept: false,
            stop: false,
            is_over: false,
            unheard: Vec::new(),
            carriers: None,
            news: false,
            bell_for_notes: false,
        }
    }
}

fn full(message: &'static str) -> Fault {
    Fault::new(Kind::QueueFull).with_message(message)
}

impl<P: Itemized> Front<P> {
    pub(in crate::store) fn order(&mut self) -> u64 {
        let order = self.next_order;
        self.next_order += 1;
        order
    }

    pub(in crate::store) fn entries(&self) -> usize {
        self.shelves.iter().map(Shelf::len).sum::<usize>() + self.loans.len()
    }

    fn size(&self) -> u64 {
        let lent: u64 = self.loans.values().map(|loan| loan.entry.size).sum();
        self.shelves.iter().map(Shelf::size).sum::<u64>() + lent
    }

    pub(in crate::store) fn cached(&self) -> usize {
        self.shelves.iter().map(Shelf::cached).sum()
    }

    pub(in crate::store) fn on_disk(&self) -> usize {
        let lent = self.loans.values().filter(|loan| loan.entry.address.is_some()).count();
        self.shelves.iter().map(Shelf::stored).sum::<usize>() + lent
    }

    pub(in crate::store) fn has_work(&self) -> bool {
        !(self.jobs.is_empty()
            && self.notes.len() < MANY_NOTES
            && self.fetch.is_empty()
            && self.losses.is_empty()
            && self.commands.is_empty())
            || (self.closed && !self.is_kept)
            || self.stop
            || self.news
    }

    /// Whether anything was settled that the thread has not seen.
    pub(in crate::store) const fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// Whether the thread, if it waits, should stop waiting.
    pub(in crate::store) fn needs_bell(&self) -> bool {
        self.has_work() || (self.bell_for_notes && self.has_notes())
    }

    /// Takes the work of one round: at most so many bytes to write.
    pub(in crate::store) fn take_work(&mut self, max_bytes: usize) -> Work<P::Category> {
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        while bytes < max_bytes
            && let Some(job) = self.jobs.pop_front()
        {
            bytes += job.payload.len();
            jobs.push(job);
        }
        self.job_bytes -= bytes;
        self.news = false;
        Work {
            jobs,
            notes: std::mem::take(&mut self.notes),
            fetch: std::mem::take(&mut self.fetch),
            losses: std::mem::take(&mut self.losses),
            commands: std::mem::take(&mut self.commands),
            closing: self.closed && !self.is_kept && self.jobs.is_empty(),
            stop: self.stop && self.jobs.is_empty(),
        }
    }

    pub(in crate::store) fn refetch(&mut self, fetch: Vec<Fetch>) {
        self.fetch.extend(fetch);
    }

    pub(in crate::store) fn push_job(&mut self, job: Job) {
        self.job_bytes += job.payload.len();
        self.jobs.push_back(job);
    }

    /// Every record of an entry has this end.
    fn note_all(&mut self, entry: &Entry<P>, kind: AckKind) {
        self.notes.extend(entry.former.iter().chain(&entry.address).map(|address| (*address, kind)));
    }

    /// Takes back a write of an entry that is still queued.
    fn cancel_job(&mut self, order: u64, entry: &mut Entry<P>) {
        if entry.is_in_writing()
            && let Some(position) = self.jobs.iter().position(|job| job.order == order)
            && let Some(job) = self.jobs.remove(position)
        {
            self.job_bytes -= job.payload.len();
            entry.writes -= 1;
        }
    }

    /// What the records of an entry are called, whoever opens their slots.
    pub(in crate::store) fn names(&self, entry: &Entry<P>) -> Vec<GlobalId> {
        let name = |at: Address| Some(GlobalId { uuid: *self.uuids.get(&at.source)?, seq: at.seq });
        entry.predecessors().filter_map(name).collect()
    }

    fn note(&mut self, address: Option<Address>, kind: AckKind) {
        if let Some(address) = address {
            self.notes.push((address, kind));
        }
    }

    /// Takes a parcel on.
    #[expect(clippy::too_many_arguments, reason = "one call, from one place")]
    pub(in crate::store) fn append(
        &mut self,
        parcel: Parcel<P>,
        label: Label<P::Category>,
        frozen: Option<Frozen>,
        (tag, now, wall_ms): (u64, Instant, u64),
        confirm: Option<Confirm>,
        config: &SpoolConfig,
        events: &mut Events<P::Category>,
    ) -> Result<Fate, Failure<P>> {
        if self.closed {
            return Err(Failure::new(Fault::new(Kind::Closed), parcel));
        }
        let lane = parcel.payload().lane().index();
        let size = frozen.as_ref().map_or(0, |frozen| frozen.size);
        let max = config.max_bytes.min(crate::log::MAX_SEGMENT);
        if size > max {
            let fault = Fault::new(Kind::QueueFull).with_message(format!(
                "{size} bytes are more than the spool holds ({max} bytes), raise its bound"
            ));
            return Err(Failure::new(fault, parcel));
        }
        self.expire(false, config, wall_ms, events);
        if !self.make_room(lane, (1, size), config, events) {
            return Err(Failure::new(full("the spool holds only what is more urgent"), parcel));
        }
        let volatile = frozen.is_none();
        let frozen = frozen.filter(|_| self.trouble.is_none());
        if frozen.is_none() && !self.make_memory(lane, label.bytes, config, events) {
            return Err(Failure::new(full("the memory of the spool is full"), parcel));
        }
        if let Some(frozen) = &frozen {
            while self.job_bytes + frozen.payload.len() > config.queue_bytes && self.job_bytes > 0 {
                if !self.evict(lane, Entry::is_in_writing, events) {
                    return Err(Failure::new(full("the disk does not keep up"), parcel));
                }
            }
        }
        let order = self.order();
        let entry = Entry {
            tag,
            since: now,
            wall_ms,
            label,
            size,
            attempts: parcel.meta().attempt,
            replayed: parcel.meta().origin == Origin::Replayed,
            body: Body::Here(parcel),
            address: None,
            former: Vec::new(),
            writes: u32::from(frozen.is_some()),
            volatile,
        };
        let Some(Frozen { meta, payload, .. }) = frozen else {
            let place = Shelf::turn(&entry);
            self.shelves[lane].put(order, place, entry);
            events.extend(confirm.map(|confirm| Event::Confirmed(confirm, Fate::Queued)));
            return Ok(Fate::Queued);
        };
        self.shelves[lane].put(order, Place::Writing, entry);
        self.push_job(Job { order, lane, meta, payload, wall_ms, replaces: false, confirm });
        Ok(Fate::Stored)
    }

    /// The next entry of a lane.
    pub(in crate::store) fn lease(
        &mut self,
        lane: Lane,
        now: Instant,
        limited: Option<IsLimited<'_, P::Category>>,
        config: &SpoolConfig,
    ) -> Next<P> {
        if self.closed {
            return Next::Empty;
        }
        let tight = self.cached() > config.cache_bytes;
        let mut fetch = Vec::new();
        let choice = self.shelves[lane.index()].choose(now, limited, tight, &mut fetch);
        let lane = lane.index();
        self.fetch.extend(fetch.into_iter().map(|(order, address)| Fetch { order, lane, address }));
        match choice {
            Choice::Ready(order, mut entry) => {
                let Body::Here(parcel) = std::mem::replace(&mut entry.body, Body::Away) else {
                    unreachable!("an entry that is chosen has its payload here")
                };
                let (tag, since) = (entry.tag, entry.since);
                self.loans.insert(order, Loan { lane, entry });
                Next::Ready(Lease { id: LeaseId(order), tag, since, parcel })
            }
            Choice::NotBefore(due) => Next::NotBefore(due),
            Choice::Held => Next::Held,
            Choice::Busy => Next::Fetching,
            Choice::Empty => Next::Empty,
        }
    }

    /// A lease ends with the entry.
    pub(in crate::store) fn finish(&mut self, order: u64, kind: AckKind) {
        self.carrier_ended(order, Some(kind));
        if let Some(Loan { mut entry, .. }) = self.loans.remove(&order) {
            self.cancel_job(order, &mut entry);
            self.note_all(&entry, kind);
        }
    }

    /// The goods were destroyed; what is on disk is still good.
    pub(in crate::store) fn abandon(&mut self, order: u64) {
        self.carrier_ended(order, None);
        if let Some(Loan { lane, mut entry }) = self.loans.remove(&order)
            && entry.is_stored()
        {
            entry.address = entry.address.or_else(|| entry.former.pop());
            let place = Shelf::turn(&entry);
            self.shelves[lane].put(order, place, entry);
        }
    }

    /// What is on disk holds more than is left, and cannot be written anew for now: the entry goes on in memory, and is
    /// written when the disk works again.
    fn detach(entry: &mut Entry<P>) {
        entry.former.extend(entry.address.take());
    }

    /// A parcel comes back to its place. `rewrite` if it holds less than what is on disk.
    pub(in crate::store) fn restore(
        &mut self,
        (order, loan): (u64, Loan<P>),
        parcel: Parcel<P>,
        place: Option<Place>,
        (is_same, rewrite): (bool, Option<Frozen>),
        config: &SpoolConfig,
        events: &mut Events<P::Category>,
    ) {
        self.carrier_ended(order, None);
        let Loan { lane, mut entry } = loan;
        let failed = parcel.meta().attempt.saturating_sub(entry.attempts);
        entry.attempts = parcel.meta().attempt;
        // A number from a stranger does not become a loop; the count on disk is one per delivery.
        for _ in 0..failed.min(16) {
            self.note(entry.address, AckKind::Attempt);
        }
        let fits = self.cached() + entry.label.bytes <= config.cache_bytes;
        let must_stay = entry.address.is_none() || entry.is_in_writing() || !is_same || rewrite.is_some();
        if fits || must_stay {
            entry.body = Body::Here(parcel);
        }
        if self.closed && !entry.is_stored() && !entry.is_in_writing() {
            return self.destroyed(order, entry, DiscardReason::QueueOverflow, AckKind::Evicted, events);
        }
        match rewrite.filter(|_| self.trouble.is_none()) {
            Some(Frozen { meta, payload, size }) => {
                self.cancel_job(order, &mut entry);
                entry.writes += 1;
                entry.size = size;
                let (wall_ms, replaces) = (entry.wall_ms, entry.is_stored());
                self.push_job(Job { order, lane, meta, payload, wall_ms, replaces, confirm: None });
            }
            None if is_same || self.closed => {}
            None => {
                self.cancel_job(order, &mut entry);
                Self::detach(&mut entry);
            }
        }
        let place = place.unwrap_or_else(|| Shelf::turn(&entry));
        self.shelves[lane].put(order, place, entry);
    }
}
