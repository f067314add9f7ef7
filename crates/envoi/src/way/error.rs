use std::error::Error;
use std::fmt;

use http::Uri;

/// Why there is no way to a server.
#[derive(Debug)]
#[non_exhaustive]
pub enum WayError {
    /// The address is `https`, and TLS is not built in.
    TlsUnavailable(Uri),
    /// The settings of TLS are of no use.
    #[cfg(feature = "tls")]
    Tls(envoi_http::tls::TlsConfigError),
    /// A proxy of the environment cannot be used.
    #[cfg(feature = "proxy")]
    Proxy(envoi_http::proxy::InvalidProxy),
}

impl fmt::Display for WayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TlsUnavailable(url) => write!(
                f,
                "{url} needs TLS, which is not built in: switch on the feature `tls`, give the builder a connector \
                 with TLS, or use http through a local relay"
            ),
            #[cfg(feature = "tls")]
            Self::Tls(_) => f.write_str("the settings of TLS are of no use"),
            #[cfg(feature = "proxy")]
            Self::Proxy(_) => f.write_str("the environment names a proxy that cannot be used"),
        }
    }
}

impl Error for WayError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TlsUnavailable(_) => None,
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            #[cfg(feature = "proxy")]
            Self::Proxy(error) => Some(error),
        }
    }
}

#[cfg(feature = "tls")]
impl From<envoi_http::tls::TlsConfigError> for WayError {
    fn from(error: envoi_http::tls::TlsConfigError) -> Self {
        Self::Tls(error)
    }
}

#[cfg(feature = "proxy")]
impl From<envoi_http::proxy::InvalidProxy> for WayError {
    fn from(error: envoi_http::proxy::InvalidProxy) -> Self {
        Self::Proxy(error)
    }
}
