use std::time::Duration;

/// How long to wait after a failure: doubling, with a ceiling, spread by jitter (decision 17).
///
/// ```
/// use std::time::Duration;
/// use envoi_layers::outbox::Backoff;
/// let backoff = Backoff::default(); // 5 s, doubling to 1 h, ± 20 %
/// let seconds = |failures| backoff.delay(failures, 0.5).as_secs();
/// assert_eq!([1, 2, 3, 11].map(seconds), [5, 10, 20, 3600]);
/// assert_eq!(backoff.delay(1, 0.0), Duration::from_secs(4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    base: Duration,
    ceiling: Duration,
    jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(5), Duration::from_secs(3600))
    }
}

impl Backoff {
    /// Begins with `base` and doubles up to `ceiling`. Jitter is ± 20 %.
    #[must_use]
    pub const fn new(base: Duration, ceiling: Duration) -> Self {
        Self { base, ceiling, jitter: 0.2 }
    }

    /// Spreads each delay by up to this part of it, up and down. Cut to 0…1; not a number is 0.
    #[must_use]
    pub const fn jitter(mut self, part: f64) -> Self {
        self.jitter = if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) };
        self
    }

    /// The delay after so many failures (1 is the first), in whole milliseconds, rounded up. `unit` is a random number
    /// in 0…1; 0.5 is no jitter.
    #[must_use]
    pub fn delay(&self, failures: u32, unit: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(63);
        let millis = self.base.as_millis().saturating_mul(1 << doublings).min(self.ceiling.as_millis());
        let unit = if unit.is_nan() { 0.5 } else { unit.clamp(0.0, 1.0) };
        #[expect(clippy::cast_precision_loss, reason = "a day in milliseconds needs 27 bits")]
        let spread = millis as f64 * (1.0 + self.jitter * (2.0 * unit - 1.0));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
        Duration::from_millis(spread.ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// OC-4, decision 17: whatever the numbers, a delay stays within the jitter of its place in the schedule.
        #[test]
        fn a_delay_is_bounded(
            base in 0_u64..100_000_000,
            ceiling in 0_u64..100_000_000,
            failures in any::<u32>(),
            jitter in -1.0..3.0,
            unit in -1.0..2.0,
        ) {
            let backoff =
                Backoff::new(Duration::from_millis(base), Duration::from_millis(ceiling)).jitter(jitter);
            let middle = backoff.delay(failures, 0.5);
            let delay = backoff.delay(failures, unit);
            prop_assert!(middle <= Duration::from_millis(ceiling));
            prop_assert!(delay <= middle * 2 + Duration::from_millis(1));
            prop_assert!(middle <= backoff.delay(failures.saturating_add(1), 0.5), "never shorter");
        }
    }

    /// OC-4, decision 17: the extremes neither panic nor overflow.
    #[test]
    fn extremes_are_harmless() {
        let endless = Backoff::new(Duration::MAX, Duration::MAX).jitter(f64::NAN);
        assert_eq!(endless.delay(u32::MAX, f64::NAN), Duration::from_millis(u64::MAX));
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO).delay(0, 1.0), Duration::ZERO);
    }
}
