//! Clients.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use envoi_testkit::ingest::IngestServer;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Ends a test that would hang. Nothing waits for it otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const AUTH: &str = "Sentry sentry_version=7, sentry_client=test/1, sentry_key=abc";

pub(crate) const ENVELOPE: &str = concat!(
    "{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}\n",
    "{\"type\":\"event\",\"length\":2}\n{}\n",
);

pub(crate) type Http = Client<HttpConnector, Full<Bytes>>;

pub(crate) fn client() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn http2_client() -> Http {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

pub(crate) fn post(server: &IngestServer, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(server.url())
        .header("content-type", "application/x-sentry-envelope")
        .header("user-agent", "test/1")
        .header("x-sentry-auth", AUTH)
        .body(Full::new(body.into()))
        .unwrap()
}

pub(crate) async fn whole(response: Response<Incoming>) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.into()).unwrap())
}

/// Sends a body and returns status and body of the answer.
pub(crate) async fn send(server: &IngestServer, body: impl Into<Bytes>) -> (StatusCode, String) {
    let (status, _, body) = whole(client().request(post(server, body)).await.unwrap()).await;
    (status, body)
}

/// The head of a proper request over HTTP/1.1, for a body of this length.
pub(crate) fn head(length: usize) -> String {
    format!(
        "POST /api/42/envelope/ HTTP/1.1\r\nhost: localhost\r\nx-sentry-auth: {AUTH}\r\nuser-agent: test/1\r\n\
         content-type: application/x-sentry-envelope\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Writes `request` and reads all that comes until the end of the connection.
pub(crate) async fn raw(address: SocketAddr, request: impl AsRef<[u8]>) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_ref()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map(|_| answer)
}
