//! The client and the layers over real sockets.
#![cfg(feature = "client")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail the test"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use envoi_core::{BoxError, Codec, Fate, Kind, Parcel, Payload, Segments, Weight};
use envoi_http::client::HttpClient;
use envoi_http::{CompressLayer, EncodeLayer, Encoding};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use support::{Answer, Server};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

struct Blob(Vec<u8>);

impl Payload for Blob {
    fn weight(&self) -> Weight {
        Weight { items: 1, bytes: self.0.len() }
    }
}

struct BlobCodec(String);

impl Codec<Blob> for BlobCodec {
    fn encode(&self, blob: &Blob) -> Result<Request<Segments>, BoxError> {
        Ok(Request::post(&self.0).body(blob.0.clone().into())?)
    }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

/// Sends parcels one after another and says with which statuses they were answered.
async fn statuses(server: &Server, client: HttpClient, count: usize) -> Vec<u16> {
    let mut stack = EncodeLayer::new(BlobCodec(server.uri())).layer(client);
    let mut seen = Vec::new();
    for _ in 0..count {
        let result = stack.ready().await.unwrap().call(Parcel::new(Blob(b"payload".to_vec()))).await;
        seen.push(match result {
            Ok(receipt) => receipt.reply().unwrap().status.as_u16(),
            Err(failure) => failure.fault().status().expect("a status").as_u16(),
        });
    }
    seen
}

/// TR-9, TR-6: one connection serves many exchanges, whatever the answers are and however long their bodies.
#[tokio::test]
async fn a_connection_is_used_again_after_success_errors_and_large_bodies() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => answer(StatusCode::OK, "{}"),
        1 => answer(StatusCode::BAD_REQUEST, r#"{"detail":"no"}"#),
        2 => answer(StatusCode::OK, vec![b'x'; 900_000]),
        3 => answer(StatusCode::INTERNAL_SERVER_ERROR, vec![b'x'; 900_000]),
        4 => answer(StatusCode::TOO_MANY_REQUESTS, ""),
        _ => answer(StatusCode::NO_CONTENT, ""),
    })
    .await;
    assert_eq!(statuses(&server, HttpClient::new_http(), 6).await, [200, 400, 200, 500, 429, 204]);
    assert_eq!(server.connections(), 1);
}

/// TR-6: a body beyond the drain limit costs its connection, and nothing else.
#[tokio::test]
async fn a_body_beyond_the_drain_limit_costs_its_connection_only() {
    let server = Server::start(|_| answer(StatusCode::OK, vec![b'x'; 4_000_000])).await;
    assert_eq!(statuses(&server, HttpClient::new_http(), 3).await, [200, 200, 200]);
    assert_eq!(server.connections(), 3);
}

/// TR-9: HTTP/2 by prior knowledge carries many exchanges at once over one connection.
#[tokio::test]
async fn http2_by_prior_knowledge_shares_one_connection() {
    let server = Server::start(|request| {
        assert_eq!(request.version(), Version::HTTP_2);
        answer(StatusCode::OK, vec![b'x'; 100_000])
    })
    .await;
    let client = HttpClient::builder().http2_prior_knowledge().build();
    assert_eq!(statuses(&server, client.clone(), 2).await, [200, 200]);
    let both = tokio::join!(statuses(&server, client.clone(), 5), statuses(&server, client, 5));
    assert!(both.0.iter().chain(&both.1).all(|status| *status == 200));
    assert_eq!(server.connections(), 1);
}

/// Decision 17: over HTTP/2, too, an early refusal wins over the body that was not read.
#[tokio::test]
async fn an_early_refusal_wins_over_http2() {
    let server =
        Server::start_raw(|_| async { answer(StatusCode::PAYLOAD_TOO_LARGE, r#"{"detail":"no"}"#) }).await;
    let client = HttpClient::builder().http2_prior_knowledge().build();
    let stack = EncodeLayer::new(BlobCodec(server.uri())).layer(client);
    for _ in 0..50 {
        let failure = stack.clone().oneshot(Parcel::new(Blob(vec![b'x'; 1_000_000]))).await.unwrap_err();
        assert_eq!(failure.fault().status(), Some(StatusCode::PAYLOAD_TOO_LARGE), "{failure:?}");
        assert_eq!(failure.into_parcel().unwrap().payload().0.len(), 1_000_000);
    }
}

/// AU-5: a known body has a content length, `host` is set, and the body arrives as it is.
#[tokio::test]
async fn a_known_body_has_a_content_length() {
    let server = Server::start(|request| {
        assert_eq!(request.headers()[CONTENT_LENGTH], "11");
        assert!(!request.headers().contains_key(TRANSFER_ENCODING));
        assert!(request.headers().contains_key(HOST));
        assert_eq!(request.body(), "hello world");
        answer(StatusCode::OK, "")
    })
    .await;
    let body: Segments = [Bytes::from("hello "), Bytes::from("world")].into_iter().collect();
    let request = Request::post(server.uri()).body(body).unwrap();
    assert_eq!(HttpClient::new_http().oneshot(request).await.unwrap().status(), StatusCode::OK);
}

/// CO-1, CO-2, AU-5: compressed bodies have a content length, very large ones are chunked, and tower-http reads them
/// back on the server's side.
#[tokio::test]
async fn compressed_bodies_arrive_over_the_wire() {
    for &encoding in Encoding::ALL.iter().filter(|encoding| **encoding != Encoding::Identity) {
        for (size, chunked) in [(5_000, false), (400_000, false), (1_200_000, true)] {
            let body = b"0123456789abcdef".iter().copied().cycle().take(size).collect::<Vec<_>>();
            let (expected, sent) = (body.clone(), Arc::new(AtomicUsize::new(0)));
            let received = sent.clone();
            let server = Server::start_raw(move |request: Request<hyper::body::Incoming>| {
                let (expected, received) = (expected.clone(), received.clone());
                async move {
                    assert_eq!(request.headers()[CONTENT_ENCODING], encoding.as_str());
                    assert_eq!(request.headers().contains_key(TRANSFER_ENCODING), chunked);
                    assert_eq!(request.headers().contains_key(CONTENT_LENGTH), !chunked);
                    let echo = tower::service_fn(|request: Request<_>| async {
                        let body: tower_http::decompression::DecompressionBody<_> = request.into_body();
                        let plain = body.collect().await.unwrap().to_bytes();
                        Ok::<_, BoxError>(Response::new(Full::new(plain)))
                    });
                    let reader = tower_http::decompression::RequestDecompressionLayer::new().layer(echo);
                    let plain = reader
                        .oneshot(request)
                        .await
                        .unwrap()
                        .into_body()
                        .collect()
                        .await
                        .unwrap()
                        .to_bytes();
                    assert!(plain == expected);
                    received.fetch_add(1, Ordering::SeqCst);
                    answer(StatusCode::OK, "")
                }
            })
            .await;
            let stack = ServiceBuilder::new()
                .layer(EncodeLayer::new(BlobCodec(server.uri())))
                .layer(CompressLayer::new(encoding).stream_above(1_000_000))
                .service(HttpClient::new_http());
            let receipt = stack.oneshot(Parcel::new(Blob(body))).await.unwrap();
            assert_eq!(receipt.fate(), Fate::Delivered, "{encoding} {size}");
            assert_eq!(sent.load(Ordering::SeqCst), 1);
        }
    }
}

/// TR-9: a connection that the server has closed while it was idle does not cost a delivery.
#[tokio::test]
async fn a_dead_pooled_connection_is_replaced_without_notice() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, mut is_closed) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"payload") {
                seen.push(stream.read_u8().await.unwrap());
            }
            // Says nothing of closing, and closes.
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    let mut stack = EncodeLayer::new(BlobCodec(format!("http://{address}/"))).layer(HttpClient::new_http());
    for round in 0..20 {
        let result = stack.ready().await.unwrap().call(Parcel::new(Blob(b"payload".to_vec()))).await;
        assert!(result.is_ok(), "round {round}: {result:?}");
        is_closed.recv().await.unwrap();
        // A round trip through the kernel, so that the news of the close has reached the runtime as well.
        let probe = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (accepted, connected) =
            tokio::join!(probe.accept(), tokio::net::TcpStream::connect(probe.local_addr().unwrap()));
        drop((accepted.unwrap(), connected.unwrap()));
        tokio::task::yield_now().await;
    }
}

/// CR-3, OC-4: nobody listens: a connect error, with the parcel.
#[tokio::test]
async fn a_refused_connection_is_a_connect_error_with_the_parcel() {
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let stack = EncodeLayer::new(BlobCodec(format!("http://{address}/"))).layer(HttpClient::new_http());
    let failure = stack.oneshot(Parcel::new(Blob(b"kept".to_vec()))).await.unwrap_err();
    assert_eq!(failure.fault().kind(), Kind::Connect);
    assert_eq!(failure.into_parcel().unwrap().payload().0, b"kept");
}

/// CR-3: a server that talks nonsense or hangs up after the request is a network error of kind `Io`.
#[tokio::test]
async fn garbage_and_hanging_up_are_network_errors() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for reply in [&b"SSH-2.0-OpenSSH\r\n\r\n"[..], b"HTTP/1.1 200", b""] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"payload") {
                seen.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(reply).await.unwrap();
        });
        let stack = EncodeLayer::new(BlobCodec(format!("http://{address}/"))).layer(HttpClient::new_http());
        let failure = stack.oneshot(Parcel::new(Blob(b"payload".to_vec()))).await.unwrap_err();
        assert_eq!(failure.fault().kind(), Kind::Io, "{failure:?}");
    }
}

/// TR-9: a connector of one's own takes the place of TCP.
#[tokio::test]
async fn the_connector_can_be_replaced() {
    let server = Server::start(|request| {
        assert_eq!(request.headers()[HOST], "sentry.test");
        answer(StatusCode::OK, "")
    })
    .await;
    let inner = envoi_http::client::TcpConnector::new();
    let target: http::Uri = server.uri().parse().unwrap();
    let connector = tower::service_fn(move |_: http::Uri| inner.clone().oneshot(target.clone()));
    let client = HttpClient::builder().connector(BoxedFuture(connector)).build();
    let request = Request::post("http://sentry.test/").body(Segments::from("x")).unwrap();
    assert_eq!(client.oneshot(request).await.unwrap().status(), StatusCode::OK);
}

/// The pool asks for connecting futures that are `Unpin`.
#[derive(Clone)]
struct BoxedFuture<S>(S);

impl<S: Service<http::Uri, Future: Send + 'static>> Service<http::Uri> for BoxedFuture<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        Box::pin(self.0.call(uri))
    }
}
