use envoi_batch::Category;
use envoi_core::LedgerSnapshot;
use envoi_layers::breaker::BreakerState;
use envoi_layers::outbox::Stats;

/// What a flush or a shutdown came to, in events (BD-9).
///
/// Delivered and lost are counted from the beginning of the call to its end, whoever logged the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchOutcome {
    /// Whether everything that was logged before had its outcome in time.
    pub is_complete: bool,
    /// Events that the receiver has taken.
    pub delivered: u64,
    /// Events that were lost, or refused by the server. They were reported.
    pub lost: u64,
    /// Events that the disk buffer keeps for the next run. 0 without one.
    pub stored: u64,
    /// Events that are neither: still queued or on their way. After a shutdown 0, unless the driver hangs, never ran, or was
    /// given no time at all to come to its end.
    pub left: u64,
}

/// The sums of one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    delivered: u64,
    lost: u64,
    held: u64,
}

impl Sums {
    pub(super) fn of(ledger: &LedgerSnapshot<Category>) -> Self {
        let mut sums = Self::default();
        for (_, account) in ledger.iter() {
            sums.delivered = sums.delivered.saturating_add(account.delivered);
            sums.lost =
                sums.lost.saturating_add(account.lost_total()).saturating_add(account.refused_total());
            sums.held = sums.held.saturating_add(account.held().unwrap_or(0));
        }
        sums
    }

    /// What happened since. What is held then is stored if `keeps`.
    pub(super) fn outcome_since(self, before: Self, is_complete: bool, keeps: bool) -> BatchOutcome {
        BatchOutcome {
            is_complete,
            delivered: self.delivered.saturating_sub(before.delivered),
            lost: self.lost.saturating_sub(before.lost),
            stored: if keeps { self.held } else { 0 },
            left: if keeps { 0 } else { self.held },
        }
    }
}

/// What a batch transport is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchStats {
    /// Events that wait for their batch, or for their turn.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// The batches that have left the queue: those that are on their way, and how it went with the last.
    pub outbox: Stats,
    /// The circuit breaker (BD-4).
    pub breaker: BreakerState,
    /// Whether the server has refused the credentials, so that nothing is sent any more (BD-5).
    pub is_disabled: bool,
    /// Whether nothing more is accepted.
    pub is_closed: bool,
}
