//! One bound on the memory of all bodies and envelopes together.
//!
//! A request takes from the budget as its body grows, never waits for it, and what is accepted takes its share along into
//! the queue: the share is a part of the parcel, and is given back when the envelope leaves memory, by whatever way.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted as one.
const UNIT: usize = 64;

/// What a request takes besides its bytes, roughly.
pub(super) const OVERHEAD: usize = 4 * 1024;

/// What an envelope in a queue takes besides its bytes, roughly.
pub(super) const FRAME: usize = 1024;

/// There is no more memory for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// The budget.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    units: Arc<Semaphore>,
    total: usize,
}

/// A share of the budget, given back on drop.
#[derive(Debug)]
pub(super) struct Share {
    units: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

const fn units_of(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

impl Memory {
    pub(super) fn new(bytes: usize) -> Self {
        let total = (bytes / UNIT).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(total)), total }
    }

    /// An empty share.
    pub(super) fn share(&self) -> Share {
        Share { units: Arc::clone(&self.units), permit: None }
    }

    pub(super) const fn total(&self) -> usize {
        self.total * UNIT
    }

    /// Bytes that are taken.
    pub(super) fn used(&self) -> usize {
        self.total.saturating_sub(self.units.available_permits()) * UNIT
    }
}

impl Share {
    fn held(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Makes it at least so many bytes.
    ///
    /// # Errors
    /// If the budget does not have them; the share stays as it is.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let missing = units_of(bytes).saturating_sub(self.held());
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).map_err(|_| Exhausted)?;
        let more = Arc::clone(&self.units).try_acquire_many_owned(missing).map_err(|_| Exhausted)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }

    /// Gives back what is more than so many bytes.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.held().saturating_sub(units_of(bytes));
        if let Some(permit) = &mut self.permit {
            drop(permit.split(surplus));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_given_back_whole_and_in_part() {
        let memory = Memory::new(10 * UNIT + 1);
        let (mut one, mut two) = (memory.share(), memory.share());
        one.grow_to(6 * UNIT).unwrap();
        one.grow_to(5 * UNIT).unwrap();
        assert_eq!(two.grow_to(5 * UNIT), Err(Exhausted));
        assert_eq!(memory.used(), 6 * UNIT);
        one.shrink_to(UNIT + 1);
        assert_eq!(memory.used(), 2 * UNIT, "rounded up");
        two.grow_to(8 * UNIT).unwrap();
        assert_eq!(two.grow_to(usize::MAX), Err(Exhausted));
        drop(two);
        one.shrink_to(0);
        assert_eq!((memory.used(), memory.total()), (0, 10 * UNIT));
    }
}
