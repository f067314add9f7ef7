use std::fmt;

/// How far an attempt had come, from the name of the server to its answer (TR-9).
///
/// What it is good for: up to and including [`Phase::Tls`] nothing of the request has left, so that another attempt
/// cannot make a duplicate. From [`Phase::Write`] on the receiver may have taken the request although no answer came.
///
/// ```
/// use envoi_core::{Fault, Kind, Phase};
/// let fault = Fault::new(Kind::Timeout).with_phase(Phase::Tls);
/// assert!(fault.phase().is_some_and(Phase::before_request));
/// assert!(Phase::Reply.may_have_been_processed());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The name of the server, or of the proxy, was being looked up.
    Resolve,
    /// A TCP connection was being made.
    Connect,
    /// A proxy was being asked for the way.
    Proxy,
    /// The TLS handshake was under way.
    Tls,
    /// The request was being written.
    Write,
    /// The request was written, and its answer had not come.
    Reply,
}

impl Phase {
    /// Whether nothing of the request had been sent.
    #[must_use]
    pub const fn before_request(self) -> bool {
        matches!(self, Self::Resolve | Self::Connect | Self::Proxy | Self::Tls)
    }

    /// Whether the receiver may have acted on the request.
    #[must_use]
    pub const fn may_have_been_processed(self) -> bool {
        !self.before_request()
    }
}

/// The words for a message: `timed out during the name look-up`.
impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the name look-up",
            Self::Connect => "the TCP connect",
            Self::Proxy => "the request to the proxy",
            Self::Tls => "the TLS handshake",
            Self::Write => "the writing of the request",
            Self::Reply => "the wait for the reply",
        })
    }
}
