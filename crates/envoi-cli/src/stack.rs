//! The stack that `envoi send` and `envoi demo` deliver through, as one expression.

use std::time::Duration;

use envoi_core::Deliver;
use envoi_envelope::{Dsn, Envelope, EnvelopeCodec};
use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, Encoding, HeaderAuth, HttpClient, Policy};
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderName, HeaderValue};
use tower::ServiceBuilder;
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower_http::decompression::DecompressionLayer;
use tower_http::sensitive_headers::SetSensitiveResponseHeadersLayer;
use tower_http::set_header::SetRequestHeaderLayer;
use tower_http::trace::TraceLayer;
use tracing_subscriber::EnvFilter;

/// What this client calls itself (AU-3, AU-5).
const CLIENT: &str = concat!("envoi-cli/", env!("CARGO_PKG_VERSION"));

const AUTH_HEADER: HeaderName = HeaderName::from_static("x-sentry-auth");

/// What a user can choose about the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Content encoding of requests.
    pub(crate) encoding: Encoding,
    /// Compression level.
    pub(crate) level: Option<u32>,
    /// Exchanges at once.
    pub(crate) concurrency: usize,
    /// Time for one attempt.
    pub(crate) timeout: Duration,
}

/// The stack for one DSN. Read from top to bottom it is the way of an envelope.
pub(crate) fn build(
    dsn: &Dsn,
    options: Options,
) -> impl Deliver<Envelope, Error: Send, Future: Send> + Clone + Send + 'static {
    let compress = CompressLayer::new(options.encoding);
    ServiceBuilder::new()
        // delivery: Parcel<Envelope> -> Receipt
        .layer(
            EncodeLayer::new(EnvelopeCodec::new(dsn)).policy(Policy::sentry()).body_timeout(options.timeout),
        )
        // exchange: Request -> Response
        .layer(ConcurrencyLimitLayer::new(options.concurrency))
        .layer(TimeoutLayer::new(options.timeout))
        .layer(TraceLayer::new_for_http())
        .layer(SetSensitiveResponseHeadersLayer::new([SET_COOKIE]))
        .layer(AuthLayer::new(HeaderAuth::new(AUTH_HEADER, dsn.auth_header(CLIENT))))
        .layer(SetRequestHeaderLayer::overriding(USER_AGENT, HeaderValue::from_static(CLIENT)))
        .layer(match options.level {
            Some(level) => compress.level(level),
            None => compress,
        })
        .layer(DecompressionLayer::new())
        .service(HttpClient::builder().pool_max_idle_per_host(options.concurrency).build())
}

/// Shows what the layers trace, on standard error. `RUST_LOG` may ask for something else.
pub(crate) fn trace(verbose: u8) {
    let default = match verbose {
        0 => return,
        1 => "envoi=debug,envoi_http=debug,tower_http=debug",
        _ => "envoi=trace,envoi_http=trace,tower_http=trace,hyper_util=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour);
    // Only one command runs, so there is no other subscriber.
    let _ = subscriber.with_writer(std::io::stderr).try_init();
}
