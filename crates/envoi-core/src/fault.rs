use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;

use crate::{BoxError, DiscardReason, Reply};

/// What went wrong, coarsely enough to decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// No connection: name look-up, TCP, refused.
    Connect,
    /// The proxy failed or refused.
    Proxy,
    /// The TLS handshake failed.
    Tls,
    /// The connection failed while it was in use.
    Io,
    /// The peer cut the connection while the request was being written (decision 17).
    Reset,
    /// A deadline passed.
    Timeout,
    /// A rate limit: the server's 429, or a limit that was known beforehand.
    RateLimited,
    /// The server refused the credentials: 401 or 403.
    Unauthorized,
    /// The server refused the payload: another 4xx, or a status that a client cannot act on.
    Rejected,
    /// The server failed: 5xx.
    Server,
    /// A circuit breaker is open; nothing was sent.
    CircuitOpen,
    /// The transport is switched off; nothing was sent.
    Disabled,
    /// A bounded queue is full.
    QueueFull,
    /// A store failed.
    Storage,
    /// The payload could not be expressed as a request.
    Encode,
    /// Shutdown interrupted the work.
    Halted,
    /// The queue takes nothing more.
    Closed,
    /// Something else, see the source.
    Other,
}

impl Kind {
    /// Whether the network is to blame, so that the same payload may well be delivered later (OC-4).
    #[must_use]
    pub const fn is_network(self) -> bool {
        matches!(self, Self::Connect | Self::Proxy | Self::Tls | Self::Io | Self::Reset | Self::Timeout)
    }

    const fn describe(self) -> &'static str {
        match self {
            Self::Connect => "could not connect",
            Self::Proxy => "the proxy failed",
            Self::Tls => "the TLS handshake failed",
            Self::Io => "the connection failed",
            Self::Reset => "the connection was cut while the request was written",
            Self::Timeout => "timed out",
            Self::RateLimited => "rate limited",
            Self::Unauthorized => "the server refused the credentials",
            Self::Rejected => "the server refused the payload",
            Self::Server => "the server failed",
            Self::CircuitOpen => "the circuit breaker is open",
            Self::Disabled => "the transport is disabled",
            Self::QueueFull => "the queue is full",
            Self::Storage => "the store failed",
            Self::Encode => "the payload could not be encoded",
            Self::Halted => "interrupted by shutdown",
            Self::Closed => "the transport is closed",
            Self::Other => "delivery failed",
        }
    }
}

/// What the one who holds the parcel now should do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Give up: another attempt would fail the same way, or the protocol forbids one.
    Drop,
    /// Try again, after a back-off of your own.
    Retry,
    /// Try again, not before this has passed.
    RetryAfter(Duration),
}

/// What the server said about a refusal (TR-7): `X-Sentry-Error` and the JSON members `detail` and `causes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The headline, from the `X-Sentry-Error` header.
    pub error: Option<String>,
    /// The `detail` of the body.
    pub detail: Option<String>,
    /// The `causes` of the body.
    pub causes: Vec<String>,
}

impl Explanation {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.error.is_none() && self.detail.is_none() && self.causes.is_empty()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(error) = &self.error {
            f.write_str(error)?;
            separator = ": ";
        }
        if let Some(detail) = self.detail.as_ref().filter(|detail| Some(*detail) != self.error.as_ref()) {
            write!(f, "{separator}{detail}")?;
        }
        for (position, cause) in self.causes.iter().enumerate() {
            write!(f, "{}{cause}", if position == 0 { " (" } else { "; " })?;
        }
        if self.causes.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

/// How a parcel that is given up now is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The server refused it: [`LossSink::refused`](crate::LossSink::refused).
    Refused(StatusCode),
    /// It was lost on the way: [`LossSink::lost`](crate::LossSink::lost).
    Lost(DiscardReason),
}

/// Why a delivery failed and what to do about it.
///
/// ```
/// use envoi_core::{Advice, Fault, Kind, Reply};
/// let fault = Fault::new(Kind::Server)
///     .with_advice(Advice::Retry)
///     .with_reply(Reply::new(http::StatusCode::BAD_GATEWAY));
/// assert_eq!(fault.to_string(), "the server failed (502 Bad Gateway)");
/// ```
#[non_exhaustive]
pub struct Fault {
    kind: Kind,
    advice: Advice,
    reply: Option<Box<Reply>>,
    explanation: Option<Box<Explanation>>,
    message: Option<Cow<'static, str>>,
    source: Option<BoxError>,
}

impl Fault {
    /// A fault of a kind. The advice is [`Advice::Retry`] for the network and for shutdown, else [`Advice::Drop`].
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        let advice =
            if kind.is_network() || matches!(kind, Kind::Halted) { Advice::Retry } else { Advice::Drop };
        Self { kind, advice, reply: None, explanation: None, message: None, source: None }
    }

    /// A fault of a kind, caused by an error.
    #[must_use]
    pub fn caused_by(kind: Kind, source: impl Into<BoxError>) -> Self {
        let mut fault = Self::new(kind);
        fault.source = Some(source.into());
        fault
    }

    /// The fault of an unknown error, by what its chain of sources tells: an `io::Error` gives the network kinds, a
    /// `Fault` in the box is taken out as it is, everything else is [`Kind::Other`].
    #[must_use]
    pub fn from_error(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(fault) => return *fault,
            Err(error) => error,
        };
        let mut cause: Option<&(dyn Error + 'static)> = Some(error.as_ref());
        let mut kind = Kind::Other;
        while let Some(current) = cause {
            if let Some(io) = current.downcast_ref::<io::Error>() {
                kind = match io.kind() {
                    io::ErrorKind::TimedOut => Kind::Timeout,
                    io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::AddrNotAvailable
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable => Kind::Connect,
                    io::ErrorKind::BrokenPipe
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted => Kind::Reset,
                    _ => Kind::Io,
                };
                break;
            }
            cause = current.source();
        }
        Self::caused_by(kind, error)
    }

    /// Replaces the advice.
    #[must_use]
    pub fn with_advice(mut self, advice: Advice) -> Self {
        self.advice = advice;
        self
    }

    /// Adds the server's reply.
    #[must_use]
    pub fn with_reply(mut self, reply: Reply) -> Self {
        self.reply = Some(Box::new(reply));
        self
    }

    /// Adds what the server said about it. An empty explanation is left out.
    #[must_use]
    pub fn with_explanation(mut self, explanation: Explanation) -> Self {
        self.explanation = (!explanation.is_empty()).then(|| Box::new(explanation));
        self
    }

    /// Adds words of our own: what, where and what to do. Lower case, no full stop, no secrets.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What to do.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        self.advice
    }

    /// The server's reply, if there was one.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        self.reply.as_deref()
    }

    /// The status of the reply, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.reply.as_ref().map(|reply| reply.status)
    }

    /// What the server said about the refusal.
    #[must_use]
    pub fn explanation(&self) -> Option<&Explanation> {
        self.explanation.as_deref()
    }

    /// How the items of a parcel that is given up for this fault are written down (CR-3, decisions 15 and 16).
    #[must_use]
    pub fn loss(&self) -> Loss {
        if let Some(reply) = &self.reply {
            return Loss::Refused(reply.status);
        }
        Loss::Lost(match self.kind {
            kind if kind.is_network() => DiscardReason::NetworkError,
            Kind::Halted => DiscardReason::NetworkError,
            Kind::RateLimited => DiscardReason::RatelimitBackoff,
            Kind::Unauthorized | Kind::Rejected | Kind::Server | Kind::Disabled => DiscardReason::SendError,
            Kind::CircuitOpen => DiscardReason::Backpressure,
            Kind::QueueFull | Kind::Closed => DiscardReason::QueueOverflow,
            _ => DiscardReason::InternalSdkError,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.describe())?;
        if let Some(status) = self.status() {
            write!(f, " ({status})")?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(explanation) = &self.explanation {
            write!(f, ": {explanation}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("kind", &self.kind)
            .field("advice", &self.advice)
            .field("status", &self.status())
            .field("explanation", &self.explanation)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
