use std::sync::Arc;
use std::time::Instant;

use crate::{Failure, Fate, Itemized, Lane, LossSink, Parcel};

/// Asks whether a category is held back by a limit.
pub type IsLimited<'a, C> = &'a mut dyn FnMut(&C) -> bool;

/// Told what became of an entry that was to be made durable, see [`Store::append_durable`].
pub type Confirm = Box<dyn FnOnce(Fate) + Send>;

/// A queue with leases: where an outbox keeps its parcels.
///
/// The memory store, a disk buffer and a remote stream all are stores; the outbox above does the rest (when to
/// send, how often, what a failure means). The contract:
///
/// * No method blocks on I/O, but for [`Store::close`]. A store that has to fetch answers [`Next::Fetching`] and wakes its
///   host later.
/// * Lanes are independent. Within a lane the oldest entry that is ready comes first; one that waits for its
///   back-off or is held by a limit never blocks those behind it (decision 18).
/// * A leased entry stays the store's until it is settled. Each lease is settled exactly once.
/// * What [`Origin::Replayed`](crate::Origin::Replayed) says is read back from an earlier run goes at its own pace,
///   [`Store::pace`], and delays nobody.
/// * What the store finds that was not appended to it in this run it announces with [`StoreHost::found`], once, before
///   it hands it out or counts it in [`Store::held`].
/// * Whatever the store destroys on its own (overflow, age, corruption), it records with its host at that moment,
///   and says which tag is gone.
pub trait Store<P: Itemized>: Send + Sync + 'static {
    /// Tells the store whom it works for. The queue calls this once, before anything else.
    fn connect(&self, host: Arc<dyn StoreHost<P::Category>>);

    /// Takes a parcel on. `tag` comes back with the lease and in [`StoreHost::gone`].
    ///
    /// The answer is [`Fate::Queued`] or [`Fate::Stored`]. What has to make room is recorded as lost first.
    ///
    /// # Errors
    /// The parcel, if there is no room and nothing may be evicted, or if it could never fit.
    fn append(&self, parcel: Parcel<P>, tag: u64, now: Instant) -> Result<Fate, Failure<P>>;

    /// As [`Store::append`], and sees to it at once that the entry survives a power failure, whatever the store does
    /// otherwise. `confirm` is called, from any thread, when that is so: with [`Fate::Stored`]. A store that cannot do it,
    /// for now or ever, has the entry in memory and says [`Fate::Queued`]. It is dropped without a call if the entry was
    /// destroyed before.
    ///
    /// # Errors
    /// As [`Store::append`]; `confirm` is not called.
    fn append_durable(
        &self,
        parcel: Parcel<P>,
        tag: u64,
        now: Instant,
        confirm: Confirm,
    ) -> Result<Fate, Failure<P>> {
        let fate = self.append(parcel, tag, now)?;
        confirm(Fate::Queued);
        Ok(fate)
    }

    /// The next entry of `lane` that may be sent now.
    ///
    /// `limited` says which categories are held back; it is `None` when none is, which is the usual case. An entry of
    /// which every item is held stays where it is (decision 22).
    fn lease(&self, lane: Lane, now: Instant, limited: Option<IsLimited<'_, P::Category>>) -> Next<P>;

    /// Ends a lease.
    fn settle(&self, lease: LeaseId, outcome: Settle<P>, now: Instant);

    /// Makes every entry that waits for a back-off ready at once: the network is back (OC-6). Waits that a server
    /// asked for (`until_server`) are kept.
    fn hurry(&self);

    /// Leases no replayed parcel before `until` (OC-7). Called after each that was leased. A store that never holds any
    /// needs nothing.
    fn pace(&self, until: Instant) {
        let _ = until;
    }

    /// Whether the entry behind a lease outlives the process, so that shutdown need not count it as lost.
    fn is_durable(&self, lease: LeaseId) -> bool {
        let _ = lease;
        false
    }

    /// How full a lane is. A lane that says it has no parcels is not asked for one until something is appended to it, or
    /// the host is woken.
    fn depth(&self, lane: Lane) -> Depth;

    /// Visits category and quantity of everything that is stored and not leased.
    fn held(&self, visit: &mut dyn FnMut(&P::Category, u64));

    /// Shutdown: a durable store keeps what it has, another records it as lost. Leases are settled before. Returns
    /// how many entries are kept. Later appends fail, later leases are empty, and what a late
    /// [`Settle::Return`] brings is kept or recorded in the same way.
    ///
    /// The one method that may wait for I/O, for a bounded time: when it returns, what is kept is where it survives.
    fn close(&self, now: Instant) -> usize;
}

/// A store that others look at while a queue works with it.
impl<P: Itemized, S: Store<P> + ?Sized> Store<P> for Arc<S> {
    fn connect(&self, host: Arc<dyn StoreHost<P::Category>>) {
        (**self).connect(host);
    }

    fn append(&self, parcel: Parcel<P>, tag: u64, now: Instant) -> Result<Fate, Failure<P>> {
        (**self).append(parcel, tag, now)
    }

    fn append_durable(
        &self,
        parcel: Parcel<P>,
        tag: u64,
        now: Instant,
        confirm: Confirm,
    ) -> Result<Fate, Failure<P>> {
        (**self).append_durable(parcel, tag, now, confirm)
    }

    fn lease(&self, lane: Lane, now: Instant, limited: Option<IsLimited<'_, P::Category>>) -> Next<P> {
        (**self).lease(lane, now, limited)
    }

    fn settle(&self, lease: LeaseId, outcome: Settle<P>, now: Instant) {
        (**self).settle(lease, outcome, now);
    }

    fn hurry(&self) {
        (**self).hurry();
    }

    fn pace(&self, until: Instant) {
        (**self).pace(until);
    }

    fn is_durable(&self, lease: LeaseId) -> bool {
        (**self).is_durable(lease)
    }

    fn depth(&self, lane: Lane) -> Depth {
        (**self).depth(lane)
    }

    fn held(&self, visit: &mut dyn FnMut(&P::Category, u64)) {
        (**self).held(visit);
    }

    fn close(&self, now: Instant) -> usize {
        (**self).close(now)
    }
}

/// What a store tells its queue. Calls come from any thread and must not call back into the store.
pub trait StoreHost<C>: LossSink<C> {
    /// There may be something to lease that was not there before.
    fn wake(&self);

    /// The entry with this tag was destroyed by the store itself; its items are recorded already.
    fn gone(&self, tag: u64);

    /// Whether losses were recorded that no receiver has been told of yet. A durable store keeps its own losses on disk
    /// until then, so that they are reported even after a crash.
    fn has_unreported(&self) -> bool {
        false
    }

    /// `quantity` of `category` have come to light that an earlier run or another process posted: the books take them
    /// on.
    fn found(&self, category: &C, quantity: u64) {
        let _ = (category, quantity);
    }
}

/// Names a lease towards the store that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId(
    /// A number that is unique among the open leases of one store.
    pub u64,
);

/// A parcel on loan from a store.
#[derive(Debug)]
pub struct Lease<P> {
    /// To settle it by.
    pub id: LeaseId,
    /// The number given to [`Store::append`]; 0 for an entry of an earlier run.
    pub tag: u64,
    /// When it was appended, on the monotonic clock; for an entry of an earlier run, as far back as is known.
    pub since: Instant,
    /// The goods.
    pub parcel: Parcel<P>,
}

/// The answer to [`Store::lease`].
#[derive(Debug)]
pub enum Next<P> {
    /// This one.
    Ready(Lease<P>),
    /// All that is there waits; the first may go at this instant.
    NotBefore(Instant),
    /// All that is there and ready is held by limits.
    Held,
    /// Being fetched; the host is woken when it is here.
    Fetching,
    /// Nothing is there.
    Empty,
}

/// How a lease ends.
#[derive(Debug)]
pub enum Settle<P> {
    /// Delivered; the entry goes.
    Delivered,
    /// Given up, and recorded by whoever gave it up; the entry goes.
    Discarded,
    /// The goods were destroyed with the call that held them, by shutdown. A durable store falls back on its own copy,
    /// with the attempts that it had; another lets the entry go.
    Abandoned,
    /// To be tried again. The parcel keeps its place in order (decision 18).
    Return {
        /// The goods, possibly fewer, with the number of failed attempts in [`Meta`](crate::Meta).
        parcel: Parcel<P>,
        /// Not before this; `None` is at once.
        not_before: Option<Instant>,
        /// Whether the wait was asked for by the server, so that [`Store::hurry`] leaves it.
        until_server: bool,
    },
}

/// How full a lane is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Parcels, leased ones not counted.
    pub parcels: usize,
    /// Their items.
    pub items: usize,
    /// Their bytes.
    pub bytes: usize,
    /// How many of the parcels wait for a back-off.
    pub waiting: usize,
    /// When the oldest was appended.
    pub oldest: Option<Instant>,
}
