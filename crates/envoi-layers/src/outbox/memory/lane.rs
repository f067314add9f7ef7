use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use envoi_core::{Depth, IsLimited, Itemized, Origin, Parcel, Weight};

use super::Capacity;

/// A parcel and its place in the order of the lane.
#[derive(Debug)]
pub(super) struct Entry<P> {
    pub(super) sequence: u64,
    pub(super) tag: u64,
    pub(super) since: Instant,
    pub(super) weight: Weight,
    pub(super) parcel: Parcel<P>,
}

/// What an entry that is not simply next in line waits for.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Its turn, by age.
    Ready,
    /// Its turn, and the pace of replayed ones.
    Replayed,
    /// Its back-off.
    Backoff(Instant),
    /// What the server asked for.
    Asked(Instant),
    /// The end of a limit.
    Parked,
}

/// What a lane has to send.
pub(super) enum Choice<P> {
    Ready(Entry<P>),
    NotBefore(Instant),
    Held,
    Empty,
}

/// One lane. Each step costs at most the logarithm of its length, except that an entry is looked at once when a limit
/// begins to hold it and once when that ends.
#[derive(Debug)]
pub(super) struct MemoryLane<P: Itemized> {
    pub(super) capacity: Capacity,
    held: Weight,
    // Fresh entries, oldest first: almost everything, almost always.
    fresh: VecDeque<Entry<P>>,
    // All others, oldest first, and where each is listed.
    back: BTreeMap<u64, (Place, Entry<P>)>,
    ready: BTreeSet<u64>,
    replayed: BTreeSet<u64>,
    backoff: BTreeSet<(Instant, u64)>,
    asked: BTreeSet<(Instant, u64)>,
    parked: BTreeSet<u64>,
    // The limits that hold those who are parked. As long as all of them are in force nobody needs to be asked again.
    parked_by: Vec<P::Category>,
    pace: Option<Instant>,
}

impl<P: Itemized> MemoryLane<P> {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            held: Weight::default(),
            fresh: VecDeque::new(),
            back: BTreeMap::new(),
            ready: BTreeSet::new(),
            replayed: BTreeSet::new(),
            backoff: BTreeSet::new(),
            asked: BTreeSet::new(),
            parked: BTreeSet::new(),
            parked_by: Vec::new(),
            pace: None,
        }
    }

    /// Whether there is room for another `weight` now.
    pub(super) const fn has_room(&self, weight: Weight) -> bool {
        self.capacity.holds(Weight {
            items: self.held.items.saturating_add(weight.items),
            bytes: self.held.bytes.saturating_add(weight.bytes),
        })
    }

    const fn gained(&mut self, weight: Weight) {
        self.held.items = self.held.items.saturating_add(weight.items);
        self.held.bytes = self.held.bytes.saturating_add(weight.bytes);
    }

    fn gone(&mut self, entry: Entry<P>) -> Entry<P> {
        self.held.items = self.held.items.saturating_sub(entry.weight.items);
        self.held.bytes = self.held.bytes.saturating_sub(entry.weight.bytes);
        entry
    }

    /// Adds the youngest entry.
    pub(super) fn push(&mut self, entry: Entry<P>) {
        self.gained(entry.weight);
        if entry.parcel.meta().origin == Origin::Replayed {
            self.list(Place::Replayed, entry);
        } else {
            self.fresh.push_back(entry);
        }
    }

    /// Takes an entry back at its place in the order, bounds or not.
    pub(super) fn restore(&mut self, entry: Entry<P>, not_before: Option<Instant>, until_server: bool) {
        self.gained(entry.weight);
        let place = match not_before {
            Some(due) if until_server => Place::Asked(due),
            Some(due) => Place::Backoff(due),
            None => Self::turn(&entry),
        };
        self.list(place, entry);
    }

    fn turn(entry: &Entry<P>) -> Place {
        if entry.parcel.meta().origin == Origin::Replayed { Place::Replayed } else { Place::Ready }
    }

    fn list(&mut self, place: Place, entry: Entry<P>) {
        let sequence = entry.sequence;
        match place {
            Place::Ready => self.ready.insert(sequence),
            Place::Replayed => self.replayed.insert(sequence),
            Place::Backoff(due) => self.backoff.insert((due, sequence)),
            Place::Asked(due) => self.asked.insert((due, sequence)),
            Place::Parked => self.parked.insert(sequence),
        };
        self.back.insert(sequence, (place, entry));
    }

    fn unlist(&mut self, sequence: u64) -> Option<Entry<P>> {
        let (place, entry) = self.back.remove(&sequence)?;
        match place {
            Place::Ready => self.ready.remove(&sequence),
            Place::Replayed => self.replayed.remove(&sequence),
            Place::Backoff(due) => self.backoff.remove(&(due, sequence)),
            Place::Asked(due) => self.asked.remove(&(due, sequence)),
            Place::Parked => self.parked.remove(&sequence),
        };
        Some(entry)
    }

    fn call_up(&mut self, sequence: u64) {
        if let Some(entry) = self.unlist(sequence) {
            self.list(Self::turn(&entry), entry);
        }
    }

    fn oldest(&self) -> Option<&Entry<P>> {
        let fresh = self.fresh.front();
        let back = self.back.first_key_value().map(|(_, (_, entry))| entry);
        match (fresh, back) {
            (Some(fresh), Some(back)) => Some(if fresh.sequence < back.sequence { fresh } else { back }),
            (fresh, back) => fresh.or(back),
        }
    }

    fn take(&mut self, sequence: u64) -> Option<Entry<P>> {
        match self.fresh.front() {
            Some(fresh) if fresh.sequence == sequence => self.fresh.pop_front(),
            _ => self.unlist(sequence),
        }
    }

    /// Removes the oldest entry, whatever it waits for.
    pub(super) fn evict(&mut self) -> Option<Entry<P>> {
        let sequence = self.oldest()?.sequence;
        self.take(sequence).map(|entry| self.gone(entry))
    }

    /// Calls up those whose time has come and those whom no limit holds any longer.
    fn call_up_due(&mut self, now: Instant, limited: &mut Option<IsLimited<'_, P::Category>>) {
        while let Some(&(due, sequence)) = self.backoff.first().filter(|(due, _)| *due <= now) {
            self.backoff.remove(&(due, sequence));
            self.call_up(sequence);
        }
        while let Some(&(due, sequence)) = self.asked.first().filter(|(due, _)| *due <= now) {
            self.asked.remove(&(due, sequence));
            self.call_up(sequence);
        }
        let parked_by = &self.parked_by;
        let holds = match limited {
            Some(limited) => parked_by.iter().all(limited),
            None => false,
        };
        if !holds {
            self.parked_by.clear();
            for sequence in std::mem::take(&mut self.parked) {
                self.call_up(sequence);
            }
        }
    }

    /// The entry whose turn it is, and the entry itself.
    fn first(&self, now: Instant) -> Option<&Entry<P>> {
        let replayed = self.replayed.first().filter(|_| self.pace.is_none_or(|pace| pace <= now));
        let back = self.ready.first().into_iter().chain(replayed).min();
        let back = back.and_then(|sequence| self.back.get(sequence)).map(|(_, entry)| entry);
        match (self.fresh.front(), back) {
            (Some(fresh), Some(back)) => Some(if fresh.sequence < back.sequence { fresh } else { back }),
            (fresh, back) => fresh.or(back),
        }
    }

    /// The oldest entry that may go now.
    pub(super) fn choose(
        &mut self,
        now: Instant,
        mut limited: Option<IsLimited<'_, P::Category>>,
    ) -> Choice<P> {
        self.call_up_due(now, &mut limited);
        while let Some(first) = self.first(now) {
            let sequence = first.sequence;
            if let Some(limited) = &mut limited {
                let mut holding = Vec::new();
                let held = first.parcel.payload().is_held(&mut |category| {
                    let held = limited(category);
                    if held && !holding.contains(category) {
                        holding.push(category.clone());
                    }
                    held
                });
                if held {
                    holding.retain(|category| !self.parked_by.contains(category));
                    self.parked_by.append(&mut holding);
                    if let Some(entry) = self.take(sequence) {
                        self.list(Place::Parked, entry);
                    }
                    continue;
                }
            }
            if let Some(entry) = self.take(sequence) {
                return Choice::Ready(self.gone(entry));
            }
        }
        let pace = self.replayed.first().and(self.pace);
        let due =
            [&self.backoff, &self.asked].into_iter().filter_map(|list| list.first().map(|(due, _)| *due));
        match due.chain(pace).min() {
            Some(due) => Choice::NotBefore(due),
            None if self.parked.is_empty() => Choice::Empty,
            None => Choice::Held,
        }
    }

    pub(super) const fn pace(&mut self, until: Instant) {
        self.pace = Some(until);
    }

    pub(super) fn hurry(&mut self) {
        for (_, sequence) in std::mem::take(&mut self.backoff) {
            self.call_up(sequence);
        }
    }

    pub(super) fn depth(&self) -> Depth {
        Depth {
            parcels: self.fresh.len() + self.back.len(),
            items: self.held.items,
            bytes: self.held.bytes,
            waiting: self.backoff.len() + self.asked.len(),
            oldest: self.oldest().map(|entry| entry.since),
        }
    }

    pub(super) fn payloads(&self) -> impl Iterator<Item = &P> {
        let back = self.back.values().map(|(_, entry)| entry);
        self.fresh.iter().chain(back).map(|entry| entry.parcel.payload())
    }
}
