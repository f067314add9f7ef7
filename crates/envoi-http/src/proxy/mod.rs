//! Proxies at the connect level: which one, and the way through it (TR-3, TR-4, TR-5).
//!
//! A [`ProxyConfig`] says which requests go through which proxy: one that was given, or what the environment says.
//! [`ProxyLayer`] is a layer of connectors that follows it:
//!
//! | proxy | target `https` | target `http` |
//! |---|---|---|
//! | `http`, `https` | CONNECT | absolute-form; with [`tunnel_http`](ProxyConfig::tunnel_http) CONNECT |
//! | `socks4`, `socks4a`, `socks5`, `socks5h` (feature `socks`) | tunnel | tunnel |
//!
//! It stands between TLS and TCP, so that TLS is spoken with the target, through the tunnel. `http` targets through an
//! HTTP proxy need a second half, at the exchange level: [`ForwardLayer`] puts `Proxy-Authorization` on the request and
//! looks who has answered. Both are given the same config:
//!
#![cfg_attr(feature = "tls", doc = "```no_run")]
#![cfg_attr(not(feature = "tls"), doc = "```ignore")]
//! use envoi_http::HttpClient;
//! use envoi_http::client::TcpConnector;
//! use envoi_http::proxy::{ForwardLayer, ProxyConfig, ProxyLayer};
//! use envoi_http::tls::{TlsConfig, TlsLayer};
//! use tower::ServiceBuilder;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tls = TlsConfig::new();
//! let proxies = ProxyConfig::new("http://user:secret@proxy.example:3128")?.no_proxy("localhost, .internal");
//! let connector = ServiceBuilder::new()
//!     .layer(TlsLayer::new(&tls)?)
//!     .layer(ProxyLayer::new(proxies.clone()).tls(&tls)?)
//!     .service(TcpConnector::new().any_scheme());
//! let client = ServiceBuilder::new()
//!     .layer(ForwardLayer::new(proxies))
//!     .service(HttpClient::builder().connector(connector).build());
//! # let _ = client;
//! # Ok(()) }
//! ```
//!
//! # When it fails
//!
//! A proxy that cannot be reached, refuses or fails is a fault of [`Kind::Proxy`](envoi_core::Kind::Proxy) in
//! [`Phase::Proxy`](envoi_core::Phase::Proxy), with a [`ProxyError`] as its source that has the proxy's status. It is
//! never taken for an answer of the server: no rate limit is learned from it, and no 401 or 403 of a proxy switches the
//! transport off.
//!
//! The advice is **to try again**, for 407 and 403 as well: the server has not seen the goods, nothing is wrong with
//! them, and whoever runs the host can mend every one of these while they wait in the queue or on disk. The back-off of
//! whoever tries again keeps attempts rare, so that wrong credentials do not lock an account soon. Who would rather give
//! up says so in the policy: `Policy::sentry().on_error(Kind::Proxy, Advice::Drop)`. Only what no later attempt of this
//! process could mend is final: a target without a usable host, a proxy by `https` without TLS in the layer.
//!
//! For `http` targets through an HTTP proxy the answer of the proxy can only be guessed at: [`made_by_proxy`] says how,
//! and what is left in doubt. Its 5xx are in [`Phase::Reply`](envoi_core::Phase::Reply): it may have handed the request on
//! and lost the answer.

mod choice;
mod error;
mod forward;
mod future;
mod handshake;
mod layer;
#[cfg(feature = "socks")]
mod lookup;
mod service;
mod stream;

pub use choice::{InvalidProxy, NoProxy, ProxyConfig, ProxyScheme, ProxyServer};
pub use error::{ProxyError, ProxyProblem};
pub use forward::{Forward, ForwardFuture, ForwardLayer, made_by_proxy};
pub use future::ProxyFuture;
pub use layer::ProxyLayer;
pub use service::Proxy;
pub use stream::ProxyStream;
