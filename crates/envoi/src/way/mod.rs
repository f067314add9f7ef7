//! The way to a server, as the presets go it: look-up, TCP, proxies, TLS, time bounds, the pool of connections.
//!
//! A [`Way`] is plain settings. The presets have one each and offer the usual parts of it as methods of their own
//! ([`SentryBuilder::tls`](crate::SentryBuilder::tls) and so on); for all of it give them a whole one:
//!
//! ```
//! use envoi::way::{Timeouts, Way};
//! use std::time::Duration;
//!
//! let way = Way::new()
//!     .timeouts(Timeouts::new().connect(Duration::from_secs(2)))
//!     .pool_idle_timeout(Some(Duration::from_secs(20)));
//! let transport = envoi::sentry("http://public@127.0.0.1:9/42")?.way(way).build()?;
//! # drop(transport);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a preset makes of it is made of public parts of [`envoi_http`]:
//!
//! ```text
//! ForwardLayer::new(proxies)                         Proxy-Authorization for `http` targets
//!   HttpClient::builder().timeouts(..)               write, first byte, attempt; sending again; the pool
//!     TlsLayer::new(&tls)?                           only for `https`
//!       ProxyLayer::new(proxies)                     only where one applies
//!         TcpConnector::new().any_scheme()           look-up and connection
//! ```

mod connector;
mod error;
mod setters;
mod settings;

pub(crate) use connector::Source;
pub use connector::{Core, DefaultConnector};
pub use error::WayError;
pub(crate) use setters::way_setters;
pub use settings::Way;

pub use envoi_http::client::observe::{Event, Observe, SharedObserver};
pub use envoi_http::client::{Resend, Timeouts};
#[cfg(feature = "proxy")]
#[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
pub use envoi_http::proxy::ProxyConfig;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use envoi_http::tls::{Alpn, CaBundle, Identity, TlsConfig, TlsVersion};
