use std::time::{Instant, SystemTime};

use envoi_core::{Clock, SystemClock};

/// Tokio's clock as a [`Clock`]: the system's, until a test pauses it.
///
/// Where the time of the runtime is paused and advanced, the wall time follows, so that a whole stack is deterministic.
/// Outside of tests both are those of the operating system, jumps of the wall clock included. Needs no runtime.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use std::time::Duration;
/// use envoi_core::Clock;
/// use envoi_layers::TokioClock;
/// let before = TokioClock.now();
/// tokio::time::sleep(Duration::from_secs(3600)).await; // paused: takes no time
/// assert_eq!(TokioClock.now() - before, Duration::from_secs(3600));
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock;

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        let (wall, system, tokio) = (SystemClock.wall(), SystemClock.now(), self.now());
        // Nothing but the time between two readings, unless tokio's time was paused or advanced.
        let ahead = tokio.checked_duration_since(system).and_then(|ahead| wall.checked_add(ahead));
        ahead.or_else(|| wall.checked_sub(system.saturating_duration_since(tokio))).unwrap_or(wall)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// RL-11: monotonic and wall time follow tokio's paused clock.
    #[tokio::test(start_paused = true)]
    async fn both_times_follow_paused_time() {
        let (now, wall) = (TokioClock.now(), TokioClock.wall());
        tokio::time::advance(Duration::from_secs(86_400)).await;
        assert_eq!(TokioClock.now() - now, Duration::from_secs(86_400));
        let passed = TokioClock.wall().duration_since(wall).unwrap();
        assert!(passed > Duration::from_secs(86_399) && passed < Duration::from_secs(86_401), "{passed:?}");
    }
}
