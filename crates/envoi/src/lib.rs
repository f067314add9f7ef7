//! A pluggable transport for telemetry: hand over an envelope from any thread, never wait, and learn what became of it.
//!
//! ```
//! use std::time::Duration;
//! use envoi::{Envelope, Item};
//!
//! # let server = envoi_testkit::ingest::IngestServer::spawn_thread()?;
//! # let dsn = server.server().dsn();
//! let transport = envoi::sentry(&dsn)?.client("my-app/1.0").build()?; // "https://public@o1.ingest.sentry.io/42"
//! transport.send(Envelope::new().with_item(Item::event(r#"{"message":"hello"}"#))?)?;
//! transport.send_log(r#"{"level":"info","body":"collected with others into one request"}"#)?;
//!
//! let closed = transport.close_blocking(Duration::from_secs(2)); // never longer, whatever the server does
//! assert!(closed.is_complete);
//! for (category, account) in transport.ledger().iter() {
//!     println!("{category}: {} delivered, lost {:?}", account.delivered, account.lost);
//! }
//! # assert_eq!(server.shutdown().accepted, 2);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! [`batch()`] does the same for generic JSON events, with retry, circuit breaker and an error handler.
//!
//! * Nothing is lost without being counted: [`Transport::ledger`] balances at every moment, and what was lost is
//!   reported to the server.
//! * Nothing blocks: not a full queue, not a hung server, not a shutdown beyond its time.
//! * Errors leave before logs: five lanes by priority, each with bounds of its own.
//!
//! | I want to | look at |
//! |---|---|
//! | keep what is not sent yet over a restart or a crash | `.disk_buffer(path)` of the builder, with the feature `spool` |
//! | scrub, sample, route, hook into what leaves | [`SentryBuilder::delivery_layer`], [`SentryBuilder::http_layer`] |
//! | send JSON events to a server of my own | [`batch()`] |
//! | leave the preset, or build another | [the stack that it stands for](mod@sentry), as a `ServiceBuilder` to copy |
//! | test without a network | `envoi-testkit`: a scripted server, paused time, faults on demand |
//! | use it under the `sentry` crate, or under OpenTelemetry's exporters | `envoi-sentry`, `envoi-opentelemetry` |
//!
//! Every concern is one `tower::Layer`, and a preset is a stack of public ones. At the *delivery* level a call is one payload
//! and the responsibility for it: `Ok` discharges it, `Err` hands the goods back ([`core`]). At the *exchange* level a call is one
//! HTTP exchange, and tower-http's layers fit. [Examples], [how to write a layer], [which layer stands where].
//!
//! [Examples]: https://github.com/envoi-rs/envoi/blob/main/examples/README.md
//! [how to write a layer]: https://github.com/envoi-rs/envoi/blob/main/docs/writing-a-layer.md
//! [which layer stands where]: https://github.com/envoi-rs/envoi/blob/main/docs/composing.md
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `tls` | yes | `https`, with the roots of the platform and ring |
//! | `aws-lc-rs` | no | TLS with AWS-LC in the place of ring |
//! | `danger-insecure-tls` | no | `TlsConfig::danger_accept_invalid_certs`, for experiments on your own machine |
//! | `proxy` | yes | HTTP proxies, those of the environment included |
//! | `socks` | no | SOCKS proxies |
//! | `gzip` | yes | request compression with gzip and deflate |
//! | `br`, `zstd` | no | request compression with Brotli, Zstandard |
//! | `batch` | yes | generic JSON batches: [`batch()`] |
//! | `tracing` | yes | events about losses and refusals |
//! | `spool` | no | the disk buffer: what is not sent yet survives the process |
//! | `metrics` | no | gauges and counters for the `metrics` facade |
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "batch")]
#[cfg_attr(docsrs, doc(cfg(feature = "batch")))]
pub mod batch;
#[cfg(feature = "spool")]
#[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
mod disk;
mod guard;
mod headers;
#[cfg(feature = "metrics")]
mod publish;
pub mod sentry;
mod transport;
pub mod way;

#[doc(no_inline)]
pub use envoi_core as core;
#[doc(no_inline)]
pub use envoi_envelope as envelope;
#[doc(no_inline)]
pub use envoi_http as http;
#[doc(no_inline)]
pub use envoi_layers as layers;
#[cfg(feature = "spool")]
#[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
#[doc(no_inline)]
pub use envoi_spool as spool;

#[cfg(feature = "batch")]
#[cfg_attr(docsrs, doc(cfg(feature = "batch")))]
pub use batch::{BatchBuilder, BatchTransport, batch};
#[cfg(feature = "spool")]
#[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
pub use disk::DiskBufferLayer;

pub use envoi_core::{DiscardReason, Fate, Fault, Kind, Lane, LossSink};
pub use envoi_envelope::{DataCategory, Dsn, DsnError, Envelope, Item};
pub use envoi_http::{Encoding, Policy};
pub use envoi_layers::outbox::{Capacity, Closed, End, Flushed, Notice, Outcome, Outcomes, Overflow};
pub use headers::{ExtraHeaders, ExtraHeadersLayer};
pub use sentry::{BuildError, SentryBuilder, sentry};
pub use transport::{Transport, TransportDriver, TransportStats};
pub use way::{Way, WayError};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
