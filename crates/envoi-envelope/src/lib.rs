//! The Sentry envelope protocol without I/O: DSN, envelopes, data categories, rate limits, client reports.

mod auth;
pub mod batch;
mod category;
mod delivery;
mod dsn;
mod envelope;
mod event_id;
mod json;
pub mod limits;
mod quantity;
pub mod reports;
mod sync;
mod timestamp;

pub use auth::{AuthError, AuthHeader, PROTOCOL_VERSION, user_agent};
pub use category::DataCategory;
pub use delivery::{CONTENT_TYPE, EnvelopeCodec, EnvelopeCodecError};
pub use dsn::{Dsn, DsnError, DsnErrorKind, Scheme};
pub use envelope::{
    Envelope, HeaderError, Item, ItemType, Leniences, Leniency, MAX_HEADER_BYTES, MAX_ITEMS, ParseError,
    ParseErrorKind, Parsed, PushError, PushErrorKind, SizeError, SizeLimits, Stage,
};
pub use event_id::{EventId, EventIdError};
pub use limits::{LimitOptions, RateLimits};
pub use reports::{ClientReport, ClientReports};
pub use timestamp::rfc3339;
