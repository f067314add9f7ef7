//! The two ways of sending that are compared: the composed stack, and hyper's client used by hand.

use std::time::Duration;

use bytes::Bytes;
use envoi_core::{Deliver, Parcel};
use envoi_envelope::{Dsn, Envelope, EnvelopeCodec};
use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, Encoding, HeaderAuth, HttpClient, Policy};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::timeout::TimeoutLayer;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::set_header::SetRequestHeaderLayer;

const AGENT: &str = "envoi-benches/1.0";
const AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");

/// The exchange half of the Sentry preset, as one expression.
#[must_use]
pub fn stack(
    dsn: &Dsn,
    encoding: Encoding,
) -> impl Deliver<Envelope, Error: Send, Future: Send> + Clone + Send + 'static {
    ServiceBuilder::new()
        .layer(EncodeLayer::new(EnvelopeCodec::new(dsn)).policy(Policy::sentry()))
        .layer(TimeoutLayer::new(Duration::from_secs(30)))
        .layer(AuthLayer::new(HeaderAuth::new(AUTH, dsn.auth_header(AGENT))))
        .layer(SetRequestHeaderLayer::overriding(USER_AGENT, HeaderValue::from_static(AGENT)))
        .layer(CompressLayer::new(encoding))
        .service(HttpClient::builder().pool_max_idle_per_host(64).build())
}

/// Sends `count` parcels one after the other.
///
/// # Panics
/// If one is not delivered.
pub async fn deliver(mut stack: impl Deliver<Envelope>, envelope: &Envelope, count: u64) {
    for _ in 0..count {
        let receipt = match stack.ready().await {
            Ok(stack) => stack.call(Parcel::new(envelope.clone())).await,
            Err(failure) => Err(failure),
        };
        assert!(receipt.is_ok(), "an envelope was not delivered");
    }
}

/// What one writes without a framework: hyper's pooled client, and the same request every time.
#[derive(Clone, Debug)]
pub struct Bare {
    client: Client<HttpConnector, Full<Bytes>>,
    request: Request<Bytes>,
}

impl Bare {
    /// A client that sends `body` with the headers that the stack sends.
    ///
    /// # Panics
    /// Never: the headers are constant.
    #[must_use]
    pub fn new(dsn: &Dsn, body: Bytes) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(64).build(connector);
        let request = Request::post(dsn.envelope_url().clone())
            .header(CONTENT_TYPE, envoi_envelope::CONTENT_TYPE)
            .header(AUTH, dsn.auth_header(AGENT))
            .header(USER_AGENT, AGENT)
            .body(body);
        Self { client, request: request.unwrap() }
    }

    /// Sends the request `count` times, one after the other, and reads the replies.
    ///
    /// # Panics
    /// If one fails.
    pub async fn send(&self, count: u64) {
        for _ in 0..count {
            self.exchange(self.request.clone()).await;
        }
    }

    /// Sends the request once, with a body that is encoded already.
    ///
    /// # Panics
    /// If it fails.
    pub async fn send_encoded(&self, encoding: &'static str, body: Bytes) {
        let mut request = self.request.clone();
        request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        *request.body_mut() = body;
        self.exchange(request).await;
    }

    async fn exchange(&self, request: Request<Bytes>) {
        let response = self.client.request(request.map(Full::new)).await.unwrap();
        assert!(response.status().is_success());
        response.into_body().collect().await.unwrap();
    }
}
