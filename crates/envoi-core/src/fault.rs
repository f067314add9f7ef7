use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;
use std::time::Duration;

use http::StatusCode;

use crate::{BoxError, DiscardReason, Phase, Reply};

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

/// The network kind of an I/O error; [`Kind::Io`] for one that says nothing specific.
impl From<io::ErrorKind> for Kind {
    fn from(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Self::Connect,
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
                Self::Reset
            }
            _ => Self::Io,
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

/// `error: detail (cause; cause)`, on one line: control characters are escaped, because these are a stranger's words
/// and go into logs and onto terminals.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.detail.as_ref().filter(|detail| Some(*detail) != self.error.as_ref());
        for (position, words) in self.error.iter().chain(detail).enumerate() {
            f.write_str(if position == 0 { "" } else { ": " })?;
            write_plain(f, words)?;
        }
        if self.causes.is_empty() {
            return Ok(());
        }
        f.write_str(if self.error.is_none() && detail.is_none() { "(" } else { " (" })?;
        for (position, cause) in self.causes.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "; " })?;
            write_plain(f, cause)?;
        }
        f.write_str(")")
    }
}

fn write_plain(f: &mut fmt::Formatter<'_>, words: &str) -> fmt::Result {
    for character in words.chars() {
        if character.is_control() {
            write!(f, "{}", character.escape_default())?;
        } else {
            f.write_char(character)?;
        }
    }
    Ok(())
}

/// How a parcel that is given up now is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The server refused it: [`LossSink::refused`](crate::LossSink::refused).
    Refused(StatusCode),
    /// It was lost on the way: [`LossSink::lost`](crate::LossSink::lost).
    Lost(DiscardReason),
}

/// Kind, advice and phase of an error that is not ours, by its chain of sources.
fn diagnose(error: &(dyn Error + 'static)) -> (Kind, Advice, Option<Phase>) {
    let mut kind = Kind::Other;
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(fault) = current.downcast_ref::<Fault>() {
            return (fault.kind, fault.advice, fault.phase);
        }
        cause = match current.downcast_ref::<io::Error>() {
            Some(io) => {
                kind = io.kind().into();
                if kind != Kind::Io {
                    break;
                }
                // Unspecific; `source` would skip the error that it wraps.
                io.get_ref().map(|inner| inner as _)
            }
            None => current.source(),
        };
    }
    (kind, Fault::new(kind).advice, None)
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
pub struct Fault {
    kind: Kind,
    advice: Advice,
    phase: Option<Phase>,
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
        Self { kind, advice, phase: None, reply: None, explanation: None, message: None, source: None }
    }

    /// A fault of a kind, caused by an error.
    #[must_use]
    pub fn caused_by(kind: Kind, source: impl Into<BoxError>) -> Self {
        let mut fault = Self::new(kind);
        fault.source = Some(source.into());
        fault
    }

    /// The fault of an unknown error, by what its chain of sources tells.
    ///
    /// A `Fault` in the box is taken out as it is. One further down the chain gives its kind, advice and phase, an
    /// [`io::Error`] the network kinds; where several tell something, the outermost that is specific does.
    /// Everything else is [`Kind::Other`], to be dropped.
    #[must_use]
    pub fn from_error(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(fault) => return *fault,
            Err(error) => error,
        };
        let (kind, advice, phase) = diagnose(error.as_ref());
        Self { phase, ..Self::caused_by(kind, error).with_advice(advice) }
    }

    /// Replaces the advice.
    #[must_use]
    pub fn with_advice(mut self, advice: Advice) -> Self {
        self.advice = advice;
        self
    }

    /// Adds how far the attempt had come (TR-9).
    #[must_use]
    pub fn with_phase(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
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

    /// How far the attempt had come, where whoever made the fault knew.
    #[must_use]
    pub const fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// What whoever made the fault says about it.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
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
            .field("phase", &self.phase)
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

#[cfg(test)]
mod tests;
