use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use envoi_core::{Depth, Fault, Kind, Lane};
use http::StatusCode;

/// What an outbox is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// How full each lane is, by [`Lane::index`].
    pub lanes: [Depth; Lane::COUNT],
    /// Deliveries that run now.
    pub in_flight: usize,
    /// Deliveries begun so far.
    pub attempts: u64,
    /// Parcels that were taken on and that somebody else answers for by now: delivered, passed on, or nothing was left.
    pub discharged: u64,
    /// Parcels that were taken on and given up or pushed out since.
    pub given_up: u64,
    /// The last delivery that failed.
    pub last_failure: Option<LastFailure>,
    /// Until when everything is held back by a limit, if it is.
    pub limited_until: Option<Instant>,
    /// Whether nothing more is accepted.
    pub is_closed: bool,
}

impl Stats {
    /// Parcels that are queued, those that wait included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.lanes.iter().map(|depth| depth.parcels).sum()
    }

    /// Parcels that wait for a back-off.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|depth| depth.waiting).sum()
    }
}

/// A delivery that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastFailure {
    /// What went wrong.
    pub kind: Kind,
    /// The status of the reply, if there was one.
    pub status: Option<StatusCode>,
    /// The fault in words, with those of the server (TR-7).
    pub message: String,
    /// When, on the monotonic clock.
    pub at: Instant,
}

impl LastFailure {
    pub(super) fn new(fault: &Fault, at: Instant) -> Self {
        Self { kind: fault.kind(), status: fault.status(), message: fault.to_string(), at }
    }
}

/// Running totals, of parcels.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) in_flight: AtomicUsize,
    pub(super) attempts: AtomicU64,
    pub(super) discharged: AtomicU64,
    pub(super) given_up: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            discharged: self.discharged.load(Ordering::Relaxed),
            given_up: self.given_up.load(Ordering::Relaxed),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) discharged: u64,
    pub(super) given_up: u64,
}

/// What a flush or a drain came to. The default is that of a queue that had nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// Parcels that have no outcome yet: those from before the flush; of a drain, all.
    pub left: u64,
}

impl Flushed {
    /// Whether everything that was waited for has its outcome.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.left == 0
    }
}

/// What a close came to, in parcels since its beginning. [`Closed::nothing`] is that of a queue that had nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Whether everything had its outcome before anything was cut off.
    pub is_complete: bool,
    /// Those that somebody else answers for: delivered, passed on, or nothing was left.
    pub discharged: u64,
    /// Those that were lost, and recorded.
    pub lost: u64,
    /// Those that a durable store keeps for the next run.
    pub kept: usize,
    /// Those that a driver that no longer runs still holds. They are counted as lost when it is dropped.
    pub in_flight: usize,
}

impl Closed {
    /// Nothing was there, so nothing was cut off.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { is_complete: true, discharged: 0, lost: 0, kept: 0, in_flight: 0 }
    }
}
