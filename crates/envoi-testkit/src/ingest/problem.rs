use envoi_envelope::{AuthError, EventId, ParseError, PushErrorKind, SizeError};
use http::StatusCode;

/// What is wrong with a request. Some problems are refused, others only noted: see [`Problem::status`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The path is not `/api/{project}/envelope/`.
    NotFound,
    /// The method is not POST.
    Method,
    /// There are no credentials: no header, no query, no DSN in the envelope.
    MissingAuth,
    /// The credentials cannot be read.
    Auth(
        /// Why not.
        AuthError,
    ),
    /// Header, query and envelope name different keys, or the envelope another project than the URL.
    ConflictingAuth,
    /// There is a `sentry_timestamp` (AU-3). Noted.
    AuthTimestamp,
    /// The content type is not `application/x-sentry-envelope` (AU-5). Noted.
    ContentType,
    /// There is no user agent (AU-5). Noted.
    MissingUserAgent,
    /// The HTTP/1.1 request has neither `content-length` nor a transfer encoding (AU-5). Noted.
    MissingLength,
    /// The content encoding is none that is known.
    UnknownEncoding,
    /// The body is not in the content encoding that the header says.
    Decode(
        /// What the decoder says.
        String,
    ),
    /// The body ended before it was complete.
    BodyCut,
    /// The body is larger than the server takes, before or after decoding.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The body is not an envelope.
    Parse(
        /// What is wrong and where.
        ParseError,
    ),
    /// The envelope has no items (EN-6). Noted.
    NoItems,
    /// Items that must not be in one envelope (IT-1).
    Combination {
        /// The index of the item that is too much.
        item: usize,
        /// The rule.
        kind: PushErrorKind,
    },
    /// An item is larger than allowed (EN-7).
    Size(
        /// Which and how large.
        SizeError,
    ),
    /// An event of this id was accepted before. Noted.
    DuplicateEvent(
        /// The id.
        EventId,
    ),
}

impl Problem {
    /// The status that it is refused with; `None` if it is only noted.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        Some(match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::MissingAuth | Self::Auth(_) => StatusCode::UNAUTHORIZED,
            Self::ConflictingAuth
            | Self::Decode(_)
            | Self::BodyCut
            | Self::Parse(_)
            | Self::Combination { .. } => StatusCode::BAD_REQUEST,
            Self::UnknownEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } | Self::Size(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::AuthTimestamp
            | Self::ContentType
            | Self::MissingUserAgent
            | Self::MissingLength
            | Self::NoItems
            | Self::DuplicateEvent(_) => return None,
        })
    }

    /// The headline of a refusal: `X-Sentry-Error` and `detail`.
    pub(super) const fn headline(&self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::Method => "method not allowed",
            Self::MissingAuth => "missing authorization information",
            Self::Auth(_) | Self::ConflictingAuth | Self::AuthTimestamp => "bad authorization information",
            Self::UnknownEncoding | Self::Decode(_) | Self::BodyCut => "failed to read request body",
            Self::TooLarge { .. } | Self::Size(_) => "envelope exceeded size limits",
            _ => "invalid event envelope",
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("the path is not /api/{project}/envelope/"),
            Self::Method => f.write_str("the method is not POST"),
            Self::MissingAuth => f.write_str("there are no credentials: use x-sentry-auth or sentry_key"),
            Self::Auth(error) => error.fmt(f),
            Self::ConflictingAuth => {
                f.write_str("header, query, envelope and path do not agree on key and project")
            }
            Self::AuthTimestamp => f.write_str("sentry_timestamp is obsolete"),
            Self::ContentType => f.write_str("the content type is not application/x-sentry-envelope"),
            Self::MissingUserAgent => f.write_str("there is no user agent"),
            Self::MissingLength => f.write_str("there is neither content-length nor a transfer encoding"),
            Self::UnknownEncoding => {
                f.write_str("the content encoding is none of gzip, deflate, br, zstd, identity")
            }
            Self::Decode(error) => write!(f, "the body cannot be decoded: {error}"),
            Self::BodyCut => f.write_str("the body ended before it was complete"),
            Self::TooLarge { limit } => write!(f, "the body has more than {limit} bytes"),
            Self::Parse(error) => error.fmt(f),
            Self::NoItems => f.write_str("the envelope has no items"),
            Self::Combination { item, kind } => {
                write!(f, "item {item} must not be in this envelope: {kind:?}")
            }
            Self::Size(error) => error.fmt(f),
            Self::DuplicateEvent(id) => write!(f, "an event with the id {id} was accepted before"),
        }
    }
}

impl std::error::Error for Problem {}
