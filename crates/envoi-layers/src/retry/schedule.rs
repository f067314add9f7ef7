use std::time::Duration;

use envoi_core::{Advice, Fault, Kind};

/// No wait is longer, whatever is asked for.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a delivery is tried, and how long the waits in between are. Plain data; [`Schedule::next`] is the decision.
///
/// [`Schedule::brief`], the default, and what each number is changed by (BD-10):
///
/// | | default | |
/// |---|---|---|
/// | attempts, the first included | 3 | [`Schedule::attempts`] |
/// | wait before the second | 100 ms | [`Schedule::base`] |
/// | each further wait is so many times the one before | 4 | [`Schedule::factor`] |
/// | added to each at random, as a part of it | 0…50 % | [`Schedule::jitter`] |
/// | no wait of ours is longer | 60 s | [`Schedule::longest_wait`] |
/// | no wait that a server asks for is longer | 60 s | [`Schedule::longest_server_wait`] |
/// | a wait that a server asks for | replaces ours | [`Schedule::never_below_backoff`] |
///
/// ```
/// use std::time::Duration;
/// use envoi_core::{Advice, Fault, Kind};
/// use envoi_layers::retry::Schedule;
/// let schedule = Schedule::brief();
/// let fault = Fault::new(Kind::Timeout);
/// assert_eq!(schedule.next(1, &fault, 0.0), Some(Duration::from_millis(100)));
/// assert_eq!(schedule.next(2, &fault, 1.0), Some(Duration::from_millis(600)));
/// assert_eq!(schedule.next(3, &fault, 0.0), None);
///
/// let asked = fault.with_advice(Advice::RetryAfter(Duration::from_secs(3600)));
/// assert_eq!(schedule.next(1, &asked, 0.0), Some(Duration::from_secs(60)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    attempts: u32,
    base: Duration,
    factor: u32,
    jitter: f64,
    longest_wait: Duration,
    longest_server_wait: Duration,
    never_below_backoff: bool,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::brief()
    }
}

impl Schedule {
    /// Three attempts within a second, for what is not worth more: 100 ms, then 400 ms, plus up to 50 %; what a server
    /// asks for replaces them, up to 60 s. The schedule of the Boundary guarantees (BD-1, BD-3).
    #[must_use]
    pub const fn brief() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(100),
            factor: 4,
            jitter: 0.5,
            longest_wait: Duration::from_secs(60),
            longest_server_wait: Duration::from_secs(60),
            never_below_backoff: false,
        }
    }

    /// How often a delivery is tried, the first time included. 1 is no retry, and so is 0.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The wait before the second attempt.
    #[must_use]
    pub const fn base(mut self, wait: Duration) -> Self {
        self.base = wait;
        self
    }

    /// Each further wait is so many times the one before. 1 is a steady pace; 0 counts as 1.
    #[must_use]
    pub const fn factor(mut self, factor: u32) -> Self {
        self.factor = if factor == 0 { 1 } else { factor };
        self
    }

    /// Makes each wait longer by up to this part of it, at random, so that clients that failed together do not return
    /// together. Cut to 0…1; not a number is 0.
    #[must_use]
    pub const fn jitter(mut self, part: f64) -> Self {
        self.jitter = unit_interval(part);
        self
    }

    /// No back-off is longer, jitter included. Cut to 24 h.
    #[must_use]
    pub const fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = at_most_a_day(wait);
        self
    }

    /// A server that asks for more gets this: its header must not stall us for ever (BD-3). Cut to 24 h.
    #[must_use]
    pub const fn longest_server_wait(mut self, wait: Duration) -> Self {
        self.longest_server_wait = at_most_a_day(wait);
        self
    }

    /// Waits at least for the back-off when a server asks for less. Without it a `Retry-After: 0` is an attempt at once.
    #[must_use]
    pub const fn never_below_backoff(mut self) -> Self {
        self.never_below_backoff = true;
        self
    }

    /// How long to wait before the next attempt; `None` if there is none.
    ///
    /// `failures` attempts have failed, this one included, so 1 is the first. `unit` is a random number in 0…1, for the
    /// jitter. An interruption by shutdown is never tried again.
    #[must_use]
    pub fn next(&self, failures: u32, fault: &Fault, unit: f64) -> Option<Duration> {
        if failures >= self.attempts || fault.kind() == Kind::Halted {
            return None;
        }
        let backoff = self.backoff(failures, unit);
        match fault.advice() {
            Advice::Drop => None,
            Advice::Retry => Some(backoff),
            Advice::RetryAfter(asked) => {
                let asked = asked.min(self.longest_server_wait);
                Some(if self.never_below_backoff { asked.max(backoff) } else { asked })
            }
        }
    }

    fn backoff(&self, failures: u32, unit: f64) -> Duration {
        let steps = self.factor.saturating_pow(failures.saturating_sub(1));
        let wait = self.base.saturating_mul(steps).min(self.longest_wait);
        // Both are within a day and 1, so this neither overflows nor panics.
        (wait + wait.mul_f64(self.jitter * unit_interval(unit))).min(self.longest_wait)
    }
}

const fn unit_interval(part: f64) -> f64 {
    if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) }
}

const fn at_most_a_day(wait: Duration) -> Duration {
    if wait.as_secs() >= DAY.as_secs() { DAY } else { wait }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn advised(advice: Advice) -> Fault {
        Fault::new(Kind::Server).with_advice(advice)
    }

    fn retry() -> Fault {
        advised(Advice::Retry)
    }

    fn asked(wait: Duration) -> Fault {
        advised(Advice::RetryAfter(wait))
    }

    /// BD-1: three attempts, 100 ms and 400 ms, plus up to 50 %.
    #[test]
    fn base_waits_and_their_jitter() {
        let schedule = Schedule::default();
        let waits = |unit| [1, 2, 3, 4].map(|failures| schedule.next(failures, &retry(), unit));
        assert_eq!(waits(0.0), [Some(100 * MILLI), Some(400 * MILLI), None, None]);
        assert_eq!(waits(0.5), [Some(125 * MILLI), Some(500 * MILLI), None, None]);
        assert_eq!(waits(1.0), [Some(150 * MILLI), Some(600 * MILLI), None, None]);
    }

    /// BD-1: over 10,000 draws the jitter stays within its bounds, and uses them.
    #[test]
    fn jitter_over_ten_thousand_draws() {
        let mut rng = fastrand::Rng::with_seed(5);
        for (failures, base) in [(1, 100.0), (2, 400.0)] {
            let waits: Vec<f64> = (0..10_000)
                .filter_map(|_| Schedule::brief().next(failures, &retry(), rng.f64()))
                .map(|wait| wait.as_secs_f64() * 1000.0)
                .collect();
            assert_eq!(waits.len(), 10_000);
            assert!(waits.iter().all(|wait| (base..=base * 1.5).contains(wait)));
            assert!(
                waits.iter().any(|wait| *wait < base * 1.01) && waits.iter().any(|wait| *wait > base * 1.49)
            );
        }
    }

    /// BD-3: what a server asks for replaces the back-off, without jitter, up to 60 s.
    #[test]
    fn a_server_is_obeyed_within_reason() {
        let next = |wait, unit| Schedule::brief().next(1, &asked(wait), unit);
        assert_eq!(next(Duration::from_secs(30), 1.0), Some(Duration::from_secs(30)));
        assert_eq!(next(Duration::from_secs(61), 0.0), Some(Duration::from_secs(60)));
        assert_eq!(next(Duration::MAX, 0.0), Some(Duration::from_secs(60)));
        assert_eq!(next(Duration::ZERO, 0.0), Some(Duration::ZERO));
    }

    /// BD-3, BD-10: told so, a server that asks for less than the back-off gets the back-off.
    #[test]
    fn never_below_the_backoff() {
        let schedule = Schedule::brief().never_below_backoff();
        assert_eq!(schedule.next(2, &asked(Duration::ZERO), 0.0), Some(400 * MILLI));
        assert_eq!(schedule.next(2, &asked(401 * MILLI), 0.0), Some(401 * MILLI));
    }

    /// BD-2: what is to be dropped is never tried again, and neither is what shutdown interrupted.
    #[test]
    fn drop_and_halt_are_final() {
        assert_eq!(Schedule::brief().next(1, &advised(Advice::Drop), 0.0), None);
        assert_eq!(Schedule::brief().next(1, &Fault::new(Kind::Halted), 0.0), None);
    }

    /// BD-10: every number can be changed.
    #[test]
    fn every_number_can_be_changed() {
        let schedule = Schedule::brief()
            .attempts(6)
            .base(10 * MILLI)
            .factor(10)
            .jitter(0.1)
            .longest_wait(5000 * MILLI)
            .longest_server_wait(7 * MILLI);
        let waits = [1, 2, 3, 4, 5, 6].map(|failures| schedule.next(failures, &retry(), 1.0));
        assert_eq!(
            waits,
            [Some(11), Some(110), Some(1100), Some(5000), Some(5000), None]
                .map(|wait| { wait.map(Duration::from_millis) })
        );
        assert_eq!(schedule.next(1, &asked(8 * MILLI), 0.0), Some(7 * MILLI));
        assert_eq!(Schedule::brief().attempts(0).next(1, &retry(), 0.0), None);
        assert_eq!(Schedule::brief().factor(0).next(2, &retry(), 0.0), Some(100 * MILLI));
    }

    proptest! {
        /// BD-1: whatever the numbers, nothing overflows, and every wait is within its ceiling.
        #[test]
        fn extremes_are_harmless(
            attempts: u32,
            base in any::<u64>().prop_map(Duration::from_nanos),
            factor: u32,
            jitter: f64,
            longest: u64,
            failures: u32,
            unit: f64,
            wait in prop::option::of(any::<u64>()),
        ) {
            let schedule = Schedule::brief()
                .attempts(attempts)
                .base(base)
                .factor(factor)
                .jitter(jitter)
                .longest_wait(Duration::from_secs(longest));
            let fault = wait.map_or_else(retry, |wait| asked(Duration::from_secs(wait)));
            if let Some(wait) = schedule.next(failures, &fault, unit) {
                prop_assert!(failures < attempts);
                prop_assert!(wait <= DAY);
            }
        }
    }
}
