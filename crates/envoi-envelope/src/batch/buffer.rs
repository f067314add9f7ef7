use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::config::BatchLimits;

/// The items of one container to be.
#[derive(Debug)]
pub(super) struct Batch {
    /// Orders batches by when they were begun.
    begun: u64,
    /// When the first item came. Stays when that item makes room for others: a deadline is never put off.
    first: Instant,
    pub(super) key: u128,
    pub(super) trace_header: Option<Box<str>>,
    pub(super) items: VecDeque<Bytes>,
    /// The bytes of the items.
    pub(super) bytes: usize,
}

impl Batch {
    /// What the batch counts for towards the buffer's bytes.
    fn held_bytes(&self) -> usize {
        self.bytes + self.trace_header.as_ref().map_or(0, |header| header.len())
    }

    /// The bytes of the container's list with another item of `len` bytes: items and commas.
    fn list_bytes_with(&self, len: usize) -> usize {
        self.bytes + self.items.len() + len
    }
}

/// What makes room when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    /// The oldest item.
    Item,
    /// All that is held of the oldest key: a whole trace.
    Key,
}

/// The batches of one kind of item: at most one open batch per key, and full ones that wait to be fetched.
#[derive(Debug)]
pub(super) struct Buffer {
    limits: BatchLimits,
    /// The bytes of a container besides its list of items.
    frame_bytes: usize,
    eviction: Eviction,
    open: HashMap<u128, Batch>,
    /// The keys of open batches, the oldest batch first.
    order: BTreeMap<u64, u128>,
    full: VecDeque<Batch>,
    next: u64,
    items: usize,
    /// Of the items alone.
    item_bytes: usize,
    bytes: usize,
}

impl Buffer {
    pub(super) fn new(limits: BatchLimits, frame_bytes: usize, eviction: Eviction) -> Self {
        Self {
            limits,
            frame_bytes,
            eviction,
            open: HashMap::new(),
            order: BTreeMap::new(),
            full: VecDeque::new(),
            next: 0,
            items: 0,
            item_bytes: 0,
            bytes: 0,
        }
    }

    pub(super) const fn items(&self) -> usize {
        self.items
    }

    pub(super) const fn item_bytes(&self) -> usize {
        self.item_bytes
    }

    /// Adds an item. `lost` is told items and bytes of what had to make room. `Err` if the item does not fit at all.
    pub(super) fn push(
        &mut self,
        key: u128,
        item: Bytes,
        trace_header: Option<Box<str>>,
        now: Instant,
        lost: &mut dyn FnMut(usize, usize),
    ) -> Result<(), Bytes> {
        let len = item.len();
        let needed = len + trace_header.as_ref().map_or(0, |header| header.len());
        if self.frame_bytes + len > self.limits.container_bytes || needed > self.limits.buffered_bytes {
            return Err(item);
        }
        while self.items >= self.limits.buffered_items.max(1)
            || self.bytes + needed > self.limits.buffered_bytes
        {
            self.evict(lost);
        }
        if self.open.get(&key).is_some_and(|batch| !self.fits(batch, len)) {
            self.close(key);
        }
        let batch = self.open.entry(key).or_insert_with(|| {
            let begun = self.next;
            self.next += 1;
            self.order.insert(begun, key);
            Batch { begun, first: now, key, trace_header: None, items: VecDeque::new(), bytes: 0 }
        });
        let before = batch.held_bytes();
        if trace_header.is_some() {
            batch.trace_header = trace_header;
        }
        batch.items.push_back(item);
        batch.bytes += len;
        self.bytes = self.bytes + batch.held_bytes() - before;
        self.items += 1;
        self.item_bytes += len;
        if batch.items.len() >= self.limits.container_items {
            self.close(key);
        }
        Ok(())
    }

    fn fits(&self, batch: &Batch, len: usize) -> bool {
        self.frame_bytes + batch.list_bytes_with(len) <= self.limits.container_bytes
    }

    fn take_open(&mut self, key: u128) -> Option<Batch> {
        let batch = self.open.remove(&key)?;
        self.order.remove(&batch.begun);
        Some(batch)
    }

    /// Moves the open batch of `key` to the full ones.
    fn close(&mut self, key: u128) {
        let batch = self.take_open(key);
        self.full.extend(batch);
    }

    fn forget(&mut self, batch: &Batch) {
        self.items -= batch.items.len();
        self.item_bytes -= batch.bytes;
        self.bytes -= batch.held_bytes();
    }

    fn evict(&mut self, lost: &mut dyn FnMut(usize, usize)) {
        match self.eviction {
            Eviction::Item => self.evict_item(lost),
            Eviction::Key => self.evict_key(lost),
        }
    }

    /// Only for a buffer with a single key: there every full batch is older than the open one.
    fn evict_item(&mut self, lost: &mut dyn FnMut(usize, usize)) {
        let oldest = self.full.front_mut().or_else(|| self.open.values_mut().next());
        let Some(batch) = oldest else { return };
        let Some(item) = batch.items.pop_front() else { return };
        batch.bytes -= item.len();
        self.items -= 1;
        self.item_bytes -= item.len();
        self.bytes -= item.len();
        lost(1, item.len());
        if batch.items.is_empty() {
            let _ = self.next_due(|_| true);
        }
    }

    fn evict_key(&mut self, lost: &mut dyn FnMut(usize, usize)) {
        let full = self.full.iter().map(|batch| (batch.begun, batch.key)).min();
        let open = self.order.first_key_value().map(|(begun, key)| (*begun, *key));
        let Some((_, key)) = full.into_iter().chain(open).min() else { return };
        let (gone, kept) = std::mem::take(&mut self.full).into_iter().partition(|batch| batch.key == key);
        self.full = kept;
        let gone: VecDeque<Batch> = gone;
        for batch in gone.into_iter().chain(self.take_open(key)) {
            self.forget(&batch);
            lost(batch.items.len(), batch.bytes);
        }
    }

    /// When the next batch is due, given how old one may get: already, if one is full.
    pub(super) fn deadline(&self, max_age: Duration) -> Option<Instant> {
        match self.full.front() {
            Some(batch) => Some(batch.first),
            None => self.oldest_open().and_then(|batch| batch.first.checked_add(max_age)),
        }
    }

    fn oldest_open(&self) -> Option<&Batch> {
        let (_, key) = self.order.first_key_value()?;
        self.open.get(key)
    }

    /// The next batch that is full or of an age.
    pub(super) fn poll(&mut self, now: Instant, max_age: Duration) -> Option<Batch> {
        self.next_due(|batch| batch.first.checked_add(max_age).is_some_and(|due| due <= now))
    }

    /// The next batch, due or not.
    pub(super) fn flush(&mut self) -> Option<Batch> {
        self.next_due(|_| true)
    }

    fn next_due(&mut self, is_due: impl FnOnce(&Batch) -> bool) -> Option<Batch> {
        let batch = match self.full.pop_front() {
            Some(batch) => batch,
            None => {
                let key = self.oldest_open().filter(|batch| is_due(batch))?.key;
                self.take_open(key)?
            }
        };
        self.forget(&batch);
        Some(batch)
    }
}
