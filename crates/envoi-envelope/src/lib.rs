//! The Sentry envelope protocol without I/O: DSN, envelopes, data categories, rate limits, client reports.
//!
//! Nothing in here reads a clock or a socket, and nothing needs a runtime: bytes, headers and the time are passed in. What
//! comes from outside is bounded, and what is malformed is a typed error that says where.
//!
//! | I want to | look at |
//! |---|---|
//! | know where to send to, and with what credentials | [`Dsn`], on the server's side [`AuthHeader`] |
//! | read, build, change or write an envelope | [`Envelope`], [`Item`], [`ItemType`] |
//! | know why an envelope is not one | [`ParseError`], for sizes [`SizeLimits`] |
//! | send it: `sent_at`, content type, body | [`EnvelopeCodec`] |
//! | collect logs, metrics and spans into containers | [`batch`] |
//! | know what may not be sent now | [`RateLimits`], [`limits`] |
//! | tell the server what was lost | [`ClientReports`], [`reports`] |
//! | count by category | [`DataCategory`], [`Itemized`](envoi_core::Itemized) of [`Envelope`] |
//!
//! # From an event to a request
//!
//! ```
//! use envoi_core::Codec;
//! use envoi_envelope::{Dsn, Envelope, EnvelopeCodec, EventId, Item};
//!
//! let Some(dsn) = Dsn::parse_optional("https://public@o42.ingest.sentry.io/4711")? else {
//!     return Ok(()); // no DSN: there is nothing to do, and that is no error (AU-6)
//! };
//! let id = EventId::random();
//! let envelope = Envelope::new()
//!     .with_event_id(id)
//!     .with_item(Item::event(format!(r#"{{"event_id":"{id}","message":"hello"}}"#)))?
//!     .with_item(Item::attachment("build.log", "error: mismatched types"))?;
//!
//! let mut request = EnvelopeCodec::new(&dsn).encode(&envelope)?;
//! request.headers_mut().insert("x-sentry-auth", dsn.auth_header("my-sdk/1.0"));
//! assert_eq!(request.uri(), "https://o42.ingest.sentry.io/api/4711/envelope/");
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! # What an envelope costs
//!
//! An [`Envelope`] is a view of shared bytes. Reading one validates the headers and copies nothing; writing one that was
//! not changed gives the bytes that it was read from, as one piece; removing an item or setting an attribute reuses the
//! rest. Payloads are looked at only where something must be counted (the spans of a transaction, aggregated sessions,
//! containers without `item_count`), once, and without building a tree.
//!
//! # What is kept
//!
//! Item types and attributes that are not known here are kept and forwarded byte for byte (EN-4), and so are those that
//! are. [`ItemType`], [`DataCategory`] and [`DiscardReason`](envoi_core::DiscardReason) are open sets.
//!
//! # As part of a transport
//!
//! [`Envelope`] implements [`Payload`](envoi_core::Payload), [`Itemized`](envoi_core::Itemized) and
//! [`Durable`](envoi_core::Durable), so it can be queued by priority, filtered by category and stored on disk:
//!
//! ```
//! use envoi_core::{Itemized, Lane, Payload};
//! use envoi_envelope::{DataCategory, Envelope};
//!
//! let mut envelope = Envelope::parse(concat!(
//!     "{}\n",
//!     "{\"type\":\"transaction\"}\n{\"spans\":[{},{}]}\n",
//!     "{\"type\":\"profile\"}\n{}\n",
//!     "{\"type\":\"session\"}\n{}\n",
//! ))?;
//! assert_eq!(envelope.lane(), Lane::High); // that of the session
//!
//! // A limit on transactions takes the profile along and leaves the session (RL-8).
//! let mut lost = Vec::new();
//! envelope.shed(&mut |category| *category == DataCategory::Transaction, &mut |category, quantity| {
//!     lost.push(format!("{category}: {quantity}"));
//! });
//! assert_eq!(lost, ["transaction: 1", "span: 3", "profile: 1"]);
//! assert_eq!(envelope.to_bytes(), "{}\n{\"type\":\"session\"}\n{}\n");
//! # Ok::<(), envoi_envelope::ParseError>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

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
