//! Whether a request that failed may be sent again at once.

use std::error::Error;
use std::io;
use std::time::Duration;

use envoi_core::Phase;
use http::Method;

/// When a client sends a request a second time by itself, without anybody above noticing.
///
/// Whatever is chosen: only bodies in memory are sent again, within the time of the same attempt, and never after a
/// single byte of a reply was understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resend {
    /// Only when it is certain that the server has not looked at it: it never left, its HTTP/2 stream was refused
    /// (RFC 9113 §8.7), or GOAWAY says that it came too late (RFC 9113 §6.8).
    Unprocessed,
    /// Also when a connection of the pool turned out to be closed and the method is idempotent (RFC 9110 §9.2.2): GET
    /// and PUT, but not POST.
    #[default]
    Idempotent,
    /// Also when a connection of the pool turned out to be closed, whatever the method. The server may in theory have
    /// taken the request and closed without a word: for receivers that cope with a duplicate, as telemetry does, where
    /// the queue above would send it again anyway, only later.
    Stale,
}

/// What is known about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server says that it has not looked at the request.
    Unprocessed,
    /// The connection was gone before anything of the request was written.
    Unsent,
    /// The connection ended before anything of a reply.
    Cut,
    /// Nothing that helps.
    Unknown,
}

/// How often a request is sent again at once that was not looked at. A server that is reloaded may refuse more than once.
const AT_ONCE: u32 = 5;
/// How often in all, if the server says that it has not looked at it: after a pause from then on. Where many requests
/// share connections that end after a few each, most of them lose the race for the next one many times.
const IN_ALL: u32 = 20;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Resend {
    /// Whether to send again after `count` times, and after what pause.
    pub(super) fn allows(
        self,
        verdict: Verdict,
        method: &Method,
        phase: Phase,
        reused: bool,
        count: u32,
    ) -> Option<Duration> {
        let is_allowed = match verdict {
            Verdict::Unprocessed => return pause(count),
            // The next connection may end like this one: whoever waits above decides how long it is tried.
            Verdict::Unsent => count < AT_ONCE,
            Verdict::Cut => {
                let is_safe = match self {
                    Self::Unprocessed => false,
                    Self::Idempotent => method.is_idempotent(),
                    Self::Stale => true,
                };
                count == 0 && reused && phase.may_have_been_processed() && is_safe
            }
            Verdict::Unknown => false,
        };
        is_allowed.then_some(Duration::ZERO)
    }
}

/// Five times at once, then after 50 ms, 100 ms, ... 1 s.
fn pause(count: u32) -> Option<Duration> {
    match count {
        0..AT_ONCE => Some(Duration::ZERO),
        AT_ONCE..IN_ALL => {
            let doubled = 2_u32.saturating_pow(count - AT_ONCE);
            Some(FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE))
        }
        _ => None,
    }
}

/// What the chain of sources says.
pub(super) fn judge(error: &(dyn Error + 'static)) -> Verdict {
    let mut cause = Some(error);
    let mut verdict = Verdict::Unknown;
    while let Some(current) = cause {
        if refused_handshake(current).is_some() {
            // It did not leave either, but the next connection would be refused like this one.
            return Verdict::Unknown;
        }
        if let Some(error) = current.downcast_ref::<h2::Error>() {
            verdict = of_http2(error).or(verdict);
        }
        if let Some(error) = current.downcast_ref::<hyper::Error>() {
            if error.is_canceled() {
                verdict = Verdict::Unsent.or(verdict);
            } else if error.is_incomplete_message() {
                verdict = Verdict::Cut.or(verdict);
            }
        }
        cause = match current.downcast_ref::<io::Error>() {
            Some(error) => {
                if is_cut(error.kind()) {
                    verdict = Verdict::Cut.or(verdict);
                }
                error.get_ref().map(|inner| inner as _)
            }
            None => current.source(),
        };
    }
    verdict
}

impl Verdict {
    /// The one that was found further out, if it says more.
    const fn or(self, outer: Self) -> Self {
        match (self, outer) {
            (Self::Unprocessed, _) | (_, Self::Unprocessed) => Self::Unprocessed,
            (Self::Unsent, _) | (_, Self::Unsent) => Self::Unsent,
            (Self::Cut, _) | (_, Self::Cut) => Self::Cut,
            _ => Self::Unknown,
        }
    }
}

/// Whether the chain of sources tells of a handshake that failed.
pub(super) fn tells_refusal(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if refused_handshake(current).is_some() {
            return true;
        }
        cause = match current.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => current.source(),
        };
    }
    false
}

/// The words for a handshake that failed, or that the server refused after it, if this is one.
#[cfg(feature = "tls")]
pub(super) fn refused_handshake(error: &(dyn Error + 'static)) -> Option<String> {
    crate::tls::handshake_failure(error)
}

#[cfg(not(feature = "tls"))]
pub(super) const fn refused_handshake(_: &(dyn Error + 'static)) -> Option<String> {
    None
}

const fn is_cut(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::UnexpectedEof
    )
}

/// A stream that is refused was not looked at, and neither was one with an id above the last of a GOAWAY: the streams
/// below it go on, so that the library reports a GOAWAY without an error to those above only.
fn of_http2(error: &h2::Error) -> Verdict {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let too_late = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    if error.is_remote() && (refused || too_late) {
        return Verdict::Unprocessed;
    }
    match error.get_io() {
        Some(error) if is_cut(error.kind()) => Verdict::Cut,
        _ => Verdict::Unknown,
    }
}
