use std::error::Error;
use std::{fmt, io};

use crate::way::WayError;

/// Why a transport could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The background thread, or its runtime, could not be made.
    Thread(io::Error),
    /// There is no way to the server: no TLS, or settings of TLS or of proxies that are of no use.
    Way(WayError),
    /// The disk buffer could not be opened.
    #[cfg(feature = "spool")]
    Disk(envoi_spool::OpenError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(_) => f.write_str("could not start the background thread of the transport"),
            #[cfg(feature = "spool")]
            Self::Disk(_) => f.write_str("could not open the disk buffer"),
            Self::Way(_) => f.write_str("there is no way to the server"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            Self::Way(error) => Some(error),
            #[cfg(feature = "spool")]
            Self::Disk(error) => Some(error),
        }
    }
}

impl From<WayError> for BuildError {
    fn from(error: WayError) -> Self {
        Self::Way(error)
    }
}
