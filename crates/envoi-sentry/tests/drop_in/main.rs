//! The real `sentry` crate over our transport, against the ingest server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "the macros of the sentry crate read the system's clock")]

mod failures;
mod items;
#[cfg(feature = "spool")]
mod kill;
mod options;
mod reports;
mod support;
#[cfg(all(feature = "proxy", feature = "tls"))]
mod way;
