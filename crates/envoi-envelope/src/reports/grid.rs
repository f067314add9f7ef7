use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Counters that many threads add to and one takes from, without a lock: what was added is taken exactly once.
///
/// A count is added first and announced second; a taker withdraws the announcement first and collects second. So an
/// addition that a taker misses is announced after the taker began, and is found by the next one.
pub(super) struct Grid {
    pending: AtomicBool,
    slots: Box<[AtomicU64]>,
}

impl Grid {
    pub(super) fn new(slots: usize) -> Self {
        Self { pending: AtomicBool::new(false), slots: (0..slots).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether there is anything to take: one relaxed load. Now and then true although another taker has just had it.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// Adds to a slot. Saturates rather than wrap to nearly nothing.
    pub(super) fn add(&self, slot: usize, quantity: u64) {
        if let Some(slot) = self.slots.get(slot) {
            // The closure never declines, so the answer says nothing.
            let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                Some(count.saturating_add(quantity))
            });
            self.announce();
        }
    }

    /// Says that there is something to take, after it was put there.
    pub(super) fn announce(&self) {
        // A swap, not a store: as a read-modify-write it continues the release sequence of earlier announcements, so
        // that the taker who withdraws them sees the additions of all, not only of the last.
        self.pending.swap(true, Ordering::AcqRel);
    }

    /// Withdraws the announcement. Whoever gets `true` collects.
    pub(super) fn withdraw(&self) -> bool {
        self.pending.swap(false, Ordering::AcqRel)
    }

    /// Empties all slots, at most `most` from each; what is above stays for the next time, and is announced.
    pub(super) fn collect(&self, most: u64, mut visit: impl FnMut(usize, u64)) {
        for (index, slot) in self.slots.iter().enumerate() {
            if slot.load(Ordering::Relaxed) == 0 {
                continue; // most are, and a load is cheaper than a swap
            }
            let count = slot.swap(0, Ordering::Relaxed);
            if count > most {
                self.add(index, count - most);
            }
            if count > 0 {
                visit(index, count.min(most));
            }
        }
    }
}
