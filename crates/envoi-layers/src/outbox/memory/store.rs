use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use envoi_core::{
    Depth, DiscardReason, Failure, Fate, Fault, IsLimited, Itemized, Kind, Lane, Lease, LeaseId, Next,
    Parcel, Settle, Store, StoreHost,
};

use super::lane::{Choice, Entry, MemoryLane};
use super::{Capacity, Overflow};

/// A queue in memory: five lanes, each bounded in items and in bytes, so that a flood in one pushes nothing out of
/// another (TP-1).
///
/// When a lane is full the oldest of the same lane gives way, or the newcomer, see [`Overflow`]; what gives way is
/// recorded as `queue_overflow`. A parcel that a failed delivery brings back is always taken: it evicts nobody, so a
/// lane may exceed its bounds by as much as was in flight.
///
/// ```
/// use envoi_core::Lane;
/// use envoi_layers::outbox::{Capacity, MemoryStore, Overflow};
/// # use envoi_testkit::Goods;
/// let store = MemoryStore::<Goods>::new()
///     .capacity(Capacity::new(500, 8 << 20))
///     .lane_capacity(Lane::Low, Capacity::new(100, 1 << 20))
///     .overflow(Overflow::DropNewest);
/// ```
pub struct MemoryStore<P: Itemized> {
    host: OnceLock<Arc<dyn StoreHost<P::Category>>>,
    overflow: Overflow,
    state: Mutex<State<P>>,
}

struct State<P: Itemized> {
    lanes: [MemoryLane<P>; Lane::COUNT],
    next_sequence: u64,
    // Few, and numbers need no hash that withstands strangers.
    loans: BTreeMap<u64, Loan>,
    closed: bool,
}

/// What is known of an entry while it is away.
struct Loan {
    lane: Lane,
    tag: u64,
    since: Instant,
}

impl<P: Itemized> Default for MemoryStore<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Itemized> MemoryStore<P> {
    /// An empty store: 1000 items and 32 MiB per lane, the oldest gives way.
    #[must_use]
    pub fn new() -> Self {
        Self {
            host: OnceLock::new(),
            overflow: Overflow::default(),
            state: Mutex::new(State {
                lanes: Lane::ALL.map(|_| MemoryLane::new(Capacity::default())),
                next_sequence: 0,
                loans: BTreeMap::new(),
                closed: false,
            }),
        }
    }

    /// The capacity of every lane.
    #[must_use]
    pub fn capacity(mut self, capacity: Capacity) -> Self {
        for lane in &mut self.state_mut().lanes {
            lane.capacity = capacity;
        }
        self
    }

    /// The capacity of one lane.
    #[must_use]
    pub fn lane_capacity(mut self, lane: Lane, capacity: Capacity) -> Self {
        self.state_mut().lanes[lane.index()].capacity = capacity;
        self
    }

    /// What gives way when a lane is full.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    fn state_mut(&mut self) -> &mut State<P> {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        // A payload that panics while it is asked leaves the lists as they are.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what was pushed out. Never with the lock held: sinks and payloads are strangers.
    fn record(&self, evicted: impl IntoIterator<Item = Entry<P>>) {
        for entry in evicted {
            if let Some(host) = self.host.get() {
                let payload = entry.parcel.payload();
                payload.tally(&mut |category, quantity| {
                    host.lost(DiscardReason::QueueOverflow, category, quantity);
                });
                payload.carried_losses(&mut |reason, category, quantity| {
                    host.restore(reason, category, quantity);
                });
                host.gone(entry.tag);
            }
        }
    }
}

impl<P: Itemized> Store<P> for MemoryStore<P> {
    fn connect(&self, host: Arc<dyn StoreHost<P::Category>>) {
        // What was appended before anybody was there to count it.
        self.held(&mut |category, quantity| host.found(category, quantity));
        // A second queue over the same store would be a mistake; the first one keeps the books.
        let _ = self.host.set(host);
    }

    fn append(&self, parcel: Parcel<P>, tag: u64, now: Instant) -> Result<Fate, Failure<P>> {
        let (index, weight) = (parcel.payload().lane().index(), parcel.payload().weight());
        // One out, one in is what a full lane does all the time: that takes no list.
        let (mut evicted, mut more) = (None, Vec::new());
        let mut state = self.lock();
        if state.closed {
            return Err(Failure::new(Fault::new(Kind::Closed), parcel));
        }
        let sequence = state.next_sequence;
        let lane = &mut state.lanes[index];
        if !lane.capacity.holds(weight) {
            let fault = Fault::new(Kind::QueueFull).with_message(format!(
                "{} items of {} bytes are more than the {} lane holds ({} items, {} bytes), raise its capacity",
                weight.items,
                weight.bytes,
                Lane::ALL[index].as_str(),
                lane.capacity.items,
                lane.capacity.bytes,
            ));
            return Err(Failure::new(fault, parcel));
        }
        while !lane.has_room(weight) {
            if self.overflow == Overflow::DropNewest {
                return Err(Failure::new(Fault::new(Kind::QueueFull), parcel));
            }
            match lane.evict() {
                Some(entry) if evicted.is_none() => evicted = Some(entry),
                Some(entry) => more.push(entry),
                None => break,
            }
        }
        lane.push(Entry { sequence, tag, since: now, weight, parcel });
        state.next_sequence += 1;
        drop(state);
        self.record(evicted.into_iter().chain(more));
        Ok(Fate::Queued)
    }

    fn lease(&self, lane: Lane, now: Instant, limited: Option<IsLimited<'_, P::Category>>) -> Next<P> {
        let mut state = self.lock();
        match state.lanes[lane.index()].choose(now, limited) {
            Choice::Ready(Entry { sequence, tag, since, parcel, .. }) => {
                state.loans.insert(sequence, Loan { lane, tag, since });
                Next::Ready(Lease { id: LeaseId(sequence), tag, since, parcel })
            }
            Choice::NotBefore(due) => Next::NotBefore(due),
            Choice::Held => Next::Held,
            Choice::Empty => Next::Empty,
        }
    }

    fn settle(&self, lease: LeaseId, outcome: Settle<P>, now: Instant) {
        let mut state = self.lock();
        let Some(Loan { lane, tag, since }) = state.loans.remove(&lease.0) else { return };
        let Settle::Return { parcel, not_before, until_server } = outcome else { return };
        let weight = parcel.payload().weight();
        let entry = Entry { sequence: lease.0, tag, since, weight, parcel };
        if state.closed {
            drop(state);
            return self.record([entry]);
        }
        let not_before = not_before.filter(|due| *due > now);
        state.lanes[lane.index()].restore(entry, not_before, until_server);
    }

    fn hurry(&self) {
        self.lock().lanes.iter_mut().for_each(MemoryLane::hurry);
    }

    fn pace(&self, until: Instant) {
        self.lock().lanes.iter_mut().for_each(|lane| lane.pace(until));
    }

    fn depth(&self, lane: Lane) -> Depth {
        self.lock().lanes[lane.index()].depth()
    }

    fn held(&self, visit: &mut dyn FnMut(&P::Category, u64)) {
        for lane in &self.lock().lanes {
            lane.payloads().for_each(|payload| payload.tally(visit));
        }
    }

    fn close(&self, _: Instant) -> usize {
        let mut left = Vec::new();
        let mut state = self.lock();
        state.closed = true;
        for lane in &mut state.lanes {
            left.extend(std::iter::from_fn(|| lane.evict()));
        }
        drop(state);
        self.record(left);
        0
    }
}

impl<P: Itemized> fmt::Debug for MemoryStore<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let depths = Lane::ALL.map(|lane| self.depth(lane).parcels);
        f.debug_struct("MemoryStore").field("parcels", &depths).field("overflow", &self.overflow).finish()
    }
}
