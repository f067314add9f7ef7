use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use envoi_core::{Depth, IsLimited, Itemized};

use super::entry::{Address, Body, Entry};

/// So many payloads are read ahead of their turn, and so many bytes.
const AHEAD: usize = 16;
const AHEAD_BYTES: usize = 1 << 20;

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To be on disk: write-ahead (OC-1).
    Writing,
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

/// What a shelf is filled with: the number of each entry, its place, the entry.
pub(super) type Stock<P> = Vec<(u64, (Place, Entry<P>))>;

/// What a lane has to send.
pub(super) enum Choice<P: Itemized> {
    Ready(u64, Entry<P>),
    NotBefore(Instant),
    Held,
    /// It is being written or read.
    Busy,
    Empty,
}

/// One lane: entries by age, and for each what it waits for.
#[derive(Debug)]
pub(super) struct Shelf<P: Itemized> {
    entries: BTreeMap<u64, (Place, Entry<P>)>,
    writing: usize,
    ready: BTreeSet<u64>,
    replayed: BTreeSet<u64>,
    backoff: BTreeSet<(Instant, u64)>,
    asked: BTreeSet<(Instant, u64)>,
    parked: BTreeSet<u64>,
    // The limits that hold those who are parked. As long as all of them are in force nobody needs to be asked again.
    parked_by: Vec<P::Category>,
    pace: Option<Instant>,
    items: usize,
    bytes: usize,
    size: u64,
    cached: usize,
    stored: usize,
}

impl<P: Itemized> Default for Shelf<P> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            writing: 0,
            ready: BTreeSet::new(),
            replayed: BTreeSet::new(),
            backoff: BTreeSet::new(),
            asked: BTreeSet::new(),
            parked: BTreeSet::new(),
            parked_by: Vec::new(),
            pace: None,
            items: 0,
            bytes: 0,
            size: 0,
            cached: 0,
            stored: 0,
        }
    }
}

impl<P: Itemized> Shelf<P> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on disk of what is here.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// How many are on disk.
    pub(super) const fn stored(&self) -> usize {
        self.stored
    }

    /// Bytes of payloads in memory.
    pub(super) const fn cached(&self) -> usize {
        self.cached
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry<P>)> {
        self.entries.iter().map(|(order, (_, entry))| (*order, entry))
    }

    pub(super) fn get(&self, order: u64) -> Option<&Entry<P>> {
        self.entries.get(&order).map(|(_, entry)| entry)
    }

    pub(super) fn place(&self, order: u64) -> Option<Place> {
        self.entries.get(&order).map(|(place, _)| *place)
    }

    /// Changes an entry; the sums follow.
    pub(super) fn edit<T>(&mut self, order: u64, change: impl FnOnce(&mut Entry<P>) -> T) -> Option<T> {
        let (_, entry) = self.entries.get_mut(&order)?;
        let (cached, size) = (entry.cached(), entry.size);
        let stored = usize::from(entry.address.is_some());
        let out = change(entry);
        self.stored = self.stored - stored + usize::from(entry.address.is_some());
        self.cached = self.cached - cached + entry.cached();
        self.size = self.size - size + entry.size;
        Some(out)
    }

    /// Where an entry stands that waits for nothing but its turn.
    pub(super) const fn turn(entry: &Entry<P>) -> Place {
        if entry.replayed { Place::Replayed } else { Place::Ready }
    }

    /// Puts many that wait for their turn.
    pub(super) fn stock(&mut self, entries: Stock<P>) {
        for (_, (_, entry)) in &entries {
            self.add_up(entry);
        }
        let of = |place| {
            let of = entries.iter().filter(move |(_, (of, _))| *of == place);
            of.map(|(order, _)| *order).collect::<BTreeSet<u64>>()
        };
        self.ready.append(&mut of(Place::Ready));
        self.replayed.append(&mut of(Place::Replayed));
        // Made at once, which packs them tighter than one by one, and in place.
        let mut entries: BTreeMap<_, _> = entries.into_iter().collect();
        self.entries.append(&mut entries);
    }

    fn add_up(&mut self, entry: &Entry<P>) {
        self.items += entry.label.items;
        self.bytes += entry.label.bytes;
        self.size += entry.size;
        self.cached += entry.cached();
        self.stored += usize::from(entry.address.is_some());
    }

    pub(super) fn put(&mut self, order: u64, place: Place, entry: Entry<P>) {
        self.add_up(&entry);
        self.list(order, place);
        self.entries.insert(order, (place, entry));
    }

    pub(super) fn take(&mut self, order: u64) -> Option<Entry<P>> {
        let (place, entry) = self.entries.remove(&order)?;
        self.unlist(order, place);
        self.items -= entry.label.items;
        self.bytes -= entry.label.bytes;
        self.size -= entry.size;
        self.cached -= entry.cached();
        self.stored -= usize::from(entry.address.is_some());
        Some(entry)
    }

    fn list(&mut self, order: u64, place: Place) {
        match place {
            Place::Writing => self.writing += 1,
            Place::Ready => drop(self.ready.insert(order)),
            Place::Replayed => drop(self.replayed.insert(order)),
            Place::Backoff(due) => drop(self.backoff.insert((due, order))),
            Place::Asked(due) => drop(self.asked.insert((due, order))),
            Place::Parked => drop(self.parked.insert(order)),
        }
    }

    fn unlist(&mut self, order: u64, place: Place) {
        match place {
            Place::Writing => self.writing -= 1,
            Place::Ready => drop(self.ready.remove(&order)),
            Place::Replayed => drop(self.replayed.remove(&order)),
            Place::Backoff(due) => drop(self.backoff.remove(&(due, order))),
            Place::Asked(due) => drop(self.asked.remove(&(due, order))),
            Place::Parked => drop(self.parked.remove(&order)),
        }
    }

    pub(super) fn move_to(&mut self, order: u64, place: Place) {
        let Some((old, _)) = self.entries.get_mut(&order) else { return };
        let old = std::mem::replace(old, place);
        self.unlist(order, old);
        self.list(order, place);
    }

    /// Puts an entry into the line.
    pub(super) fn call_up(&mut self, order: u64) {
        if let Some(place) = self.get(order).map(Self::turn) {
            self.move_to(order, place);
        }
    }

    fn call_up_due(&mut self, now: Instant, limited: &mut Option<IsLimited<'_, P::Category>>) {
        while let Some(&(_, order)) = self.backoff.first().filter(|(due, _)| *due <= now) {
            self.call_up(order);
        }
        while let Some(&(_, order)) = self.asked.first().filter(|(due, _)| *due <= now) {
            self.call_up(order);
        }
        let holds = match limited {
            Some(limited) => self.parked_by.iter().all(limited),
            None => false,
        };
        if !holds {
            self.parked_by.clear();
            for order in self.parked.clone() {
                self.call_up(order);
            }
        }
    }

    /// Whether limits hold the entry, and which. What its record says is enough, unless the payload is here anyway.
    fn is_held(
        entry: &Entry<P>,
        limited: IsLimited<'_, P::Category>,
        holding: &mut Vec<P::Category>,
    ) -> bool {
        let mut asked = |category: &P::Category| {
            let held = limited(category);
            if held && !holding.contains(category) {
                holding.push(category.clone());
            }
            held
        };
        match &entry.body {
            Body::Here(parcel) => parcel.payload().is_held(&mut asked),
            Body::Away | Body::Asked => entry.label.is_held(&mut asked).unwrap_or(false),
        }
    }

    /// The oldest entry that may go now. What has to be read for it is added to `fetch`.
    ///
    /// A replayed entry that is not here yet does not keep live ones waiting; a live one does, for its lane is a queue.
    /// `tight` is set when payloads that wait for the end of a limit should not be kept in memory.
    pub(super) fn choose(
        &mut self,
        now: Instant,
        mut limited: Option<IsLimited<'_, P::Category>>,
        tight: bool,
        fetch: &mut Vec<(u64, Address)>,
    ) -> Choice<P> {
        self.call_up_due(now, &mut limited);
        let mut replayed_is_busy = false;
        loop {
            let paced = !replayed_is_busy && self.pace.is_none_or(|pace| pace <= now);
            let replayed = self.replayed.first().filter(|_| paced).copied();
            let Some(order) = self.ready.first().copied().into_iter().chain(replayed).min() else { break };
            let Some((_, entry)) = self.entries.get(&order) else { break };
            if let Some(limited) = &mut limited {
                let mut holding = Vec::new();
                if Self::is_held(entry, *limited, &mut holding) {
                    holding.retain(|category| !self.parked_by.contains(category));
                    self.parked_by.append(&mut holding);
                    self.move_to(order, Place::Parked);
                    if tight {
                        self.edit(order, |entry| {
                            if entry.address.is_some() && entry.body.is_here() {
                                entry.body = Body::Away;
                            }
                        });
                    }
                    continue;
                }
            }
            if entry.body.is_here() {
                match self.take(order) {
                    Some(entry) => return Choice::Ready(order, entry),
                    None => break,
                }
            }
            let is_replayed = entry.replayed;
            self.ask_for(order, is_replayed, fetch);
            if !is_replayed {
                return Choice::Busy;
            }
            replayed_is_busy = true;
        }
        if self.writing > 0 || replayed_is_busy {
            return Choice::Busy;
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

    /// Asks for the payload of an entry; live ones go at speed, so for those behind it as well.
    fn ask_for(&mut self, order: u64, is_replayed: bool, fetch: &mut Vec<(u64, Address)>) {
        let (line, ahead) = if is_replayed { (&self.replayed, 1) } else { (&self.ready, AHEAD) };
        let (line, mut bytes) = (line.range(order..).take(ahead), 0);
        for order in line {
            let Some((_, entry)) = self.entries.get_mut(order) else { continue };
            if let (Body::Away, Some(address)) = (&entry.body, entry.address) {
                entry.body = Body::Asked;
                fetch.push((*order, address));
                bytes += entry.label.bytes;
                if bytes >= AHEAD_BYTES {
                    break;
                }
            }
        }
    }

    pub(super) const fn pace(&mut self, until: Instant) {
        self.pace = Some(until);
    }

    pub(super) fn hurry(&mut self) {
        for (_, order) in self.backoff.clone() {
            self.call_up(order);
        }
    }

    pub(super) fn depth(&self) -> Depth {
        Depth {
            parcels: self.entries.len(),
            items: self.items,
            bytes: self.bytes,
            waiting: self.backoff.len() + self.asked.len(),
            oldest: self.entries.first_key_value().map(|(_, (_, entry))| entry.since),
        }
    }
}
