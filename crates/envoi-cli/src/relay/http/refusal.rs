use std::fmt;

use envoi::core::Fault;
use envoi::envelope::{AuthError, ParseError};
use http::StatusCode;

use crate::relay::config::NoRoute;

/// Why a request is not taken on.
#[derive(Debug)]
pub(crate) enum Refusal {
    NotFound,
    /// The endpoint of events before there were envelopes.
    Legacy,
    Method,
    MissingAuth,
    Auth(AuthError),
    KeyNotAllowed,
    Route(NoRoute),
    UnknownEncoding,
    Decode(String),
    BodyCut,
    TooLarge {
        limit: usize,
    },
    TooSlow,
    Parse(ParseError),
    /// Everything in the envelope is under a limit of the upstream.
    Limited,
    /// The queue did not take it. The loss is in the books.
    Full(Fault),
    Memory,
    /// No place for one more destination.
    Destinations {
        limit: usize,
    },
    /// The store of the destination cannot be opened.
    Store(String),
    Stopping,
    /// The page is shown to the machine itself only.
    Host,
}

impl Refusal {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::Legacy => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::MissingAuth | Self::Auth(_) => StatusCode::UNAUTHORIZED,
            Self::KeyNotAllowed | Self::Host | Self::Route(NoRoute::HostNotAllowed) => StatusCode::FORBIDDEN,
            Self::Route(_) | Self::Decode(_) | Self::BodyCut | Self::Parse(_) => StatusCode::BAD_REQUEST,
            Self::UnknownEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            // What is lost here is reported by the relay; a 429 tells the client not to report it again (CR-3).
            Self::Limited | Self::Full(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Memory | Self::Destinations { .. } | Self::Store(_) | Self::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// `X-Sentry-Error` and `detail` (TR-7).
    pub(crate) const fn headline(&self) -> &'static str {
        match self {
            Self::NotFound | Self::Legacy => "not found",
            Self::Method => "method not allowed",
            Self::MissingAuth => "missing authorization information",
            Self::Auth(_) => "bad authorization information",
            Self::KeyNotAllowed => "the key is not allowed here",
            Self::Host => "forbidden",
            Self::Route(NoRoute::HostNotAllowed) => "the upstream is not allowed here",
            Self::Route(_) => "no upstream for this envelope",
            Self::UnknownEncoding | Self::Decode(_) | Self::BodyCut => "failed to read request body",
            Self::TooSlow => "the request body did not come in time",
            Self::TooLarge { .. } => "envelope exceeded size limits",
            Self::Parse(_) => "invalid event envelope",
            Self::Limited => "rate limited by the upstream",
            Self::Full(_) => "the queue of the relay is full",
            Self::Memory | Self::Destinations { .. } | Self::Store(_) => "the relay is overloaded",
            Self::Stopping => "the relay is stopping",
        }
    }

    /// For the metrics: one word.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Legacy => "legacy",
            Self::Method => "method",
            Self::MissingAuth | Self::Auth(_) => "auth",
            Self::KeyNotAllowed => "key",
            Self::Route(_) => "route",
            Self::UnknownEncoding | Self::Decode(_) => "encoding",
            Self::BodyCut => "cut",
            Self::TooLarge { .. } => "too_large",
            Self::TooSlow => "too_slow",
            Self::Parse(_) => "malformed",
            Self::Limited => "limited",
            Self::Full(_) => "full",
            Self::Memory => "memory",
            Self::Destinations { .. } => "destinations",
            Self::Store(_) => "store",
            Self::Stopping => "stopping",
            Self::Host => "host",
        }
    }

    /// When it is worth to come again, in seconds.
    pub(crate) const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Full(_) | Self::Memory | Self::Stopping => Some(5),
            Self::Destinations { .. } | Self::Store(_) => Some(60),
            _ => None,
        }
    }

    /// Whether the rest of the body may still be on its way, so that it is read before the answer is lost in a reset.
    pub(crate) const fn leaves_body(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. }
                | Self::Memory
                | Self::MissingAuth
                | Self::Auth(_)
                | Self::KeyNotAllowed
                | Self::UnknownEncoding
                | Self::Stopping
                | Self::Legacy
                | Self::NotFound
                | Self::Method
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is nothing here; envelopes go to /api/{project}/envelope/"),
            Self::Legacy => f.write_str(
                "the relay takes envelopes only, at /api/{project}/envelope/: /store/ is the endpoint of SDKs from \
                 before 2020; use a newer SDK",
            ),
            Self::Method => f.write_str("envelopes are sent with POST, pages are read with GET"),
            Self::MissingAuth => {
                f.write_str("there are no credentials: use x-sentry-auth, sentry_key, or dsn in the envelope header")
            }
            Self::Auth(error) => error.fmt(f),
            Self::KeyNotAllowed => f.write_str("allowed_keys of the relay does not have this key"),
            Self::Route(NoRoute::Unfit) => f.write_str("key or project has letters that a DSN cannot have"),
            Self::Route(NoRoute::NoDsn) => f.write_str(
                "the envelope header has no dsn, and the relay passes through to the DSN that it finds there; set the \
                 tunnel option of the SDK, or run the relay with --upstream https://host",
            ),
            Self::Route(NoRoute::HostNotAllowed) => {
                f.write_str("the host of the dsn in the envelope header is not on the list (--upstream-host)")
            }
            Self::Route(NoRoute::Conflict) => {
                f.write_str("the dsn in the envelope header has another key or project than the request")
            }
            Self::UnknownEncoding => {
                f.write_str("the content encoding is none of gzip, deflate, br, zstd, identity")
            }
            Self::Decode(error) => write!(f, "the body cannot be decoded: {error}"),
            Self::BodyCut => f.write_str("the body ended before it was complete"),
            Self::TooLarge { limit } => write!(f, "the body has more than {limit} bytes (limits.body)"),
            Self::TooSlow => f.write_str("the body took longer than timeouts.body"),
            Self::Parse(error) => error.fmt(f),
            Self::Limited => f.write_str("everything in the envelope is under a rate limit of the upstream"),
            Self::Full(fault) => fault.fmt(f),
            Self::Memory => f.write_str("all memory for envelopes is taken (limits.memory)"),
            Self::Destinations { limit } => {
                write!(f, "all {limit} places for destinations are taken (limits.destinations)")
            }
            Self::Store(error) => write!(f, "the disk buffer cannot be opened: {error}"),
            Self::Stopping => f.write_str("the relay takes nothing more"),
            Self::Host => f.write_str(
                "the relay listens on loopback, and shows its pages under localhost or an address only; this request \
                 names another host",
            ),
        }
    }
}
