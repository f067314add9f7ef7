//! The ingest server, seen from the client side: over raw sockets and with a real client.

#![cfg(feature = "ingest")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod books;
mod doors;
mod encodings;
mod faults;
mod http2;
mod judging;
mod support;
mod thread;
