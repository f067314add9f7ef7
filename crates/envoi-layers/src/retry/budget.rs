use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one retry costs, in the unit that the balance is kept in.
const RETRY: u64 = 1000;

/// Bounds the retries of many deliveries together, so that an outage is not amplified from our side.
///
/// A bucket of tokens: a retry takes one, a delivery that succeeds puts a part of one back. While the receiver is well the
/// bucket is full and nobody notices it; in an outage it runs dry, and each parcel is tried once. It needs no clock, so it
/// recovers as the receiver does. Clones share the bucket: give one to all stacks of a destination.
///
/// ```
/// use envoi_layers::retry::{Budget, RetryLayer, Schedule};
/// let budget = Budget::new(20, 0.1); // 20 retries, and one more per ten deliveries
/// let layer = RetryLayer::new(Schedule::brief()).budget(budget.clone());
/// assert_eq!(budget.left(), 20);
/// ```
#[derive(Clone)]
pub struct Budget {
    balance: Arc<AtomicU64>,
    capacity: u64,
    deposit: u64,
}

impl Budget {
    /// At most `retries` in a row; each delivery that succeeds adds `per_delivery` of one, in thousandths, cut to 0…1000.
    #[must_use]
    pub fn new(retries: u32, per_delivery: f64) -> Self {
        let capacity = u64::from(retries) * RETRY;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped, and NaN is 0")]
        let deposit = (per_delivery.clamp(0.0, 1000.0) * 1000.0).round() as u64;
        Self { balance: Arc::new(AtomicU64::new(capacity)), capacity, deposit }
    }

    /// How many retries are left now.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.balance.load(Ordering::Relaxed) / RETRY
    }

    /// A delivery succeeded. While the bucket is full this is one load.
    pub(super) fn deposit(&self) {
        let add =
            |balance: u64| (balance < self.capacity).then(|| (balance + self.deposit).min(self.capacity));
        // A full bucket takes nothing more.
        let _ = self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Takes a retry, if there is one.
    pub(super) fn withdraw(&self) -> bool {
        let take = |balance: u64| balance.checked_sub(RETRY);
        self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("left", &self.left())
            .field("capacity", &(self.capacity / RETRY))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BD-10: a budget runs dry, fills up by successes, and never beyond its capacity.
    #[test]
    fn runs_dry_and_fills_up() {
        let budget = Budget::new(2, 0.5);
        assert!(budget.withdraw() && budget.withdraw() && !budget.withdraw());
        budget.deposit();
        assert!(!budget.withdraw(), "half a retry is none");
        budget.deposit();
        assert_eq!(budget.left(), 1);
        for _ in 0..10 {
            budget.clone().deposit();
        }
        assert_eq!(budget.left(), 2);
    }

    /// BD-10: numbers that make no sense are harmless.
    #[test]
    fn extremes_are_harmless() {
        for part in [f64::NAN, f64::NEG_INFINITY, -1.0] {
            let budget = Budget::new(1, part);
            assert!(budget.withdraw());
            budget.deposit();
            assert_eq!(budget.left(), 0);
        }
        let budget = Budget::new(u32::MAX, f64::INFINITY);
        assert!(budget.withdraw());
        budget.deposit();
        assert_eq!(budget.left(), u64::from(u32::MAX));
    }
}
