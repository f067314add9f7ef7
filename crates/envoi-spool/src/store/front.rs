use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use envoi_core::{
    Confirm, DiscardReason, Failure, Fate, Fault, IsLimited, Itemized, Kind, Lane, Next, Origin, Parcel,
};
use envoi_core::{Lease, LeaseId};

use crate::format::AckKind;

use super::SpoolConfig;
use super::engine::Command;
use super::entry::{Address, Body, Entry};
use super::meta::{Label, News, Tally};
use super::shelf::{Choice, Place, Shelf};
use super::stats::Trouble;

/// What the host is told, without any lock held.
pub(super) enum Event<C> {
    Found(Tally<C>),
    Lost(DiscardReason, Tally<C>),
    Restore(News<C>),
    Gone(u64),
    Wake,
    Confirmed(Confirm, Fate),
}

pub(super) type Events<C> = Vec<Event<C>>;

/// A record to be written.
pub(super) struct Job {
    pub(super) order: u64,
    pub(super) lane: usize,
    pub(super) meta: Vec<u8>,
    pub(super) payload: Bytes,
    pub(super) wall_ms: u64,
    /// Who waits for it to survive a power failure.
    pub(super) confirm: Option<Confirm>,
}

/// A parcel as it would be written.
pub(super) struct Frozen {
    pub(super) meta: Vec<u8>,
    pub(super) payload: Bytes,
    pub(super) size: u64,
}

/// A payload to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch {
    pub(super) order: u64,
    pub(super) lane: usize,
    pub(super) address: Address,
}

/// What the thread has to do.
pub(super) struct Work<C> {
    pub(super) jobs: Vec<Job>,
    pub(super) notes: Vec<(Address, AckKind)>,
    pub(super) fetch: Vec<Fetch>,
    pub(super) losses: News<C>,
    pub(super) commands: Vec<Command>,
    pub(super) closing: bool,
    pub(super) stop: bool,
}

/// An entry that is away.
pub(super) struct Loan<P: Itemized> {
    pub(super) lane: usize,
    pub(super) entry: Entry<P>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) written: u64,
    pub(super) read: u64,
    pub(super) syncs: u64,
    pub(super) io_errors: u64,
    pub(super) evicted: u64,
    pub(super) corrupt: u64,
}

/// What callers and the thread share: all entries, and what is to be done. Nothing in here touches the disk.
pub(super) struct Front<P: Itemized> {
    pub(super) shelves: [Shelf<P>; Lane::COUNT],
    pub(super) loans: HashMap<u64, Loan<P>>,
    next_order: u64,
    jobs: VecDeque<Job>,
    pub(super) job_bytes: usize,
    notes: Vec<(Address, AckKind)>,
    fetch: Vec<Fetch>,
    losses: News<P::Category>,
    pub(super) commands: Vec<Command>,
    pub(super) trouble: Option<(Trouble, String, Instant)>,
    pub(super) counters: Counters,
    pub(super) disk_bytes: u64,
    pub(super) adopted: usize,
    /// Which spool a source is.
    pub(super) uuids: HashMap<u32, [u8; 16]>,
    pub(super) last_error: Option<String>,
    pub(super) closed: bool,
    /// The thread has made durable what a close keeps.
    pub(super) is_kept: bool,
    pub(super) stop: bool,
    pub(super) is_over: bool,
    /// What happened before anybody was there to hear it.
    pub(super) unheard: Events<P::Category>,
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
        }
    }
}

fn full(message: &'static str) -> Fault {
    Fault::new(Kind::QueueFull).with_message(message)
}

impl<P: Itemized> Front<P> {
    pub(super) fn order(&mut self) -> u64 {
        let order = self.next_order;
        self.next_order += 1;
        order
    }

    pub(super) fn entries(&self) -> usize {
        self.shelves.iter().map(Shelf::len).sum::<usize>() + self.loans.len()
    }

    fn size(&self) -> u64 {
        let lent: u64 = self.loans.values().map(|loan| loan.entry.size).sum();
        self.shelves.iter().map(Shelf::size).sum::<u64>() + lent
    }

    pub(super) fn cached(&self) -> usize {
        self.shelves.iter().map(Shelf::cached).sum()
    }

    pub(super) fn on_disk(&self) -> usize {
        let lent = self.loans.values().filter(|loan| loan.entry.address.is_some()).count();
        let stored = |shelf: &Shelf<P>| shelf.iter().filter(|(_, entry)| entry.address.is_some()).count();
        self.shelves.iter().map(stored).sum::<usize>() + lent
    }

    pub(super) fn has_work(&self) -> bool {
        !(self.jobs.is_empty()
            && self.notes.is_empty()
            && self.fetch.is_empty()
            && self.losses.is_empty()
            && self.commands.is_empty())
            || (self.closed && !self.is_kept)
            || self.stop
    }

    /// Takes the work of one round: at most so many bytes to write.
    pub(super) fn take_work(&mut self, max_bytes: usize) -> Work<P::Category> {
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        while bytes < max_bytes
            && let Some(job) = self.jobs.pop_front()
        {
            bytes += job.payload.len();
            jobs.push(job);
        }
        self.job_bytes -= bytes;
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

    pub(super) fn refetch(&mut self, fetch: Vec<Fetch>) {
        self.fetch.extend(fetch);
    }

    pub(super) fn push_job(&mut self, job: Job) {
        self.job_bytes += job.payload.len();
        self.jobs.push_back(job);
    }

    fn cancel_job(&mut self, order: u64) {
        if let Some(position) = self.jobs.iter().position(|job| job.order == order)
            && let Some(job) = self.jobs.remove(position)
        {
            self.job_bytes -= job.payload.len();
        }
    }

    fn note(&mut self, address: Option<Address>, kind: AckKind) {
        if let Some(address) = address {
            self.notes.push((address, kind));
        }
    }

    /// Destroys what is left of an entry that was taken off its shelf, and records it once.
    pub(super) fn destroyed(
        &mut self,
        order: u64,
        entry: Entry<P>,
        reason: DiscardReason,
        kind: AckKind,
        events: &mut Events<P::Category>,
    ) {
        if entry.in_writing {
            self.cancel_job(order);
        }
        self.note(entry.address, kind);
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

    fn destroy(
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
    fn victim(&self, lane: usize, may: impl Fn(&Entry<P>) -> bool) -> Option<(usize, u64)> {
        (lane..Lane::COUNT).rev().find_map(|lane| {
            let (order, _) = self.shelves[lane].iter().find(|(_, entry)| may(entry))?;
            Some((lane, order))
        })
    }

    fn evict(
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
    pub(super) fn expire(
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
    pub(super) fn make_room(
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
    pub(super) fn make_memory(
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
                .filter(|(_, entry)| entry.address.is_some() && !entry.in_writing && entry.body.is_here())
                .map(|(order, _)| order)
                .collect();
            for order in spare {
                shelf.edit(order, |entry| entry.body = Body::Away);
            }
        }
        while self.cached() + bytes > cap {
            if !self.evict(lane, |entry| entry.address.is_none() && !entry.in_writing, events) {
                return false;
            }
        }
        true
    }

    /// Takes a parcel on.
    #[expect(clippy::too_many_arguments, reason = "one call, from one place")]
    pub(super) fn append(
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
                if !self.evict(lane, |entry| entry.in_writing, events) {
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
            in_writing: frozen.is_some(),
            volatile,
        };
        let Some(Frozen { meta, payload, .. }) = frozen else {
            let place = Shelf::turn(&entry);
            self.shelves[lane].put(order, place, entry);
            events.extend(confirm.map(|confirm| Event::Confirmed(confirm, Fate::Queued)));
            return Ok(Fate::Queued);
        };
        self.shelves[lane].put(order, Place::Writing, entry);
        self.push_job(Job { order, lane, meta, payload, wall_ms, confirm });
        Ok(Fate::Stored)
    }

    /// The next entry of a lane.
    pub(super) fn lease(
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
    pub(super) fn finish(&mut self, order: u64, kind: AckKind) {
        if let Some(Loan { entry, .. }) = self.loans.remove(&order) {
            if entry.in_writing {
                self.cancel_job(order);
            }
            self.note(entry.address, kind);
        }
    }

    /// The goods were destroyed; what is on disk is still good.
    pub(super) fn abandon(&mut self, order: u64) {
        if let Some(Loan { lane, entry }) = self.loans.remove(&order)
            && entry.address.is_some()
        {
            let place = Shelf::turn(&entry);
            self.shelves[lane].put(order, place, entry);
        }
    }

    /// A parcel comes back to its place. `rewrite` if it holds less than what is on disk.
    pub(super) fn restore(
        &mut self,
        (order, loan): (u64, Loan<P>),
        parcel: Parcel<P>,
        place: Option<Place>,
        rewrite: Option<Frozen>,
        config: &SpoolConfig,
        events: &mut Events<P::Category>,
    ) {
        let Loan { lane, mut entry } = loan;
        let failed = parcel.meta().attempt.saturating_sub(entry.attempts);
        entry.attempts = parcel.meta().attempt;
        // A number from a stranger does not become a loop; the count on disk is one per delivery.
        for _ in 0..failed.min(16) {
            self.note(entry.address, AckKind::Attempt);
        }
        let fits = self.cached() + entry.label.bytes <= config.cache_bytes;
        let must_stay = entry.address.is_none() || entry.in_writing || rewrite.is_some();
        if fits || must_stay {
            entry.body = Body::Here(parcel);
        }
        if self.closed && entry.address.is_none() && !entry.in_writing {
            return self.destroyed(order, entry, DiscardReason::QueueOverflow, AckKind::Evicted, events);
        }
        if let Some(Frozen { meta, payload, size }) = rewrite
            && self.trouble.is_none()
        {
            if entry.in_writing {
                self.cancel_job(order);
            }
            entry.in_writing = true;
            entry.size = size;
            let wall_ms = entry.wall_ms;
            self.push_job(Job { order, lane, meta, payload, wall_ms, confirm: None });
        }
        let place = place.unwrap_or_else(|| Shelf::turn(&entry));
        self.shelves[lane].put(order, place, entry);
    }

    /// A record was written.
    pub(super) fn written(&mut self, job: &Job, address: Address, config: &SpoolConfig) {
        self.counters.written += 1;
        let crowded = self.cached() > config.cache_bytes;
        let landed = |entry: &mut Entry<P>| {
            entry.in_writing = false;
            entry.address.replace(address)
        };
        let before = if let Some(loan) = self.loans.get_mut(&job.order) {
            Some(landed(&mut loan.entry))
        } else {
            self.shelves[job.lane].edit(job.order, |entry| {
                if crowded {
                    entry.body = Body::Away;
                }
                landed(entry)
            })
        };
        match before {
            Some(before) => {
                self.note(before, AckKind::Superseded);
                if self.shelves[job.lane].place(job.order) == Some(Place::Writing) {
                    self.shelves[job.lane].call_up(job.order);
                }
            }
            // It went in the meantime.
            None => self.note(Some(address), AckKind::Evicted),
        }
    }

    /// A record could not be written: the entry goes on in memory (OC-11).
    pub(super) fn unwritten(&mut self, job: &Job) {
        if let Some(loan) = self.loans.get_mut(&job.order) {
            loan.entry.in_writing = false;
        }
        let shelf = &mut self.shelves[job.lane];
        shelf.edit(job.order, |entry| entry.in_writing = false);
        if shelf.place(job.order) == Some(Place::Writing) {
            shelf.call_up(job.order);
        }
    }

    /// Every record that waits to be written stays in memory.
    pub(super) fn give_up_jobs(&mut self) -> Vec<Job> {
        self.job_bytes = 0;
        let jobs: Vec<Job> = std::mem::take(&mut self.jobs).into();
        for job in &jobs {
            self.unwritten(job);
        }
        jobs
    }

    /// A payload was read.
    pub(super) fn fetched(&mut self, fetch: Fetch, payload: P) {
        self.counters.read += 1;
        self.shelves[fetch.lane].edit(fetch.order, |entry| {
            if matches!(entry.body, Body::Asked) {
                let origin = if entry.replayed { Origin::Replayed } else { Origin::Live };
                let meta = envoi_core::Meta { attempt: entry.attempts, origin, ..Default::default() };
                entry.body = Body::Here(Parcel::with_meta(payload, meta));
            }
        });
    }

    /// A payload cannot be read for now: it is kept, and tried again later (decision 20).
    pub(super) fn unreadable(&mut self, fetch: Fetch, until: Instant) {
        let shelf = &mut self.shelves[fetch.lane];
        if shelf.edit(fetch.order, |entry| entry.body = Body::Away).is_some() {
            shelf.move_to(fetch.order, Place::Backoff(until));
        }
    }

    /// A record is damaged or gone (OC-5).
    pub(super) fn corrupt(&mut self, fetch: Fetch, events: &mut Events<P::Category>) {
        if let Some(entry) = self.shelves[fetch.lane].take(fetch.order) {
            self.counters.corrupt += 1;
            self.destroyed(fetch.order, entry, DiscardReason::InternalSdkError, AckKind::Corrupt, events);
        }
    }

    /// Lets go of these records, to free what they take on disk.
    pub(super) fn evict_at(&mut self, lane: usize, addresses: &[Address], events: &mut Events<P::Category>) {
        let at: HashMap<Address, u64> =
            self.shelves[lane].iter().filter_map(|(order, entry)| Some((entry.address?, order))).collect();
        for address in addresses {
            if let Some(order) = at.get(address) {
                self.destroy((lane, *order), Some(DiscardReason::CacheOverflow), AckKind::Evicted, events);
            }
        }
    }

    /// The disk of a slot is gone. What is in memory goes on from there; the rest is lost.
    pub(super) fn forget_source(&mut self, source: u32, events: &mut Events<P::Category>) {
        let is_there = |entry: &Entry<P>| entry.address.is_some_and(|address| address.source == source);
        for loan in self.loans.values_mut().filter(|loan| is_there(&loan.entry)) {
            loan.entry.address = None;
        }
        for lane in 0..Lane::COUNT {
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

    /// What is only in memory and not to stay so.
    pub(super) fn unsaved(&self) -> impl Iterator<Item = (usize, u64)> {
        self.shelves.iter().enumerate().flat_map(|(lane, shelf)| {
            let unsaved = |entry: &Entry<P>| entry.address.is_none() && !entry.in_writing && !entry.volatile;
            shelf.iter().filter(move |(_, entry)| unsaved(entry)).map(move |(order, _)| (lane, order))
        })
    }

    /// Lets go of what a close cannot keep.
    pub(super) fn drop_if(&mut self, may: impl Fn(&Entry<P>) -> bool, events: &mut Events<P::Category>) {
        while let Some((lane, order)) = self.victim(0, &may) {
            if let Some(entry) = self.shelves[lane].take(order) {
                self.destroyed(order, entry, DiscardReason::QueueOverflow, AckKind::Evicted, events);
            }
        }
    }
}
