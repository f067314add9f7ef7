use std::error::Error;
use std::fmt;

use envoi::{BuildError, DsnError};

/// Why the transport of a client could not be set up as its options ask for.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// The DSN passes the checks of the `sentry` crate and not ours. Nothing is sent.
    Dsn(DsnError),
    /// A proxy that the options name cannot be read. Nothing is sent: to go past it is not for us to decide (TR-4).
    #[cfg(feature = "proxy")]
    Proxy(envoi::http::proxy::InvalidProxy),
    /// The options name a proxy, and proxies are not built in. Nothing is sent, for the same reason.
    ProxyUnavailable,
    /// `accept_invalid_certs` is set, and to obey is not built in. Certificates are checked.
    InsecureTlsUnavailable,
    /// The transport could not be built. Nothing is sent.
    Build(BuildError),
    /// The disk buffer cannot be used, see the source. What is not sent yet is held in memory instead.
    Disk(BuildError),
}

impl SetupError {
    /// Whether there is a transport all the same, so that the application is heard.
    #[must_use]
    pub const fn is_working(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::InsecureTlsUnavailable)
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dsn(_) => "nothing is sent to Sentry: its DSN cannot be used",
            #[cfg(feature = "proxy")]
            Self::Proxy(_) => "nothing is sent to Sentry: its proxy cannot be used",
            Self::ProxyUnavailable => {
                "nothing is sent to Sentry: it is to go through a proxy; switch on the feature `proxy` of envoi-sentry"
            }
            Self::InsecureTlsUnavailable => {
                "certificates are checked, although accept_invalid_certs is set: trust a CA of your own with \
                 `ca_certificate`, or switch on the feature `danger-insecure-tls` of envoi-sentry"
            }
            Self::Build(_) => "nothing is sent to Sentry: the transport could not be built",
            Self::Disk(_) => "without a disk buffer: what is not sent when the process ends is lost",
        })
    }
}

impl Error for SetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Dsn(error) => Some(error),
            #[cfg(feature = "proxy")]
            Self::Proxy(error) => Some(error),
            Self::ProxyUnavailable | Self::InsecureTlsUnavailable => None,
            Self::Build(error) | Self::Disk(error) => Some(error),
        }
    }
}
