use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use envoi_core::{
    Confirm, Depth, Failure, Fate, IsLimited, Itemized, Kind, Lane, LeaseId, Next, Parcel, Settle, Store,
    StoreHost,
};

/// Far enough that whatever waits in a store is ready then.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Two stores as one: what the first has no room for goes to the second, instead of being dropped.
///
/// Usually the first is in memory and the second on disk: nothing touches the disk in normal times, an outage fills it.
/// Against [`Spool`](crate::Spool) alone this trades the entries in memory, which a crash takes, for not writing every
/// entry. The first store has to refuse what it has no room for (`Overflow::DropNewest` of the memory store); one that
/// drops its oldest never spills.
///
/// Of both, the older entry of a lane goes first. A close moves what is left in the first to the second.
///
/// ```
/// use envoi_layers::outbox::{Capacity, MemoryStore, Overflow};
/// use envoi_spool::{Spool, SpoolConfig, Tiered};
/// # use envoi_testkit::Goods;
/// # let dir = tempfile::tempdir()?;
/// let memory = MemoryStore::<Goods>::new().capacity(Capacity::new(100, 1 << 20)).overflow(Overflow::DropNewest);
/// let store = Tiered::new(memory, Spool::<Goods>::open(dir.path(), SpoolConfig::new())?);
/// # drop(store);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tiered<A, B> {
    first: A,
    second: B,
}

impl<A, B> Tiered<A, B> {
    /// `first`, and `second` for what it has no room for.
    #[must_use]
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

/// The last bit of a lease says which store gave it.
fn outer(id: LeaseId, tier: u64) -> LeaseId {
    LeaseId((id.0 << 1) | tier)
}

fn outward<P>(next: Next<P>, tier: u64) -> Next<P> {
    match next {
        Next::Ready(mut lease) => {
            lease.id = outer(lease.id, tier);
            Next::Ready(lease)
        }
        other => other,
    }
}

fn either<P>(a: Next<P>, b: Next<P>) -> Next<P> {
    match (a, b) {
        (ready @ Next::Ready(_), _) | (_, ready @ Next::Ready(_)) => ready,
        (Next::Fetching, _) | (_, Next::Fetching) => Next::Fetching,
        (Next::NotBefore(a), Next::NotBefore(b)) => Next::NotBefore(a.min(b)),
        (wait @ Next::NotBefore(_), _) | (_, wait @ Next::NotBefore(_)) => wait,
        (Next::Held, _) | (_, Next::Held) => Next::Held,
        (Next::Empty, Next::Empty) => Next::Empty,
    }
}

impl<P, A, B> Store<P> for Tiered<A, B>
where
    P: Itemized,
    A: Store<P>,
    B: Store<P>,
{
    fn connect(&self, host: Arc<dyn StoreHost<P::Category>>) {
        self.first.connect(Arc::clone(&host));
        self.second.connect(host);
    }

    fn append(&self, parcel: Parcel<P>, tag: u64, now: Instant) -> Result<Fate, Failure<P>> {
        match self.first.append(parcel, tag, now) {
            Err(failure) if failure.fault().kind() == Kind::QueueFull => {
                let (fault, parcel) = failure.into_parts();
                match parcel {
                    Some(parcel) => self.second.append(parcel, tag, now),
                    None => Err(Failure::without_parcel(fault)),
                }
            }
            other => other,
        }
    }

    /// Goes to the second store at once.
    fn append_durable(
        &self,
        parcel: Parcel<P>,
        tag: u64,
        now: Instant,
        confirm: Confirm,
    ) -> Result<Fate, Failure<P>> {
        self.second.append_durable(parcel, tag, now, confirm)
    }

    fn lease(&self, lane: Lane, now: Instant, limited: Option<IsLimited<'_, P::Category>>) -> Next<P> {
        let oldest = (self.first.depth(lane).oldest, self.second.depth(lane).oldest);
        let second_first = matches!(oldest, (Some(first), Some(second)) if second < first);
        let mut limited = limited;
        let mut ask = |tier| {
            let limited: Option<IsLimited<'_, P::Category>> = match &mut limited {
                Some(limited) => Some(&mut **limited),
                None => None,
            };
            match tier {
                0 => outward(self.first.lease(lane, now, limited), 0),
                _ => outward(self.second.lease(lane, now, limited), 1),
            }
        };
        let order = if second_first { [1, 0] } else { [0, 1] };
        match ask(order[0]) {
            ready @ Next::Ready(_) => ready,
            other => either(other, ask(order[1])),
        }
    }

    fn settle(&self, lease: LeaseId, outcome: Settle<P>, now: Instant) {
        let inner = LeaseId(lease.0 >> 1);
        match lease.0 & 1 {
            0 => self.first.settle(inner, outcome, now),
            _ => self.second.settle(inner, outcome, now),
        }
    }

    fn hurry(&self) {
        self.first.hurry();
        self.second.hurry();
    }

    fn pace(&self, until: Instant) {
        self.first.pace(until);
        self.second.pace(until);
    }

    fn is_durable(&self, lease: LeaseId) -> bool {
        let inner = LeaseId(lease.0 >> 1);
        match lease.0 & 1 {
            0 => self.first.is_durable(inner),
            _ => self.second.is_durable(inner),
        }
    }

    fn depth(&self, lane: Lane) -> Depth {
        let (first, second) = (self.first.depth(lane), self.second.depth(lane));
        Depth {
            parcels: first.parcels + second.parcels,
            items: first.items + second.items,
            bytes: first.bytes + second.bytes,
            waiting: first.waiting + second.waiting,
            oldest: first.oldest.into_iter().chain(second.oldest).min(),
        }
    }

    fn held(&self, visit: &mut dyn FnMut(&P::Category, u64)) {
        self.first.held(visit);
        self.second.held(visit);
    }

    fn close(&self, now: Instant) -> usize {
        let ready = now.checked_add(FAR).unwrap_or(now);
        for lane in Lane::ALL {
            while let Next::Ready(lease) = self.first.lease(lane, ready, None) {
                match self.second.append(lease.parcel, lease.tag, now) {
                    // It ends here and goes on there.
                    Ok(_) => self.first.settle(lease.id, Settle::Delivered, now),
                    Err(failure) => {
                        if let Some(parcel) = failure.into_parcel() {
                            let back = Settle::Return { parcel, not_before: None, until_server: false };
                            self.first.settle(lease.id, back, now);
                        }
                        break;
                    }
                }
            }
        }
        self.first.close(now) + self.second.close(now)
    }
}

impl<A: fmt::Debug, B: fmt::Debug> fmt::Debug for Tiered<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiered").field("first", &self.first).field("second", &self.second).finish()
    }
}
