//! The hyper client at the core of a stack: HTTP/1.1 and HTTP/2 over cleartext, with a connection pool (TR-9).
//!
//! [`HttpClient`] is hyper-util's client with the settings that a telemetry transport wants, and one addition: **a
//! status that the server has sent is never lost to an error while the request was still being written** (decision
//! 17). Servers answer 413 and close before they have read the body; the write then fails, and a plain client
//! reports that instead of the 413 that is waiting to be read. See `status_first.rs` for how.
//!
//! It is generic over the connector. [`TcpConnector`] is the one that is built in; TLS and proxies are connectors
//! around it:
//!
//! ```text
//! connect   Service<Uri> -> IO      Tls > Proxy > Tcp
//! ```
//!
//! It bounds the time for a connection ([`TcpConnector::connect_timeout`]); the time for an exchange is tower's
//! `Timeout` above it, and the number of exchanges at once is tower's `ConcurrencyLimit`: the client itself is
//! always ready. A request whose pooled connection turned out dead before anything was written is sent again on a
//! new one, without anybody noticing.

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
pub(crate) use error::{host_and_port, unreachable_error};
pub use future::ClientFuture;
pub use progress::entering;
pub use service::HttpClient;
pub use tcp::{TcpConnecting, TcpConnector};
pub use timed_out::TimedOut;
pub use timeouts::Timeouts;
