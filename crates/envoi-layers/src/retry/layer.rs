use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use envoi_core::Fault;
use fastrand::Rng;
use tokio_util::sync::CancellationToken;
use tower_layer::Layer;

use super::{Budget, Retry, Schedule};

/// Makes services that try again, see the [module](super).
#[derive(Clone, Debug)]
pub struct RetryLayer {
    schedule: Schedule,
    halt: Option<CancellationToken>,
    budget: Option<Budget>,
    seed: Option<u64>,
    earlier: bool,
}

impl RetryLayer {
    /// A retry by this schedule.
    #[must_use]
    pub const fn new(schedule: Schedule) -> Self {
        Self { schedule, halt: None, budget: None, seed: None, earlier: false }
    }

    /// Ends every wait when `token` is cancelled: give it the halt token of the outbox above, so that a shutdown does not
    /// wait for a back-off.
    #[must_use]
    pub fn halt_on(mut self, token: CancellationToken) -> Self {
        self.halt = Some(token);
        self
    }

    /// Bounds the retries of all deliveries together. Without it each has the attempts of its schedule.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Counts the attempts that a parcel brings along ([`Meta::attempt`](envoi_core::Meta::attempt)) against the schedule:
    /// what a shutdown interrupted and a disk kept then has no more attempts in all than it would have had in one run
    /// (BD-1). Without it each call begins anew, which suits an outbox above that tries again itself.
    #[must_use]
    pub const fn count_earlier_attempts(mut self) -> Self {
        self.earlier = true;
        self
    }

    /// Makes the jitter repeatable.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

impl Default for RetryLayer {
    /// By [`Schedule::brief`].
    fn default() -> Self {
        Self::new(Schedule::brief())
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        let rng = self.seed.map_or_else(Rng::new, Rng::with_seed);
        let rules = Rules {
            schedule: self.schedule,
            halt: self.halt.clone(),
            budget: self.budget.clone(),
            rng: Mutex::new(rng),
            earlier: self.earlier,
        };
        Retry::new(inner, Arc::new(rules))
    }
}

/// What a service, its clones and its futures share.
#[derive(Debug)]
pub(super) struct Rules {
    schedule: Schedule,
    pub(super) halt: Option<CancellationToken>,
    budget: Option<Budget>,
    // Locked after a failure only.
    rng: Mutex<Rng>,
    earlier: bool,
}

impl Rules {
    /// How long to wait before the next attempt, if there is one.
    pub(super) fn next(&self, failures: u32, fault: &Fault) -> Option<Duration> {
        let unit = self.rng.lock().unwrap_or_else(PoisonError::into_inner).f64();
        let wait = self.schedule.next(failures, fault, unit)?;
        self.budget.as_ref().is_none_or(Budget::withdraw).then_some(wait)
    }

    /// How many failures a parcel begins with that brings along so many.
    pub(super) const fn begin(&self, attempts: u32) -> u32 {
        if self.earlier { attempts } else { 0 }
    }

    pub(super) fn delivered(&self) {
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
    }
}
