//! TLS over real sockets, against a server with certificates of its own.
#![cfg(feature = "tls")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail the test"
)]

mod agreements;
mod refusals;
mod support;
mod watching;
