//! TLS at the connect level: a layer around any connector, by rustls (TR-5, TR-9).
//!
//! ```text
//! connect   Service<Uri> -> IO      Tls > Proxy > Tcp
//! ```
//!
//! [`Tls`] asks the connector below for a connection and, where the address is `https`, shakes hands over it. It trusts
//! what the platform trusts, unless [`TlsConfig`] says otherwise; it offers HTTP/2 and HTTP/1.1 and tells the client
//! which was chosen. Nothing here is process-wide: two transports may have different settings, and the application's
//! own use of rustls is left alone.
//!
//! ```no_run
//! use envoi_http::HttpClient;
//! use envoi_http::client::TcpConnector;
//! use envoi_http::tls::{CaBundle, TlsConfig, TlsLayer};
//! use tower::ServiceBuilder;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let company = CaBundle::from_file("company-ca.pem")?;
//! let connector = ServiceBuilder::new()
//!     .layer(TlsLayer::new(&TlsConfig::new().only_ca(company))?)
//!     .service(TcpConnector::new().any_scheme());
//! let client = HttpClient::builder().connector(connector).build();
//! # let _ = client;
//! # Ok(()) }
//! ```
//!
//! # When it fails
//!
//! A handshake that fails is a [`TlsError`]: what is wrong ([`TlsProblem`]), with which server, and what to do about it.
//! [`classify`](crate::classify) makes it a fault of [`Kind::Tls`](envoi_core::Kind::Tls) in
//! [`Phase::Tls`](envoi_core::Phase::Tls), with these words as its message.
//!
//! nginx answers a request with 400 where others end the handshake for want of a client certificate; a
//! [`Policy`](crate::policy) knows its page and makes the same of it, without the source.
//!
//! The advice is **to try again**, for certificate errors as well: nothing of the request has been sent, and an operator
//! can mend each of them (renew the certificate, set the clock, install the CA) while the goods wait in the queue or on
//! disk. Whoever would rather give up says so in the policy:
//! `Policy::sentry().on_error(Kind::Tls, Advice::Drop)`. Only an `https` address without TLS in the client is final.

mod build;
mod bundle;
mod config;
mod error;
mod future;
mod identity;
#[cfg(feature = "danger-insecure-tls")]
mod insecure;
mod layer;
mod pem;
mod service;
mod stream;
#[cfg(test)]
mod tests;

pub use bundle::CaBundle;
pub use config::{Alpn, TlsConfig, TlsVersion};
pub(crate) use error::handshake_failure;
pub use error::{TlsConfigError, TlsConfigProblem, TlsError, TlsProblem};
pub use future::TlsFuture;
pub use identity::Identity;
pub use layer::TlsLayer;
pub use service::Tls;
pub use stream::TlsStream;
