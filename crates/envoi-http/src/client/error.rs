use std::error::Error;
use std::fmt;

use envoi_core::{BoxError, Phase};

/// An exchange that gave no reply, and how far it had come (TR-9).
///
/// [`classify`](crate::classify) makes it a fault with this phase. In [`Phase::before_request`] nothing of the request
/// has left.
#[derive(Debug)]
pub struct ClientError {
    phase: Phase,
    source: BoxError,
}

impl ClientError {
    pub(super) fn new(phase: Phase, source: impl Into<BoxError>) -> Self {
        Self { phase, source: source.into() }
    }

    /// How far the exchange had come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the exchange failed during {}", self.phase)
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}
