use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use envoi_core::{Fault, Segments};
use envoi_http::client::Connect;
use envoi_http::{HttpClient, classify};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::ServiceExt;

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn request(address: SocketAddr, method: Method, body: impl Into<Segments>) -> Request<Segments> {
    Request::builder().method(method).uri(format!("http://{address}/")).body(body.into()).unwrap()
}

pub(crate) fn post(address: SocketAddr) -> Request<Segments> {
    request(address, Method::POST, "payload")
}

/// One exchange to its end, so that the connection is free again.
pub(crate) async fn exchange<C: Connect>(
    client: &HttpClient<C>,
    request: Request<Segments>,
) -> Result<Response<()>, Fault> {
    let response: Response<Incoming> =
        client.clone().oneshot(request).await.map_err(|error| classify(error.into()))?;
    let (head, body) = response.into_parts();
    body.collect().await.map_err(|error| classify(error.into()))?;
    Ok(Response::from_parts(head, ()))
}

/// Reads a request of HTTP/1.1 whose body ends with these bytes.
pub(crate) async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &[u8]) {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        let Ok(byte) = stream.read_u8().await else { return };
        seen.push(byte);
    }
}

/// What a server does with one request.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    Answer,
    /// Hangs up without a word.
    Close,
    /// Answers, and hangs up without having said so.
    AnswerAndClose,
}

/// A server of HTTP/1.1 that acts on requests one after the other, and counts them.
pub(crate) async fn scripted(script: Vec<Act>) -> (SocketAddr, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        let mut script = script.into_iter();
        'connections: loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            loop {
                while !seen.ends_with(b"payload") && !seen.ends_with(b"content-length: 0\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { continue 'connections };
                    seen.push(byte);
                }
                seen.clear();
                counter.fetch_add(1, Ordering::SeqCst);
                match script.next().unwrap_or(Act::Answer) {
                    Act::Answer => stream.write_all(OK).await.unwrap(),
                    Act::Close => continue 'connections,
                    Act::AnswerAndClose => {
                        stream.write_all(OK).await.unwrap();
                        continue 'connections;
                    }
                }
            }
        }
    });
    (address, count)
}
