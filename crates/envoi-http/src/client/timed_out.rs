use std::error::Error;
use std::fmt;
use std::time::Duration;

use envoi_core::Phase;

/// A phase took longer than it may (TR-9).
///
/// [`classify`](crate::classify) makes it a fault of [`Kind::Timeout`](envoi_core::Kind::Timeout) with this phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOut {
    phase: Phase,
    limit: Duration,
    whole: bool,
    host: String,
}

impl TimedOut {
    /// The phase was not over within its own limit.
    #[must_use]
    pub const fn new(phase: Phase, limit: Duration) -> Self {
        Self { phase, limit, whole: false, host: String::new() }
    }

    /// The attempt as a whole was not over within its limit, and had come to this phase.
    #[must_use]
    pub const fn attempt(phase: Phase, limit: Duration) -> Self {
        Self { phase, limit, whole: true, host: String::new() }
    }

    /// Adds with whom: a host, without credentials.
    #[must_use]
    pub fn at(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// How far the attempt had come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The limit that was passed.
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether the limit was that of the whole attempt.
    #[must_use]
    pub const fn is_whole_attempt(&self) -> bool {
        self.whole
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, limit, whole, host } = self;
        if *whole {
            write!(f, "the attempt was not over within {limit:?}, it had come to {phase}")?;
        } else {
            write!(f, "{phase} was not over within {limit:?}")?;
        }
        if host.is_empty() { Ok(()) } else { write!(f, " ({host})") }
    }
}

impl Error for TimedOut {}
