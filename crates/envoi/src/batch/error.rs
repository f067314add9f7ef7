use std::error::Error;
use std::{fmt, io};

use envoi_http::InvalidCredential;
use http::Uri;

use crate::way::WayError;

/// Why a batch transport could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BatchBuildError {
    /// The URL is none that batches can be posted to.
    Url(InvalidUrl),
    /// The credential cannot be sent in its header.
    Credential(InvalidCredential),
    /// There is no way to the server: no TLS, or settings of TLS or of proxies that are of no use.
    Way(WayError),
    /// The background thread, or its runtime, could not be made.
    Thread(io::Error),
    /// The disk buffer could not be opened.
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    Disk(envoi_spool::OpenError),
}

impl fmt::Display for BatchBuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Credential(error) => error.fmt(f),
            Self::Way(_) => f.write_str("there is no way to the server"),
            Self::Thread(_) => f.write_str("could not start the background thread of the transport"),
            #[cfg(feature = "spool")]
            Self::Disk(_) => f.write_str("could not open the disk buffer"),
        }
    }
}

impl Error for BatchBuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Url(_) | Self::Credential(_) => None,
            Self::Way(error) => Some(error),
            Self::Thread(error) => Some(error),
            #[cfg(feature = "spool")]
            Self::Disk(error) => Some(error),
        }
    }
}

/// A URL that batches cannot be posted to. It is not part of the error: it may hold credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// It is not a URL.
    Malformed,
    /// It is neither `http` nor `https`.
    Scheme,
    /// It names no host.
    Host,
    /// It holds a user or a password.
    Credentials,
    /// Its port is none: it is beyond 65535, or 0.
    Port,
}

impl InvalidUrl {
    /// Reads a URL, with white space around it cut off.
    pub(super) fn check(url: &str) -> Result<Uri, Self> {
        let url: Uri = url.trim().parse().map_err(|_| Self::Malformed)?;
        let authority = url.authority().ok_or(Self::Host)?;
        if authority.as_str().contains('@') {
            return Err(Self::Credentials);
        }
        if authority.host().is_empty() {
            return Err(Self::Host);
        }
        // What is no port would be taken for none, and the events would go to whoever listens on the usual one.
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        if !matches!(port, "" | ":") && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(Self::Port);
        }
        match url.scheme_str() {
            Some("http" | "https") => Ok(url),
            _ => Err(Self::Scheme),
        }
    }
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the URL of the batch endpoint cannot be read, write it as https://host/path",
            Self::Scheme => "the URL of the batch endpoint must begin with http:// or https://",
            Self::Host => "the URL of the batch endpoint names no host, write it as https://host/path",
            Self::Port => "the port in the URL of the batch endpoint must be between 1 and 65535",
            Self::Credentials => {
                "the URL of the batch endpoint holds credentials, give them as a bearer token or a header instead"
            }
        })
    }
}

impl Error for InvalidUrl {}
