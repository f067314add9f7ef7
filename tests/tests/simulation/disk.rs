//! A store whose entries outlive the process, in its simplest form: a list, and a copy of everything that is on loan.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use envoi_core::{
    Depth, DiscardReason, Failure, Fate, Fault, IsLimited, Itemized, Kind, Lane, Lease, LeaseId, LossSink,
    Meta, Next, Origin, Parcel, Settle, Store, StoreHost,
};

struct Entry<P> {
    number: u64,
    tag: u64,
    since: Instant,
    lane: Lane,
    payload: P,
    attempt: u32,
    origin: Origin,
    on_loan: bool,
    not_before: Option<Instant>,
    until_server: bool,
}

impl<P: Itemized> Entry<P> {
    fn is_held(&self, limited: &mut Option<IsLimited<'_, P::Category>>) -> bool {
        limited.as_mut().is_some_and(|limited| self.payload.is_held(limited))
    }
}

struct State<P> {
    /// Oldest first.
    entries: Vec<Entry<P>>,
    appended: u64,
    pace: Option<Instant>,
    closed: bool,
}

pub(crate) struct Disk<P: Itemized> {
    host: OnceLock<Arc<dyn StoreHost<P::Category>>>,
    /// How many entries there may be; the oldest gives way.
    most: usize,
    state: Mutex<State<P>>,
}

impl<P: Itemized + Clone> Disk<P> {
    pub(crate) fn new(most: usize) -> Self {
        let state = State { entries: Vec::new(), appended: 0, pace: None, closed: false };
        Self { host: OnceLock::new(), most, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that would be there after a restart, and how often it was tried.
    pub(crate) fn kept(&self) -> Vec<(P, u32)> {
        self.lock().entries.iter().map(|entry| (entry.payload.clone(), entry.attempt)).collect()
    }
}

impl<P: Itemized + Clone> Store<P> for Disk<P> {
    fn connect(&self, host: Arc<dyn StoreHost<P::Category>>) {
        self.held(&mut |category, quantity| host.found(category, quantity));
        let _ = self.host.set(host);
    }

    fn append(&self, parcel: Parcel<P>, tag: u64, now: Instant) -> Result<Fate, Failure<P>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Failure::new(Fault::new(Kind::Closed), parcel));
        }
        let here = |entry: &&Entry<P>| !entry.on_loan;
        let full = state.entries.iter().filter(here).count() >= self.most;
        let evicted = full.then(|| state.entries.iter().position(|entry| !entry.on_loan)).flatten();
        let evicted = evicted.map(|at| state.entries.remove(at));
        let (payload, Meta { attempt, origin, .. }) = parcel.into_parts();
        state.appended += 1;
        let (number, lane) = (state.appended, payload.lane());
        state.entries.push(Entry {
            number,
            tag,
            since: now,
            lane,
            payload,
            attempt,
            origin,
            on_loan: false,
            not_before: None,
            until_server: false,
        });
        drop(state);
        if let (Some(entry), Some(host)) = (evicted, self.host.get()) {
            entry.payload.tally(&mut |category, quantity| {
                host.lost(DiscardReason::CacheOverflow, category, quantity);
            });
            entry.payload.carried_losses(&mut |reason, category, quantity| {
                host.restore(reason, category, quantity);
            });
            host.gone(entry.tag);
        }
        Ok(Fate::Stored)
    }

    fn lease(&self, lane: Lane, now: Instant, mut limited: Option<IsLimited<'_, P::Category>>) -> Next<P> {
        let mut state = self.lock();
        let (mut held, mut due) = (false, None::<Instant>);
        let pace = state.pace;
        if state.closed {
            return Next::Empty;
        }
        for entry in state.entries.iter_mut().filter(|entry| entry.lane == lane && !entry.on_loan) {
            let paced = pace.filter(|_| entry.origin == Origin::Replayed);
            let wait = entry.not_before.max(paced).filter(|at| *at > now);
            if let Some(at) = wait {
                due = Some(due.map_or(at, |due| due.min(at)));
                continue;
            }
            if entry.is_held(&mut limited) {
                held = true;
                continue;
            }
            entry.on_loan = true;
            entry.not_before = None;
            let meta = Meta { attempt: entry.attempt, origin: entry.origin, ..Meta::default() };
            let parcel = Parcel::with_meta(entry.payload.clone(), meta);
            return Next::Ready(Lease {
                id: LeaseId(entry.number),
                tag: entry.tag,
                since: entry.since,
                parcel,
            });
        }
        match due {
            Some(due) => Next::NotBefore(due),
            None if held => Next::Held,
            None => Next::Empty,
        }
    }

    fn settle(&self, lease: LeaseId, outcome: Settle<P>, _: Instant) {
        let mut state = self.lock();
        let Some(at) = state.entries.iter().position(|entry| entry.number == lease.0) else { return };
        let entry = &mut state.entries[at];
        entry.on_loan = false;
        match outcome {
            Settle::Delivered | Settle::Discarded => drop(state.entries.remove(at)),
            Settle::Abandoned => {}
            Settle::Return { parcel, not_before, until_server } => {
                let (payload, meta) = parcel.into_parts();
                (entry.payload, entry.attempt) = (payload, meta.attempt);
                (entry.not_before, entry.until_server) = (not_before, until_server);
            }
        }
    }

    fn hurry(&self) {
        for entry in self.lock().entries.iter_mut().filter(|entry| !entry.until_server) {
            entry.not_before = None;
        }
    }

    fn pace(&self, until: Instant) {
        self.lock().pace = Some(until);
    }

    fn is_durable(&self, _: LeaseId) -> bool {
        true
    }

    fn depth(&self, lane: Lane) -> Depth {
        let state = self.lock();
        let here = state.entries.iter().filter(|entry| entry.lane == lane && !entry.on_loan);
        Depth { parcels: here.count(), ..Depth::default() }
    }

    fn held(&self, visit: &mut dyn FnMut(&P::Category, u64)) {
        for entry in self.lock().entries.iter().filter(|entry| !entry.on_loan) {
            entry.payload.tally(visit);
        }
    }

    fn close(&self, _: Instant) -> usize {
        let mut state = self.lock();
        state.closed = true;
        state.entries.len()
    }
}
