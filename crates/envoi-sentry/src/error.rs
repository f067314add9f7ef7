use std::error::Error;
use std::fmt;

use envoi::{BuildError, DsnError};

/// Why the transport of a client could not be set up as its options ask for.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// The DSN passes the checks of the `sentry` crate and not ours. Nothing is sent.
    Dsn(DsnError),
    /// The transport could not be built. Nothing is sent.
    Build(BuildError),
    /// The disk buffer cannot be used, see the source. What is not sent yet is held in memory instead.
    Disk(BuildError),
}

impl SetupError {
    /// Whether there is a transport all the same, so that the application is heard.
    #[must_use]
    pub const fn is_working(&self) -> bool {
        matches!(self, Self::Disk(_))
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dsn(_) => "nothing is sent to Sentry: its DSN cannot be used",
            Self::Build(_) => "nothing is sent to Sentry: the transport could not be built",
            Self::Disk(_) => "without a disk buffer: what is not sent when the process ends is lost",
        })
    }
}

impl Error for SetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Dsn(error) => Some(error),
            Self::Build(error) | Self::Disk(error) => Some(error),
        }
    }
}
