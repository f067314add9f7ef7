//! The stack under test, layer by layer, and what is sent through it.

use std::time::Duration;

use bytes::Bytes;
use envoi_core::{BoxError, Codec, Deliver, Failure, Fault, Parcel, Payload, Receipt, Segments, Weight};
use envoi_http::client::{HttpClient, Resend, TcpConnector};
use envoi_http::proxy::{ForwardLayer, ProxyConfig, ProxyLayer};
use envoi_http::tls::{CaBundle, TlsConfig, TlsLayer};
use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, HeaderAuth, Policy};
use envoi_testkit::corpus;
use envoi_testkit::ingest::{IngestServer, Problem};
use envoi_testkit::tls::Authority;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::set_header::SetRequestHeaderLayer;

/// An envelope that nobody looks into.
#[derive(Clone)]
pub(crate) struct Sealed(pub(crate) Bytes);

impl Payload for Sealed {
    fn weight(&self) -> Weight {
        Weight { items: 1, bytes: self.0.len() }
    }
}

struct SealedCodec(String);

impl Codec<Sealed> for SealedCodec {
    fn encode(&self, envelope: &Sealed) -> Result<http::Request<Segments>, BoxError> {
        let request = http::Request::post(&self.0).header(CONTENT_TYPE, "application/x-sentry-envelope");
        Ok(request.body(envelope.0.clone().into())?)
    }
}

/// What the client believes.
pub(crate) fn tls_for(authority: &Authority) -> TlsConfig {
    TlsConfig::new().only_ca(CaBundle::from_pem(authority.pem()).unwrap())
}

/// `Encode > Timeout > Auth > Compress > Forward > client > Tls > Proxy > Tcp`.
pub(crate) fn stack(
    url: &str,
    proxies: &ProxyConfig,
    tls: &TlsConfig,
) -> impl Deliver<Sealed, Future: Send> + Clone + Send + use<> {
    let connector = ServiceBuilder::new()
        .layer(TlsLayer::new(tls).unwrap())
        .layer(ProxyLayer::new(proxies.clone()).tls(tls).unwrap())
        .service(TcpConnector::new().any_scheme());
    let auth =
        "Sentry sentry_version=7, sentry_client=envoi/0.1.0, sentry_key=0123456789abcdef0123456789abcdef";
    ServiceBuilder::new()
        .layer(EncodeLayer::new(SealedCodec(url.to_owned())).policy(Policy::sentry()))
        .timeout(Duration::from_secs(30))
        .layer(AuthLayer::new(HeaderAuth::text(HeaderName::from_static("x-sentry-auth"), auth).unwrap()))
        .layer(SetRequestHeaderLayer::overriding(USER_AGENT, HeaderValue::from_static("envoi/0.1.0 (test)")))
        .layer(CompressLayer::gzip())
        .layer(ForwardLayer::new(proxies.clone()))
        .service(HttpClient::builder().connector(connector).resend(Resend::Stale).build())
}

/// Sends one envelope.
pub(crate) async fn deliver(
    stack: &(impl Deliver<Sealed, Future: Send> + Clone),
    envelope: Bytes,
) -> Result<Receipt, Failure<Sealed>> {
    stack.clone().oneshot(Parcel::new(Sealed(envelope))).await.map_err(Into::into)
}

/// Sends one small envelope that does not arrive.
pub(crate) async fn fault(url: &str, proxies: &ProxyConfig, tls: &TlsConfig) -> Fault {
    match deliver(&stack(url, proxies, tls), envelope(0)).await {
        Ok(receipt) => panic!("{url} was reached by {proxies:?}: {receipt:?}"),
        Err(failure) => failure.into_parts().0,
    }
}

/// A small envelope of its own.
pub(crate) fn envelope(number: usize) -> Bytes {
    format!("{{\"event_id\":\"{number:032x}\"}}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n").into()
}

/// The real envelopes.
pub(crate) fn corpus() -> Vec<Bytes> {
    corpus::all().iter().map(|sample| Bytes::from_static(sample.bytes)).collect()
}

/// The bodies that the ingest server has taken, from one of them on.
pub(crate) fn taken(ingest: &IngestServer, from: usize) -> Vec<Bytes> {
    let records = ingest.requests();
    for record in &records[from..] {
        // The same envelopes are sent on every way.
        let strange = record.problems.iter().find(|problem| !matches!(problem, Problem::DuplicateEvent(_)));
        assert!(record.is_accepted() && strange.is_none(), "{strange:?}");
    }
    records[from..].iter().map(|record| record.body.clone()).collect()
}

/// `host:port` of the ingest server.
pub(crate) fn authority_of(ingest: &IngestServer) -> String {
    ingest.url().parse::<http::Uri>().unwrap().authority().unwrap().to_string()
}
