//! The hyper client at the core of a stack: HTTP/1.1 and HTTP/2, with a connection pool (TR-9).
//!
//! [`HttpClient`] is hyper-util's client with the settings that a telemetry transport wants, and three additions:
//!
//! * **A status that the server has sent is never lost to an error while the request was still being written** (decision
//!   17). Servers answer 413 and close before they have read the body; the write then fails, and a plain client reports
//!   that instead of the 413 that is waiting to be read. See `status_first.rs` for how.
//! * **An error says how far the attempt had come**, as a [`Phase`](envoi_core::Phase), and so whether the server may have
//!   taken the request.
//! * **What the server has not looked at is sent again** by the client itself, see below.
//!
//! It is generic over the connector. [`TcpConnector`] is the one that is built in; TLS and proxies are connectors
//! around it:
//!
//! ```text
//! connect   Service<Uri> -> IO      Tls > Proxy > Tcp
//! ```
//!
//! The number of exchanges at once is for tower's `ConcurrencyLimit` above it: the client itself is always ready.
//!
//! # Time
//!
//! | phase | limit | kept by |
//! |---|---|---|
//! | name look-up | [`TcpConnector::resolve_timeout`], 5 s | the connector |
//! | TCP, all addresses together | [`TcpConnector::connect_timeout`], 5 s | the connector |
//! | proxy | `ProxyLayer::handshake_timeout`, 10 s | the connector |
//! | TLS, with the server and with a proxy | `TlsLayer::timeout`, `ProxyLayer::tls_timeout`, 10 s each | the connector |
//! | writing, while nothing moves | [`Timeouts::write`], 15 s | the client |
//! | from the end of the request to the head of the reply | [`Timeouts::first_byte`], none | the client |
//! | all of these | [`Timeouts::attempt`], 30 s | the client |
//! | the body of the reply | [`EncodeLayer::body_timeout`](crate::EncodeLayer::body_timeout) | the bridge |
//! | a whole delivery with its retries | the queue's `max_age` | the queue |
//!
//! Each that is passed is a [`TimedOut`] with the phase and the limit. A body is handed over in pieces, and the time for
//! writing begins anew with each that the connection takes, so that a large request over a slow line is not cut.
//!
//! # Sending again
//!
//! hyper-util sends a request again that never left a connection of the pool. What it does not do is done here, within
//! the time of the same attempt and for bodies that are in memory: HTTP/2 streams that were refused or came after a
//! GOAWAY, and requests on a connection that turned out to be stale, once, as [`Resend`] allows. The former five times at
//! once and then after pauses of 50 ms to 1 s, twenty times in all: where a server ends each connection after a few
//! requests, of many at once most lose the race for the next connection several times. An error that is left when the
//! server did not look at the request has a phase before the request, so nothing is lost by it either: the queue sends
//! it again.
//!
//! # Watching
//!
//! [`observe`] tells of each phase as it ends, for logs and diagnosis.

mod again;
mod builder;
mod connect;
mod error;
mod future;
pub mod observe;
mod progress;
mod service;
mod status_first;
mod tcp;
#[cfg(test)]
mod tests;
mod timed_out;
mod timeouts;
mod tracked;

pub use again::Resend;
pub use builder::HttpClientBuilder;
pub use connect::Connect;
pub use error::{ClientError, TlsUnavailable};
pub(crate) use error::{host_and_port, unreachable_error, written_port};
pub use future::ClientFuture;
pub use progress::entering;
pub use service::HttpClient;
pub use tcp::{TcpConnecting, TcpConnector};
pub use timed_out::TimedOut;
pub use timeouts::Timeouts;
