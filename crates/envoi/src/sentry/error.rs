use std::error::Error;
use std::{fmt, io};

use http::Uri;

/// Why a transport could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The background thread, or its runtime, could not be made.
    Thread(io::Error),
    /// The DSN is `https`, and the connector has no TLS.
    TlsUnavailable(Uri),
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
            Self::TlsUnavailable(url) => write!(
                f,
                "{url} needs TLS, which is not built in yet: give the builder a connector with TLS, or use http \
                 through a local relay"
            ),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            Self::TlsUnavailable(_) => None,
            #[cfg(feature = "spool")]
            Self::Disk(error) => Some(error),
        }
    }
}
