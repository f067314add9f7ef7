//! A server that stands in for Sentry: real HTTP on loopback, strict checks, faults on demand.
//!
//! [`IngestServer`] takes envelopes over HTTP/1.1 and HTTP/2, in all four content encodings, and judges them as a
//! strict server would: method, path, credentials, framing, grammar, item rules. It remembers what came, keeps books
//! per category for conservation checks, and answers as Sentry does, unless a [`Step`] asks for something else: a
//! status, a delay, a reset, half a reply, no reply.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use envoi_testkit::ingest::{IngestServer, Step};
//! use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
//!
//! let server = IngestServer::start().await?;
//! server.script([
//!     Step::reply(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, HeaderValue::from(60)),
//!     Step::reset().before_body(),
//! ]); // and afterwards it accepts
//!
//! // Point a client at `server.dsn()`, then:
//! let none_yet = server.wait_for(1, Duration::ZERO).await;
//! assert!(none_yet.is_err());
//! assert!(server.received_tally().is_empty());
//! let summary = server.shutdown().await;
//! assert_eq!(summary.requests, 0);
//! # Ok::<(), std::io::Error>(()) }).unwrap();
//! ```
//!
//! A server has no timers of its own: it waits only where a [`Step`] or
//! [`with_latency`](IngestBuilder::with_latency) says so. Run it with real time; on a runtime with paused time, tokio
//! advances the clock while data is on the wire.

mod accept;
mod auth;
mod body;
mod book;
mod builder;
mod connection;
mod decode;
mod events;
mod exchange;
mod io;
mod judge;
mod problem;
mod record;
mod reply;
mod route;
mod script;
mod server;
mod shared;
mod step;
mod thread;

pub use builder::IngestBuilder;
pub use decode::Encoding;
pub use events::Events;
pub use problem::Problem;
pub use record::{Record, RequestHead};
pub use server::{IngestServer, NotEnough, Summary};
pub use step::Step;
pub use thread::IngestThread;
