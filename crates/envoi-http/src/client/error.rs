use std::error::Error;
use std::fmt;

use envoi_core::{BoxError, Fault, Kind, Phase};

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

/// An authority without a user: nothing secret belongs into an error.
pub(crate) fn host_and_port(authority: &http::uri::Authority) -> String {
    match authority.port_u16() {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    }
}

/// The port in an address, if one is written there; `None` if that is not a port: `http` reads it as if there were none.
pub(crate) fn written_port(uri: &http::Uri) -> Option<Option<u16>> {
    let Some(authority) = uri.authority() else { return Some(None) };
    let place = authority.as_str();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    match place.get(authority.host().len()..) {
        None | Some("" | ":") => Some(None),
        Some(_) => authority.port_u16().map(Some),
    }
}

/// There is no way to a host: what failed, and the innermost reason, in one line.
pub(crate) fn unreachable_error(phase: Phase, host: &str, error: impl Into<BoxError>) -> BoxError {
    let error = error.into();
    let mut innermost: &(dyn Error + 'static) = error.as_ref();
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let message = match phase {
        Phase::Resolve => format!("the name {host} cannot be looked up: {innermost}"),
        _ => format!("no connection to {host}: {innermost}"),
    };
    Fault::caused_by(Kind::Connect, error).with_phase(phase).with_message(message).into()
}

/// The address is `https`, and the connector has no TLS.
///
/// Judged as [`Kind::Tls`](envoi_core::Kind::Tls) with the advice to drop: no later attempt of this process would
/// fare better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsUnavailable(());

impl TlsUnavailable {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for TlsUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the address is https but TLS is not built into this client, give it a connector with TLS or use http",
        )
    }
}

impl Error for TlsUnavailable {}
