//! Throughput of the last minutes.

use std::collections::VecDeque;
use std::time::Duration;

/// How often a sample is taken.
pub(crate) const EVERY: Duration = Duration::from_secs(2);

/// Five minutes.
pub(super) const SAMPLES: usize = 150;

/// Envelopes per second in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rate {
    pub(crate) accepted: f64,
    pub(crate) forwarded: f64,
}

/// The last samples, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    last: Option<(u64, u64)>,
    rates: VecDeque<Rate>,
}

/// Counts of two seconds are far from where a float has gaps.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn per_second(now: u64, before: u64) -> f64 {
    now.saturating_sub(before) as f64 / EVERY.as_secs_f64()
}

impl History {
    /// Enters the running totals after another interval.
    pub(crate) fn sample(&mut self, accepted: u64, forwarded: u64) {
        if let Some((accepted_before, forwarded_before)) = self.last {
            if self.rates.len() == SAMPLES {
                self.rates.pop_front();
            }
            self.rates.push_back(Rate {
                accepted: per_second(accepted, accepted_before),
                forwarded: per_second(forwarded, forwarded_before),
            });
        }
        self.last = Some((accepted, forwarded));
    }

    pub(crate) fn rates(&self) -> Vec<Rate> {
        self.rates.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_and_the_oldest_go() {
        let mut history = History::default();
        history.sample(10, 0);
        assert!(history.rates().is_empty());
        history.sample(14, 2);
        assert_eq!(history.rates(), [Rate { accepted: 2.0, forwarded: 1.0 }]);
        history.sample(0, 0);
        assert_eq!(history.rates()[1], Rate::default(), "a counter that went back is no flood");
        for number in 0..1000 {
            history.sample(number, number);
        }
        assert_eq!(history.rates().len(), SAMPLES);
    }
}
