use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use envoi_core::{Fault, Receipt, SharedClock};

use super::Verdict;
use crate::TokioClock;

pub(super) type Judge = fn(Result<&Receipt, &Fault>) -> Verdict;

/// When a circuit opens, for how long, and what counts. The defaults are those of BD-4; each can be changed (BD-10).
///
/// ```
/// use std::time::Duration;
/// use envoi_layers::breaker::{BreakerConfig, BreakerLayer};
/// let layer = BreakerLayer::new(BreakerConfig::new().failures(3).cooldown(Duration::from_secs(10)));
/// ```
#[derive(Clone)]
pub struct BreakerConfig {
    pub(super) failures: u32,
    pub(super) cooldown: Duration,
    pub(super) judge: Judge,
    pub(super) clock: SharedClock,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl BreakerConfig {
    /// Five failures in a row, 30 s, and [`Verdict::of`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            failures: 5,
            cooldown: Duration::from_secs(30),
            judge: |answer| Verdict::of(answer),
            clock: Arc::new(TokioClock),
        }
    }

    /// So many failures in a row open the circuit: 5 unless told otherwise, at least 1.
    #[must_use]
    pub const fn failures(mut self, in_a_row: u32) -> Self {
        self.failures = if in_a_row == 0 { 1 } else { in_a_row };
        self
    }

    /// For how long nothing is sent: 30 s unless told otherwise, in whole milliseconds.
    #[must_use]
    pub const fn cooldown(mut self, time: Duration) -> Self {
        self.cooldown = time;
        self
    }

    /// What an answer says about the receiver: [`Verdict::of`] unless told otherwise.
    #[must_use]
    pub const fn judge(mut self, judge: fn(Result<&Receipt, &Fault>) -> Verdict) -> Self {
        self.judge = judge;
        self
    }

    /// Where time comes from: tokio's clock unless told otherwise. It is read while the circuit is not closed, and when it
    /// opens.
    #[must_use]
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }
}

impl fmt::Debug for BreakerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerConfig")
            .field("failures", &self.failures)
            .field("cooldown", &self.cooldown)
            .finish_non_exhaustive()
    }
}
