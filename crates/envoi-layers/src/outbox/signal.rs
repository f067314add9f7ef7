use std::task::Waker;

use envoi_core::Lane;

use self::sync::{AtomicU8, AtomicWaker, Ordering};

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

    /// Driver: asks a lane. If it has nothing its bit is cleared and it is asked once more, for what came in between: so
    /// whatever is posted is found here, or wakes the driver later.
    pub(super) fn ask<T>(&self, lane: Lane, mut ask: impl FnMut() -> T, has_some: impl Fn(&T) -> bool) -> T {
        let first = ask();
        if has_some(&first) {
            return first;
        }
        self.bits.fetch_and(!LaneSet::of(lane).bits(), Ordering::AcqRel);
        let second = ask();
        if has_some(&second) {
            self.mark(LaneSet::of(lane));
        }
        second
    }

    /// Driver: there may be something in these lanes after all. Wakes nobody.
    pub(super) fn mark(&self, lanes: LaneSet) {
        self.bits.fetch_or(lanes.bits(), Ordering::AcqRel);
    }
}

/// The atomics: those of std, or in the models those of loom.
#[cfg(not(all(loom, test)))]
mod sync {
    pub(super) use std::sync::atomic::{AtomicU8, Ordering};

    pub(super) use futures_util::task::AtomicWaker;
}

#[cfg(all(loom, test))]
mod sync {
    pub(super) use loom::sync::atomic::{AtomicU8, Ordering};

    #[derive(Debug, Default)]
    pub(super) struct AtomicWaker(loom::future::AtomicWaker);

    impl AtomicWaker {
        pub(super) fn register(&self, waker: &std::task::Waker) {
            self.0.register_by_ref(waker);
        }

        pub(super) fn wake(&self) {
            self.0.wake();
        }
    }
}

#[cfg(all(loom, test))]
mod loom_tests;
