//! The time of a simulation.

use std::time::{Duration, Instant, SystemTime};

use envoi_core::Clock;

/// Tokio's time, with a wall time that is the same in every run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimClock(Instant);

impl SimClock {
    pub(crate) fn new() -> Self {
        Self(tokio::time::Instant::now().into_std())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now() - self.0
    }
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.elapsed()
    }
}
