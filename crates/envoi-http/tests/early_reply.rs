//! A status that was received beats the error of the write (decision 17), over real sockets.
#![cfg(feature = "client")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail the test"
)]

use std::net::SocketAddr;

use envoi_core::{BoxError, Codec, Kind, Parcel, Payload, Segments, Weight};
use envoi_http::client::HttpClient;
use envoi_http::{EncodeLayer, classify};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, Service, ServiceExt};

const MEGABYTES: usize = 4 * 1024 * 1024;
const REFUSAL: &[u8] =
    b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 22\r\nconnection: close\r\n\r\n{\"detail\":\"too large\"}\n";

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads until the body has begun, so that the client is certain to be writing.
async fn head_and_a_bit(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    while !seen.windows(5).any(|window| window == b"\r\n\r\nx") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "the request ended early");
        seen.extend_from_slice(&buffer[..read]);
    }
}

fn request(address: SocketAddr, pieces: usize) -> Request<Segments> {
    let piece = bytes::Bytes::from(vec![b'x'; MEGABYTES / pieces]);
    let body = std::iter::repeat_n(piece, pieces).collect();
    Request::post(format!("http://{address}/api/1/envelope/")).body(body).unwrap()
}

struct Blob(SocketAddr, usize);

impl Payload for Blob {
    fn weight(&self) -> Weight {
        Weight { items: 1, bytes: MEGABYTES }
    }
}

struct BlobCodec;

impl Codec<Blob> for BlobCodec {
    fn encode(&self, blob: &Blob) -> Result<Request<Segments>, BoxError> {
        Ok(request(blob.0, blob.1))
    }
}

/// Decision 17, OC-3: the server answers 413 and closes while megabytes are still to be written. The status wins,
/// every time, and the server's words come with it (TR-7).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_413_sent_before_the_body_was_read_always_wins_over_the_write_error() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            head_and_a_bit(&mut stream).await;
            stream.write_all(REFUSAL).await.unwrap();
            // Dropped with unread data: the kernel sends a reset.
        }
    });
    let mut stack = EncodeLayer::new(BlobCodec).layer(HttpClient::new_http());
    for round in 0..300 {
        let pieces = if round % 2 == 0 { 1 } else { 64 };
        let failure =
            stack.ready().await.unwrap().call(Parcel::new(Blob(address, pieces))).await.unwrap_err();
        let fault = failure.fault();
        assert_eq!(fault.status(), Some(StatusCode::PAYLOAD_TOO_LARGE), "round {round}: {fault:?}");
        assert_eq!(
            fault.explanation().and_then(|said| said.detail.as_deref()),
            Some("too large"),
            "round {round}"
        );
        assert_eq!(failure.into_parcel().unwrap().payload().1, pieces);
    }
}

/// Decision 17: the same with a body that ends with the connection, which a reset cuts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_status_wins_even_if_its_body_is_cut() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            head_and_a_bit(&mut stream).await;
            stream
                .write_all(b"HTTP/1.1 413 Nope\r\ncontent-length: 500\r\n\r\nonly the beginning")
                .await
                .unwrap();
        }
    });
    let stack = EncodeLayer::new(BlobCodec).layer(HttpClient::new_http());
    for round in 0..50 {
        let failure = stack.clone().oneshot(Parcel::new(Blob(address, 64))).await.unwrap_err();
        let reply = failure.fault().reply().unwrap_or_else(|| panic!("round {round}: {failure:?}"));
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(reply.truncated);
    }
}

/// Decision 17: a server that cuts without a word in the middle of the body is a reset, with the parcel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_without_a_reply_while_the_body_is_written_is_a_reset() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            head_and_a_bit(&mut stream).await;
        }
    });
    let stack = EncodeLayer::new(BlobCodec).layer(HttpClient::new_http());
    for round in 0..50 {
        let failure = stack.clone().oneshot(Parcel::new(Blob(address, 64))).await.unwrap_err();
        assert_eq!(failure.fault().kind(), Kind::Reset, "round {round}: {failure:?}");
        assert!(failure.parcel().is_some());
    }
}

/// Decision 17: a half-close while a write waits for room is a cut as well, not a bare end of file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_of_file_while_a_write_is_blocked_is_a_reset() {
    let (listener, address) = listen().await;
    let (shut, wait) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head_and_a_bit(&mut stream).await;
        stream.shutdown().await.unwrap();
        let _ = wait.await; // holds the socket open and reads nothing
    });
    // More than the buffers of two sockets, so that the write is certain to block.
    let body = std::iter::repeat_n(bytes::Bytes::from(vec![b'x'; MEGABYTES]), 16).collect::<Segments>();
    let request = Request::post(format!("http://{address}/")).body(body).unwrap();
    let error = HttpClient::new_http().oneshot(request).await.unwrap_err();
    assert_eq!(classify(error.into()).kind(), Kind::Reset);
    drop(shut);
}

/// A connection on which the server answered early is not used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_request_after_an_early_reply_gets_a_fresh_connection() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        for early in [true, false] {
            let (mut stream, _) = listener.accept().await.unwrap();
            head_and_a_bit(&mut stream).await;
            if early {
                stream.write_all(REFUSAL).await.unwrap();
                continue;
            }
            let mut rest = vec![0; 64 * 1024];
            let mut total = 0;
            while total < MEGABYTES - 1024 {
                total += stream.read(&mut rest).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    let client = HttpClient::new_http();
    let refused = client.clone().oneshot(request(address, 64)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    refused.into_body().collect().await.unwrap();
    let accepted = client.oneshot(request(address, 64)).await.unwrap();
    assert_eq!(accepted.status(), StatusCode::OK);
}
