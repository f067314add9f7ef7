use std::time::{Duration, Instant};

use super::Backoff;

/// When a delivery tells that the network is back, so that what waits for its back-off may go at once (OC-6).
///
/// One parcel that never gets through, among many that do, looks like an outage that ends again and again. To hurry it
/// each time would use up its attempts in no time, so hurrying backs off as well: after a relapse the next time is no
/// sooner than a delay that doubles.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    down: bool,
    relapses: u32,
    // Whether the network failed soon after the last time that others were hurried.
    relapsed: bool,
    hurried: Option<Instant>,
}

impl Recovery {
    fn window(&self, backoff: &Backoff) -> Duration {
        backoff.delay(self.relapses, 0.5)
    }

    fn is_recent(&self, now: Instant, backoff: &Backoff) -> bool {
        self.hurried.is_some_and(|at| now.saturating_duration_since(at) < self.window(backoff))
    }

    /// Whether the network has failed since the last delivery.
    pub(super) const fn is_down(&self) -> bool {
        self.down
    }

    /// The network failed.
    pub(super) fn failed(&mut self, now: Instant, backoff: &Backoff) {
        self.down = true;
        if self.is_recent(now, backoff) {
            self.relapsed = true;
        } else if !self.relapsed {
            self.relapses = 0;
        }
    }

    /// A delivery got through. Says whether to hurry those who wait.
    pub(super) fn delivered(&mut self, now: Instant, backoff: &Backoff) -> bool {
        let hurry = std::mem::take(&mut self.down) && !self.is_recent(now, backoff);
        if hurry {
            self.relapses = self.relapses.saturating_add(1);
            self.relapsed = false;
            self.hurried = Some(now);
        }
        hurry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// OC-6: the first success after failures hurries, a success among successes does not.
    #[test]
    fn a_success_after_failures_hurries() {
        let (mut recovery, backoff, now) = (Recovery::default(), Backoff::default(), start());
        assert!(!recovery.delivered(now, &backoff));
        recovery.failed(now, &backoff);
        recovery.failed(now, &backoff);
        assert!(recovery.delivered(now + SECOND, &backoff));
        assert!(!recovery.delivered(now + 2 * SECOND, &backoff));
        recovery.failed(now + 60 * SECOND, &backoff);
        assert!(recovery.delivered(now + 61 * SECOND, &backoff), "another outage, another recovery");
    }

    /// OC-6: one parcel that fails for ever among many that succeed is hurried ever more rarely.
    #[test]
    fn relapses_back_off() {
        let (mut recovery, backoff, now) = (Recovery::default(), Backoff::default(), start());
        let mut hurried = Vec::new();
        for second in 0..120 {
            recovery.failed(now + second * SECOND, &backoff);
            if recovery.delivered(now + second * SECOND, &backoff) {
                hurried.push(second);
            }
        }
        assert_eq!(hurried, [0, 5, 15, 35, 75]);
    }
}
