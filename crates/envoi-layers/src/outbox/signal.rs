use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use super::rota::LaneSet;

/// Set while there is something for the driver to do apart from leasing: a close, a flush, the end of the last handle.
const COMMAND: u8 = 1 << 7;

/// How those who post tell the driver: one atomic word and a waker.
///
/// A bit per lane says that there may be something to lease. It stays set until the driver has found the lane to be
/// empty, so while there is a backlog a post wakes nobody; the first post into an empty lane does.
#[derive(Debug, Default)]
pub(super) struct Signal {
    bits: AtomicU8,
    waker: AtomicWaker,
}

impl Signal {
    fn raise(&self, bits: u8) {
        if self.bits.fetch_or(bits, Ordering::AcqRel) & bits != bits {
            self.waker.wake();
        }
    }

    /// There may be something in these lanes. Called after it was put there.
    pub(super) fn lanes_filled(&self, lanes: LaneSet) {
        self.raise(lanes.bits());
    }

    /// There is something else to do. Called after it was written down.
    pub(super) fn command(&self) {
        self.raise(COMMAND);
    }

    /// Driver: wake this one from now on. Called before any of the questions below.
    pub(super) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Driver: whether there is a command; each is told once.
    pub(super) fn take_command(&self) -> bool {
        self.bits.load(Ordering::Acquire) & COMMAND != 0
            && self.bits.fetch_and(!COMMAND, Ordering::AcqRel) & COMMAND != 0
    }

    /// Driver: which lanes may have something.
    pub(super) fn lanes(&self) -> LaneSet {
        LaneSet::from_bits(self.bits.load(Ordering::Acquire))
    }

    /// Driver: this lane had nothing. It must be asked once more after this, for what came in between.
    pub(super) fn lane_was_empty(&self, lane: envoi_core::Lane) {
        self.bits.fetch_and(!LaneSet::of(lane).bits(), Ordering::AcqRel);
    }

    /// Driver: there may be something in these lanes after all. Wakes nobody.
    pub(super) fn mark(&self, lanes: LaneSet) {
        self.bits.fetch_or(lanes.bits(), Ordering::AcqRel);
    }
}
