//! The exchange level against a strict server, with real envelopes and real faults.
#![cfg(feature = "client")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail the test"
)]

use std::time::Duration;

use bytes::Bytes;
use envoi_core::{Advice, BoxError, Codec, Deliver, Fate, Kind, Parcel, Payload, Segments, Weight};
use envoi_http::client::HttpClient;
use envoi_http::{
    AuthLayer, Authorize, CompressLayer, EncodeLayer, Encoding, HeaderAuth, QueryAuth, accepted_id,
};
use envoi_testkit::corpus;
use envoi_testkit::ingest::{IngestServer, Step};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderName, Request, StatusCode};
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::set_header::SetRequestHeaderLayer;

const KEY: &str = "0123456789abcdef0123456789abcdef";
/// From here on bodies are sent as streams.
const STREAMED: u64 = 600_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// An envelope that nobody looks into.
#[derive(Clone)]
struct Sealed(Bytes);

impl Payload for Sealed {
    fn weight(&self) -> Weight {
        Weight { items: 1, bytes: self.0.len() }
    }
}

struct SealedCodec(String);

impl Codec<Sealed> for SealedCodec {
    fn encode(&self, envelope: &Sealed) -> Result<Request<Segments>, BoxError> {
        let request = Request::post(&self.0).header(CONTENT_TYPE, "application/x-sentry-envelope");
        Ok(request.body(envelope.0.clone().into())?)
    }
}

fn header_auth() -> HeaderAuth {
    let value = format!("Sentry sentry_version=7, sentry_client=envoi/0.1.0, sentry_key={KEY}");
    HeaderAuth::text(HeaderName::from_static("x-sentry-auth"), &value).unwrap()
}

fn stack(
    server: &IngestServer,
    auth: impl Authorize + Send + Sync + 'static,
    compress: CompressLayer,
    client: HttpClient,
) -> impl Deliver<Sealed, Future: Send> + Clone {
    ServiceBuilder::new()
        .layer(EncodeLayer::new(SealedCodec(server.url())))
        .layer(AuthLayer::new(auth))
        .layer(SetRequestHeaderLayer::overriding(USER_AGENT, HeaderValue::from_static("envoi/0.1.0 (test)")))
        .layer(compress)
        .service(client)
}

/// An envelope of `size` bytes, more or less, and an id made of its size.
fn large(size: usize) -> Bytes {
    let message = "a message that is not very surprising, ".repeat(size / 40);
    let id = format!("{size:032x}");
    let event = format!(r#"{{"event_id":"{id}","message":"{message}"}}"#);
    let length = event.len();
    format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\",\"length\":{length}}}\n{event}\n").into()
}

/// AU-3, AU-4, AU-5, CO-1, CO-2, TR-6, TR-9: real envelopes in every encoding, with either kind of credentials,
/// are accepted by a strict server, unchanged, all over one connection.
#[tokio::test]
async fn real_envelopes_are_accepted_in_every_encoding() {
    let query =
        QueryAuth::new([("sentry_version", "7"), ("sentry_client", "envoi/0.1.0"), ("sentry_key", KEY)]);
    for &encoding in Encoding::ALL {
        let server = IngestServer::start().await.unwrap();
        let compress = CompressLayer::new(encoding).min_size(100).stream_above(STREAMED);
        let client = HttpClient::new_http();
        let by_header = stack(&server, header_auth(), compress.clone(), client.clone());
        let by_query = stack(&server, query.clone(), compress, client);
        let envelopes: Vec<Bytes> = corpus::all()
            .iter()
            .map(|sample| Bytes::from_static(sample.bytes))
            .chain([large(400_000), large(900_000)])
            .collect();
        for envelope in &envelopes {
            let parcel = Parcel::new(Sealed(envelope.clone()));
            let receipt = by_header.clone().oneshot(parcel).await.map_err(Into::into).unwrap();
            assert_eq!(receipt.fate(), Fate::Delivered);
            assert!(
                accepted_id(receipt.reply().unwrap()).is_some()
                    || receipt.reply().unwrap().status.is_success()
            );
        }
        let last = large(2000);
        let parcel = Parcel::new(Sealed(last.clone()));
        assert!(by_query.oneshot(parcel).await.is_ok());

        let records = server.requests();
        assert_eq!(records.len(), envelopes.len() + 1);
        for (record, envelope) in records.iter().zip(envelopes.iter().chain([&last])) {
            assert!(record.is_accepted() && record.problems.is_empty(), "{:?}", record.problems);
            assert_eq!(record.key.as_deref(), Some(KEY));
            assert!(record.body == *envelope);
            assert_eq!(record.head.headers[USER_AGENT], "envoi/0.1.0 (test)");
            assert_eq!(record.head.headers[CONTENT_TYPE], "application/x-sentry-envelope");
            let chunked = record.head.headers.contains_key(TRANSFER_ENCODING);
            assert_eq!(chunked, encoding != Encoding::Identity && envelope.len() as u64 > STREAMED);
            assert_ne!(chunked, record.head.headers.contains_key(CONTENT_LENGTH));
        }
        assert_eq!(server.summary().connections, 1, "{encoding}");
    }
}

/// TR-6, TR-8, CR-3, OC-4, decision 17: what each fault of a server comes to. The parcel is always handed back
/// whole, and the next attempt succeeds.
#[tokio::test]
async fn every_fault_hands_the_parcel_back_and_harms_no_other() {
    let server = IngestServer::start().await.unwrap();
    let stack = stack(&server, header_auth(), CompressLayer::identity(), HttpClient::new_http());
    let refused = |status: StatusCode| Step::reply(status).body(r#"{"detail":"no"}"#);
    let (drop, retry) = (Advice::Drop, Advice::Retry);
    let faults = [
        (refused(StatusCode::BAD_REQUEST), Kind::Rejected, drop),
        (refused(StatusCode::PAYLOAD_TOO_LARGE).before_body(), Kind::Rejected, drop),
        (refused(StatusCode::FORBIDDEN), Kind::Unauthorized, drop),
        (refused(StatusCode::TOO_MANY_REQUESTS), Kind::RateLimited, drop),
        (refused(StatusCode::SERVICE_UNAVAILABLE).before_body(), Kind::Server, drop),
        // The status stands, though its body is cut.
        (refused(StatusCode::BAD_GATEWAY).cut_in_body(), Kind::Server, drop),
        (refused(StatusCode::BAD_GATEWAY).cut_in_head(), Kind::Io, retry),
        (Step::garbage("220 smtp.example.org ESMTP\r\n"), Kind::Io, retry),
        (Step::close(), Kind::Io, retry),
        (Step::reset(), Kind::Reset, retry),
        (Step::reset().before_body(), Kind::Reset, retry),
        (Step::close().before_body(), Kind::Reset, retry),
    ];
    let envelope = large(8_000_000);
    for (step, kind, advice) in faults {
        let name = format!("{step:?}");
        server.script([step]);
        let failure = stack
            .clone()
            .oneshot(Parcel::new(Sealed(envelope.clone())))
            .await
            .map_err(Into::into)
            .unwrap_err();
        let fault = failure.fault();
        assert_eq!((fault.kind(), fault.advice()), (kind, advice), "{name}: {failure:?}");
        assert!(failure.into_parcel().unwrap().payload().0 == envelope);
        let next = Parcel::new(Sealed(large(1000)));
        assert!(stack.clone().oneshot(next).await.is_ok(), "after {name}");
    }
}

/// Decision 17: a success whose body is cut is a success.
#[tokio::test]
async fn a_success_whose_body_is_cut_is_a_success() {
    let server = IngestServer::start().await.unwrap();
    let stack = stack(&server, header_auth(), CompressLayer::identity(), HttpClient::new_http());
    server.script([Step::reply(StatusCode::OK)
        .body(r#"{"id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#)
        .cut_in_body()]);
    let receipt = stack.oneshot(Parcel::new(Sealed(large(1000)))).await.map_err(Into::into).unwrap();
    assert!(receipt.reply().unwrap().truncated);
}

/// Decision 17, OC-3: a body beyond the server's limit is refused before it is read, over both versions of HTTP, as
/// it is and as a stream.
#[tokio::test]
async fn a_body_beyond_the_limit_is_a_413_over_both_versions() {
    let server = IngestServer::builder().with_max_body(100_000).start().await.unwrap();
    for client in [HttpClient::new_http(), HttpClient::builder().http2_prior_knowledge().build()] {
        for compress in [
            CompressLayer::identity(),
            CompressLayer::new(Encoding::ALL[Encoding::ALL.len() - 1]).stream_above(0),
        ] {
            let stack = stack(&server, header_auth(), compress, client.clone());
            for _ in 0..20 {
                let parcel = Parcel::new(Sealed(large(3_000_000)));
                let failure = stack.clone().oneshot(parcel).await.map_err(Into::into).unwrap_err();
                assert_eq!(failure.fault().status(), Some(StatusCode::PAYLOAD_TOO_LARGE), "{failure:?}");
            }
        }
    }
}

/// TR-2: a hanging server does not keep a parcel from a shutdown.
#[tokio::test]
async fn a_halt_brings_the_parcel_back_from_a_hanging_server() {
    let server = IngestServer::start().await.unwrap();
    server.otherwise(Step::stall());
    let token = CancellationToken::new();
    let stack = ServiceBuilder::new()
        .layer(EncodeLayer::new(SealedCodec(server.url())).halt_on(token.clone()))
        .layer(AuthLayer::new(header_auth()))
        .service(HttpClient::new_http());
    let call = tokio::spawn(stack.oneshot(Parcel::new(Sealed(large(1000)))));
    server.wait_until(|summary| summary.begun == 1, PATIENCE).await.unwrap();
    token.cancel();
    let failure = call.await.unwrap().unwrap_err();
    assert_eq!(failure.fault().kind(), Kind::Halted);
    assert!(failure.parcel().is_some());
}
