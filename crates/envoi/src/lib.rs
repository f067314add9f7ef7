//! A pluggable transport for telemetry: hand over an envelope from any thread, never wait, and learn what became of it.
//!
//! ```no_run
//! use std::time::Duration;
//! use envoi::{Envelope, Item};
//!
//! let transport = envoi::sentry("https://public@o1.ingest.sentry.io/42")?.build()?;
//! transport.send(Envelope::new().with_item(Item::event(r#"{"message":"hello"}"#))?)?;
//!
//! let closed = transport.close_blocking(Duration::from_secs(2));
//! println!("{} delivered, {} lost", closed.discharged, closed.lost);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! What [`sentry()`] builds is a stack of tower layers, each of which is public and can be used alone; its
//! [documentation](mod@sentry) shows the `ServiceBuilder` expression that it stands for, so that leaving the preset is a
//! copy and paste. Layers of your own go into its slots, see [`SentryBuilder::delivery_layer`].
//!
//! * Nothing is lost without being counted: [`Transport::ledger`] balances at every moment, and what was lost is
//!   reported to the server.
//! * Nothing blocks: not a full queue, not a hung server, not a shutdown beyond its time.
//! * Errors leave before logs: five lanes by priority, each with bounds of its own.
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
