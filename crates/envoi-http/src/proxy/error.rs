use std::error::Error;
use std::fmt;

use envoi_core::{Advice, BoxError, Fault, Kind, Phase};
use http::StatusCode;

use super::ProxyServer;

/// What went wrong between here and the far side of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyProblem {
    /// There is no connection to the proxy.
    Unreachable,
    /// The proxy answered with this status: to a CONNECT, or instead of the server.
    Refused(StatusCode),
    /// The proxy wants credentials and has been given none (407, or a SOCKS server that takes nobody without).
    CredentialsWanted,
    /// The proxy does not take the credentials that it was given (407, 401, or the answer of a SOCKS server).
    CredentialsRefused,
    /// The proxy takes credentials in some other way than `Basic`, which is the one that is spoken here.
    SchemeUnsupported,
    /// The proxy could not, or did not want to, reach the target: the code of a SOCKS reply (RFC 1928 §6, or above 89
    /// that of SOCKS4).
    Socks(u8),
    /// The proxy closed the connection before it had answered.
    Closed,
    /// What the proxy answered is not the protocol, or is too long.
    Malformed,
    /// The name of the target was to be looked up here, and has no address that fits.
    NoAddress,
    /// The target has no host, or one that is too long for SOCKS.
    BadTarget,
    /// The proxy is to be spoken to by TLS, and the layer has none.
    NoTls,
}

/// A failure that is the proxy's, with its status where there is one: the source of a [`Fault`] of
/// [`Kind::Proxy`].
///
/// The status is here and not in [`Fault::reply`], so that nobody takes it for the answer of the server: no rate limit is
/// learned from it, no client report counts it as a refusal, no latch trips.
///
/// ```
/// use envoi_http::proxy::ProxyError;
/// fn proxy_status(fault: &envoi_core::Fault) -> Option<http::StatusCode> {
///     ProxyError::find(fault)?.status()
/// }
/// ```
pub struct ProxyError {
    proxy: ProxyServer,
    problem: ProxyProblem,
    status: Option<StatusCode>,
    source: Option<BoxError>,
}

impl ProxyError {
    pub(crate) fn new(proxy: &ProxyServer, problem: ProxyProblem) -> Self {
        let status = match problem {
            ProxyProblem::Refused(status) => Some(status),
            _ => None,
        };
        Self { proxy: proxy.clone(), problem, status, source: None }
    }

    /// By the status of an answer of the proxy, and by whether it speaks of `Basic` credentials.
    pub(crate) fn answered(proxy: &ProxyServer, status: StatusCode, knows_basic: bool) -> Self {
        let problem = match (status, proxy.has_credentials()) {
            (StatusCode::PROXY_AUTHENTICATION_REQUIRED, _) if !knows_basic => ProxyProblem::SchemeUnsupported,
            // tinyproxy says 401 to wrong ones.
            (StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::UNAUTHORIZED, true) => {
                ProxyProblem::CredentialsRefused
            }
            (StatusCode::PROXY_AUTHENTICATION_REQUIRED, false) => ProxyProblem::CredentialsWanted,
            _ => ProxyProblem::Refused(status),
        };
        Self { status: Some(status), ..Self::new(proxy, problem) }
    }

    pub(crate) fn caused_by(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The first of its kind in a chain of sources.
    #[must_use]
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(current) = cause {
            if let Some(found) = current.downcast_ref() {
                return Some(found);
            }
            cause = current.source();
        }
        None
    }

    /// Which proxy.
    #[must_use]
    pub const fn proxy(&self) -> &ProxyServer {
        &self.proxy
    }

    /// What went wrong.
    #[must_use]
    pub const fn problem(&self) -> &ProxyProblem {
        &self.problem
    }

    /// The status of the proxy's own answer, if it is an HTTP proxy and has answered.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The fault: a network error that may pass, unless nothing but other settings would help.
    pub(crate) fn into_fault(self, phase: Phase) -> Fault {
        let advice = match self.problem {
            ProxyProblem::BadTarget | ProxyProblem::NoTls => Advice::Drop,
            _ => Advice::Retry,
        };
        let words = self.to_string();
        Fault::caused_by(Kind::Proxy, self).with_message(words).with_advice(advice).with_phase(phase)
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proxy, problem, .. } = self;
        match problem {
            ProxyProblem::Unreachable => match self.source().and_then(<dyn Error>::downcast_ref::<Fault>) {
                Some(fault) if fault.message().is_some() => write!(f, "could not reach {proxy}: {fault}"),
                _ => write!(f, "could not reach {proxy}, is it running and the address right"),
            },
            ProxyProblem::Refused(status) => {
                write!(f, "{proxy} answered {status}: this is not the server's answer")
            }
            ProxyProblem::CredentialsWanted => {
                write!(
                    f,
                    "{proxy} wants credentials, give them as {}://user:password@host",
                    proxy.scheme().as_str()
                )
            }
            ProxyProblem::CredentialsRefused => {
                write!(f, "{proxy} refused the credentials, check user and password and percent-encode them")
            }
            ProxyProblem::SchemeUnsupported => {
                write!(f, "{proxy} does not take Basic credentials, the only ones that can be given")
            }
            ProxyProblem::Socks(code) => write!(f, "{proxy} refused the connection: {}", socks_words(*code)),
            ProxyProblem::Closed => write!(f, "{proxy} closed the connection before it had answered"),
            ProxyProblem::Malformed => {
                write!(f, "{proxy} answered something else than this protocol, check the scheme of its URL")
            }
            ProxyProblem::NoAddress => write!(
                f,
                "the name of the target has no address that could be given to {proxy}, let it look up names itself with socks5h or socks4a"
            ),
            ProxyProblem::BadTarget => {
                write!(f, "{proxy} cannot be told the target: its host is missing or too long")
            }
            ProxyProblem::NoTls => {
                write!(f, "{proxy} is to be spoken to by TLS, give the layer of proxies a `tls`")
            }
        }
    }
}

/// RFC 1928 §6, and the codes of SOCKS4.
const fn socks_words(code: u8) -> &'static str {
    match code {
        1 => "general failure of the SOCKS server",
        2 => "not allowed by its rules",
        3 => "the network is unreachable from there",
        4 => "the host is unreachable from there",
        5 => "the target refused the connection",
        6 => "the target did not answer in time",
        7 => "it does not know the command",
        8 => "it does not know this type of address",
        91 => "rejected or failed",
        92 => "it cannot reach identd on this machine",
        93 => "identd knows another user",
        _ => "an unknown code",
    }
}

impl fmt::Debug for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyError")
            .field("proxy", &self.proxy)
            .field("problem", &self.problem)
            .field("status", &self.status)
            .field("source", &self.source)
            .finish()
    }
}

impl Error for ProxyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
