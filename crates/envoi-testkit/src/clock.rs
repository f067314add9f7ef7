use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use envoi_core::{Clock, SystemClock};

/// The wall time that test clocks begin with: 2023-11-14T22:13:20Z.
fn wall_start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// A clock that moves only when it is told to. Share it in an `Arc`.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use envoi_core::{Clock, SharedClock};
/// use envoi_testkit::ManualClock;
/// let clock = Arc::new(ManualClock::new());
/// let shared: SharedClock = clock.clone(); // what a stack is given
/// let before = shared.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(shared.now() - before, Duration::from_secs(60));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    time: Mutex<(Instant, SystemTime)>,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ManualClock {
    /// A clock that stands still at 2023-11-14T22:13:20Z.
    #[must_use]
    pub fn new() -> Self {
        Self::at(wall_start())
    }

    /// A clock that stands still at the wall time `wall`.
    #[must_use]
    pub fn at(wall: SystemTime) -> Self {
        Self { time: Mutex::new((SystemClock.now(), wall)) }
    }

    fn time(&self) -> MutexGuard<'_, (Instant, SystemTime)> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `step` pass on both clocks.
    pub fn advance(&self, step: Duration) {
        let mut time = self.time();
        time.0 += step;
        time.1 += step;
    }

    /// Lets the wall clock jump, as when it is set; monotonic time does not move.
    pub fn set_wall(&self, wall: SystemTime) {
        self.time().1 = wall;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.time().0
    }

    fn wall(&self) -> SystemTime {
        self.time().1
    }
}

/// Tokio's clock as a [`Clock`]: pause or advance tokio's time, and everything that takes time from here follows.
///
/// The wall clock begins at 2023-11-14T22:13:20Z and runs along.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use std::time::Duration;
/// use envoi_core::Clock;
/// use envoi_testkit::TokioClock;
/// let clock = TokioClock::new();
/// let before = (clock.now(), clock.wall());
/// tokio::time::sleep(Duration::from_secs(3600)).await; // paused: takes no time
/// assert_eq!(clock.now() - before.0, Duration::from_secs(3600));
/// assert_eq!(clock.wall().duration_since(before.1).unwrap(), Duration::from_secs(3600));
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl TokioClock {
    /// A clock that starts now. Within a runtime with paused time, it is paused.
    #[must_use]
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        wall_start() + self.start.elapsed()
    }
}
