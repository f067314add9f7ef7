//! The preset for Sentry: [`sentry()`] and its [builder](SentryBuilder).
//!
//! [`SentryBuilder::build`] makes this stack and runs it; everything in it is public. To leave the preset, start from
//! here:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use envoi::core::Ledger;
//! use envoi::envelope::{ClientReports, Dsn, Envelope, EnvelopeCodec, LimitOptions, RateLimits, user_agent};
//! use envoi::http::client::{HttpClient, Resend, TcpConnector, Timeouts};
//! use envoi::http::proxy::{ForwardLayer, ProxyConfig, ProxyLayer};
//! use envoi::http::tls::{TlsConfig, TlsLayer};
//! use envoi::http::{AuthLayer, CompressLayer, EncodeLayer, HeaderAuth, Policy};
//! use envoi::layers::TokioClock;
//! use envoi::layers::filter::FilterLayer;
//! use envoi::layers::outbox::{MemoryStore, OutboxConfig, OutboxLayer};
//! use envoi::layers::report::ReportLayer;
//! use envoi::ExtraHeadersLayer;
//! use http::{HeaderMap, HeaderName, header::USER_AGENT};
//! use tokio_util::sync::CancellationToken;
//! use tower::ServiceBuilder;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dsn = Dsn::parse("https://public@o1.ingest.sentry.io/42")?;
//! let client = concat!("my-app/", env!("CARGO_PKG_VERSION"));
//! let (ledger, limits) = (Ledger::new(), RateLimits::new(LimitOptions::new()));
//! let reports = ClientReports::with_clock(Arc::new(TokioClock));
//! let halt = CancellationToken::new();
//! let mut headers = HeaderMap::new();
//! headers.insert(USER_AGENT, user_agent(client));
//! let proxies = ProxyConfig::from_env_for(dsn.envelope_url())?;
//!
//! let connector = ServiceBuilder::new()
//!     // connect: Uri -> connection
//!     .layer(TlsLayer::new(&TlsConfig::new())?)
//!     .layer(ProxyLayer::new(proxies.clone()))
//!     .service(TcpConnector::new().any_scheme());
//! let outbox = ServiceBuilder::new()
//!     // delivery: Parcel<Envelope> -> Receipt
//!     .layer(
//!         OutboxLayer::new(
//!             OutboxConfig::new()
//!                 .ledger(ledger.clone())
//!                 .limits(limits.clone())
//!                 .losses(reports.clone())
//!                 .reporter(reports.clone())
//!                 .halt_token(halt.clone()),
//!         )
//!         .store(MemoryStore::new())
//!         .on_own_thread(),
//!     )
//!     // .layer(your delivery layer)
//!     .layer(FilterLayer::new(limits).report_to((ledger, reports.clone())))
//!     .layer(ReportLayer::new(reports))
//!     .layer(EncodeLayer::new(EnvelopeCodec::new(&dsn)).policy(Policy::sentry()).halt_on(halt))
//!     // exchange: http::Request -> http::Response
//!     // a bound for layers of yours; the client has its own of 30 s, and says in which phase it was passed
//!     .timeout(Duration::from_secs(31))
//!     // .layer(your exchange layer)
//!     .layer(AuthLayer::new(HeaderAuth::new(
//!         HeaderName::from_static("x-sentry-auth"),
//!         dsn.auth_header(client),
//!     )))
//!     .layer(ExtraHeadersLayer::new(headers))
//!     .layer(CompressLayer::gzip())
//!     .layer(ForwardLayer::new(proxies))
//!     .service(
//!         HttpClient::builder()
//!             .connector(connector)
//!             .timeouts(Timeouts::new())
//!             .resend(Resend::Stale)
//!             .pool_max_idle_per_host(8)
//!             .build(),
//!     );
//!
//! # let envelope = Envelope::new();
//! let fate = outbox.post(envelope)?; // from any thread; never waits
//! # let _ = fate;
//! # Ok(()) }
//! ```
//!
//! There is no automatic retry of HTTP errors: the protocol asks clients to drop what a server refuses (TR-8). Network
//! errors are another matter: such envelopes are queued again, with a growing back-off.

mod assembly;
mod builder;
mod error;
mod settings;
mod stack;
mod way;

pub use builder::SentryBuilder;
pub use error::BuildError;
pub use stack::{Books, Losses, SentryDelivery, SentryExchange};

use envoi_envelope::{Dsn, DsnError};

/// Begins a transport to the project that `dsn` names.
///
/// An empty DSN is no error: the transport then does nothing and says so (AU-6), see
/// [`Transport::is_enabled`](crate::Transport::is_enabled).
///
/// # Errors
/// If the DSN is malformed. The error names the part, and never the secret.
///
/// ```
/// assert!(!envoi::sentry("")?.build().unwrap().is_enabled());
/// let error = envoi::sentry("https://sentry.io/42").unwrap_err();
/// assert!(error.to_string().contains("key"), "{error}");
/// # Ok::<(), envoi::DsnError>(())
/// ```
pub fn sentry(dsn: &str) -> Result<SentryBuilder, DsnError> {
    Ok(SentryBuilder::new(Dsn::parse_optional(dsn)?))
}
