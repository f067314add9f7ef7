//! What is logged, and what is not.
#![cfg(all(feature = "client", feature = "tracing"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail the test"
)]

mod support;

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use envoi_core::{BoxError, Codec, Parcel, Payload, Segments, Weight};
use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, HeaderAuth, HttpClient, QueryAuth, bearer};
use http::header::AUTHORIZATION;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::Full;
use support::Server;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnRequest, TraceLayer};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn subscribe(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Secret;

impl Payload for Secret {
    fn weight(&self) -> Weight {
        Weight { items: 1, bytes: 13 }
    }
}

struct SecretCodec(String);

impl Codec<Secret> for SecretCodec {
    fn encode(&self, _: &Secret) -> Result<Request<Segments>, BoxError> {
        Ok(Request::post(&self.0).body("hush: payload".into())?)
    }
}

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("x-sentry-error", "no thanks")
        .body(Full::from(r#"{"detail":"the reason","causes":["the cause"]}"#))
        .unwrap()
}

/// TR-7, OC-3, decision 15: refusals are logged with the server's words; a 413 as an error, a redirect as a warning.
#[tokio::test]
async fn refusals_are_logged_with_the_servers_words() {
    for (status, level) in [
        (StatusCode::PAYLOAD_TOO_LARGE, "ERROR"),
        (StatusCode::FOUND, "WARN"),
        (StatusCode::BAD_REQUEST, "DEBUG"),
    ] {
        let log = Log::default();
        let _guard = log.subscribe();
        let server = Server::start(move |_| refusal(status)).await;
        let stack = EncodeLayer::new(SecretCodec(server.uri())).layer(HttpClient::new_http());
        stack.oneshot(Parcel::new(Secret)).await.unwrap_err();
        let text = log.text();
        let line = text.lines().find(|line| line.contains("envoi_http::encode")).unwrap();
        assert!(line.split_whitespace().nth(1) == Some(level), "{line}");
        assert!(line.contains("no thanks: the reason (the cause)"), "{line}");
    }
}

/// AU-7: with everything traced, headers included, no credential and no payload appears in the log.
#[tokio::test]
async fn no_credential_and_no_payload_is_ever_logged() {
    let log = Log::default();
    let _guard = log.subscribe();
    let server = Server::start(|request| {
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer hush-bearer");
        assert!(request.uri().query().unwrap().contains("hush-query"));
        refusal(StatusCode::FORBIDDEN)
    })
    .await;
    let trace = || {
        TraceLayer::new_for_http()
            .make_span_with(DefaultMakeSpan::new().include_headers(true).level(tracing::Level::TRACE))
            .on_request(DefaultOnRequest::new().level(tracing::Level::TRACE))
    };
    let stack = ServiceBuilder::new()
        .layer(EncodeLayer::new(SecretCodec(server.uri())))
        .layer(trace())
        .layer(AuthLayer::new(bearer("hush-bearer").unwrap()))
        .layer(AuthLayer::new(
            HeaderAuth::text(HeaderName::from_static("x-sentry-auth"), "Sentry sentry_key=hush-key").unwrap(),
        ))
        .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]))
        // Even a trace below the credentials shows none of the headers.
        .layer(trace())
        .layer(AuthLayer::new(QueryAuth::new([("sentry_secret", "hush-query")])))
        .layer(CompressLayer::identity())
        .service(HttpClient::new_http());
    let failure = stack.oneshot(Parcel::new(Secret)).await.unwrap_err();
    assert_eq!(server.connections(), 1);
    let text = log.text();
    assert!(text.contains("x-sentry-auth"), "the trace does show headers: {text}");
    for text in [text, failure.to_string(), format!("{failure:?}")] {
        // The address with a query is logged by the connection pool at most without its query.
        assert!(!text.contains("hush"), "{text}");
    }
}
