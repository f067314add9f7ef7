use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// The state of a circuit by wall-clock time, to carry it over a restart: see
/// [`BreakerLayer::snapshot`](super::BreakerLayer::snapshot) and [`BreakerLayer::restore`](super::BreakerLayer::restore).
///
/// As text: `closed <failures>`, or `open <end of the cooldown>` in milliseconds since 1970, rounded up.
///
/// ```
/// use envoi_layers::breaker::BreakerSnapshot;
/// let saved: BreakerSnapshot = "closed 3".parse()?;
/// assert_eq!((saved.failures(), saved.end()), (3, None));
/// assert_eq!(saved.to_string(), "closed 3");
/// # Ok::<(), envoi_layers::breaker::BreakerSnapshotError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSnapshot {
    failures: u64,
    end: Option<SystemTime>,
}

impl BreakerSnapshot {
    pub(super) const fn closed(failures: u64) -> Self {
        Self { failures, end: None }
    }

    pub(super) const fn open_until(end: SystemTime) -> Self {
        Self { failures: 0, end: Some(end) }
    }

    /// How many failures in a row a closed circuit has seen.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// When the cooldown of an open circuit ends; in the past if it was over.
    #[must_use]
    pub const fn end(&self) -> Option<SystemTime> {
        self.end
    }
}

impl fmt::Display for BreakerSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            None => write!(f, "closed {}", self.failures),
            Some(end) => {
                let since = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                write!(f, "open {}", since.as_nanos().div_ceil(1_000_000))
            }
        }
    }
}

impl FromStr for BreakerSnapshot {
    type Err = BreakerSnapshotError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| BreakerSnapshotError(()));
        match text.trim_ascii().split_once(' ') {
            Some(("closed", failures)) => Ok(Self::closed(number(failures)?)),
            Some(("open", end)) => {
                let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(number(end)?));
                end.map(Self::open_until).ok_or(BreakerSnapshotError(()))
            }
            _ => Err(BreakerSnapshotError(())),
        }
    }
}

/// A saved state that cannot be read.
#[derive(Debug)]
pub struct BreakerSnapshotError(());

impl fmt::Display for BreakerSnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the saved state of a circuit breaker is neither `closed <failures>` nor `open <milliseconds>`, start without it")
    }
}

impl Error for BreakerSnapshotError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// BD-4: any text is read or refused; what is read is written as it was.
        #[test]
        fn any_text_is_harmless(text in "(open|closed)? ?[0-9]{0,21}|.{0,40}") {
            if let Ok(snapshot) = text.parse::<BreakerSnapshot>() {
                prop_assert_eq!(snapshot.to_string().parse::<BreakerSnapshot>().unwrap(), snapshot);
            }
        }

        /// BD-4: a state survives, an end in whole milliseconds.
        #[test]
        fn a_snapshot_survives(open: bool, value in 0..=u64::from(u32::MAX)) {
            let end = SystemTime::UNIX_EPOCH + Duration::from_millis(value);
            let snapshot = if open { BreakerSnapshot::open_until(end) } else { BreakerSnapshot::closed(value) };
            prop_assert_eq!(snapshot.to_string().parse::<BreakerSnapshot>().unwrap(), snapshot);
        }
    }
}
