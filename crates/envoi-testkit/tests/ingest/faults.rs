use std::io;
use std::time::Duration;

use envoi_testkit::ingest::{IngestServer, Step};
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{ENVELOPE, PATIENCE, client, head, post, raw, send, whole};

const HOUR: Duration = Duration::from_secs(3600);

fn request() -> String {
    format!("{}{ENVELOPE}", head(ENVELOPE.len()))
}

async fn scripted(steps: impl IntoIterator<Item = Step>) -> IngestServer {
    let server = IngestServer::start().await.unwrap();
    server.script(steps);
    server
}

/// Scripted steps come first and in order, then the hook, then the default.
#[tokio::test]
async fn steps_come_from_the_script_then_the_hook_then_the_default() {
    let server = scripted([
        Step::reply(StatusCode::TOO_MANY_REQUESTS)
            .header(RETRY_AFTER, HeaderValue::from(60))
            .header(RETRY_AFTER, HeaderValue::from(61))
            .body("slow down"),
        Step::judge(),
    ])
    .await;
    server.on_request(|number, head| {
        assert_eq!(head.uri.path(), "/api/42/envelope/");
        (number == 2).then(|| Step::reply(StatusCode::IM_A_TEAPOT))
    });
    server.otherwise(StatusCode::BAD_GATEWAY);
    let (status, headers, body) = whole(client().request(post(&server, ENVELOPE)).await.unwrap()).await;
    assert_eq!((status, &*body), (StatusCode::TOO_MANY_REQUESTS, "slow down"));
    assert_eq!(headers.get_all(RETRY_AFTER).iter().collect::<Vec<_>>(), ["60", "61"]);
    assert_eq!(server.steps_left(), 1);
    for expected in [StatusCode::OK, StatusCode::IM_A_TEAPOT, StatusCode::BAD_GATEWAY] {
        assert_eq!(send(&server, ENVELOPE).await.0, expected);
    }
    server.script([StatusCode::CONFLICT]);
    server.clear_script();
    assert_eq!(send(&server, ENVELOPE).await.0, StatusCode::BAD_GATEWAY);
}

/// RL-1: a rate limit may come with any answer, also with a success.
#[tokio::test]
async fn a_judged_answer_takes_headers_along() {
    let name = HeaderName::from_static("x-sentry-rate-limits");
    let limited = || Step::judge().header(name.clone(), HeaderValue::from_static("60:error:key"));
    let server = scripted([limited(), limited()]).await;
    for (body, expected) in [(ENVELOPE, StatusCode::OK), ("nonsense", StatusCode::BAD_REQUEST)] {
        let (status, headers, _) = whole(client().request(post(&server, body)).await.unwrap()).await;
        assert_eq!((status, headers[&name].to_str().unwrap()), (expected, "60:error:key"));
        assert_eq!(headers["content-type"], "application/json");
    }
    assert_eq!(server.summary().accepted, 1);
}

/// Decision 17: a server may refuse by length and close, without reading the body.
#[tokio::test]
async fn a_reply_before_the_body_ends_the_connection() {
    let server = scripted([Step::reply(StatusCode::PAYLOAD_TOO_LARGE).before_body()]).await;
    // Not a byte of the body is sent, and yet there is an answer and an end.
    let answer = raw(server.address(), head(1_000_000)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", answer.escape_ascii());
    let record = &server.requests()[0];
    assert_eq!((record.status, record.wire.len()), (Some(StatusCode::PAYLOAD_TOO_LARGE), 0));
}

#[tokio::test]
async fn a_connection_is_closed_without_an_answer() {
    let server = scripted([Step::close(), Step::close().before_body()]).await;
    assert_eq!(raw(server.address(), request()).await.unwrap(), b"");
    assert_eq!(raw(server.address(), head(1_000_000)).await.unwrap(), b"");
    let requests = server.requests();
    assert_eq!((requests[0].status, requests[0].envelope.is_some()), (None, true), "it was read before");
    assert_eq!((requests[1].status, requests[1].wire.len()), (None, 0));
    assert_eq!((server.summary().unanswered, server.summary().accepted), (2, 0));
    server.script([Step::close()]);
    assert!(client().request(post(&server, ENVELOPE)).await.is_err());
}

#[tokio::test]
async fn a_connection_is_reset() {
    let server = scripted([Step::reset(), Step::reset().before_body()]).await;
    for request in [request(), head(1_000_000)] {
        let error = raw(server.address(), request).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    assert_eq!(server.summary().unanswered, 2);
}

/// Decision 17: a reset while a large body is being written.
#[tokio::test]
async fn a_reset_meets_a_client_that_is_still_writing() {
    let server = scripted([Step::reset().before_body()]).await;
    let body = vec![b'x'; 64 << 20];
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(head(body.len()).as_bytes()).await.unwrap();
    let error = stream.write_all(&body).await.unwrap_err();
    assert!(matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{error}");
}

#[tokio::test]
async fn a_reply_breaks_off_in_its_body() {
    let reply = || Step::reply(StatusCode::OK).body("0123456789").cut_in_body();
    let server = scripted([reply(), reply(), Step::reply(StatusCode::OK).cut_in_body()]).await;
    let answer = raw(server.address(), request()).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(answer.ends_with(b"content-length: 10\r\n\r\n01234"), "{}", answer.escape_ascii());
    let response = client().request(post(&server, ENVELOPE)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
    // Also without a body there is something missing.
    let response = client().request(post(&server, ENVELOPE)).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(server.summary().accepted, 3, "the client has a whole status line");
}

#[tokio::test]
async fn a_reply_breaks_off_in_its_head_or_is_garbage() {
    let server = scripted([
        Step::reply(StatusCode::OK).cut_in_head(),
        Step::garbage("SSH-2.0-not a web server\r\n"),
        Step::reply(StatusCode::OK).cut_in_head(),
        Step::garbage("SSH-2.0-not a web server\r\n"),
    ])
    .await;
    assert_eq!(raw(server.address(), request()).await.unwrap(), b"HTTP/1.1 2");
    assert_eq!(raw(server.address(), request()).await.unwrap(), b"SSH-2.0-not a web server\r\n");
    assert!(client().request(post(&server, ENVELOPE)).await.is_err());
    assert!(client().request(post(&server, ENVELOPE)).await.is_err());
    assert_eq!((server.summary().unanswered, server.summary().accepted), (4, 0));
}

/// A stalled request does not hold up others, and ends with the server.
#[tokio::test]
async fn a_request_is_never_answered() {
    let server = scripted([Step::stall(), Step::stall().before_body()]).await;
    let stalled = tokio::spawn(client().request(post(&server, ENVELOPE)));
    server.wait_until(|summary| summary.unanswered == 1, PATIENCE).await.unwrap();
    let waiting = tokio::spawn(raw(server.address(), head(10)));
    server.wait_until(|summary| summary.unanswered == 2, PATIENCE).await.unwrap();
    assert_eq!(send(&server, ENVELOPE).await.0, StatusCode::OK);
    assert!(!stalled.is_finished() && !waiting.is_finished());
    let summary = server.shutdown().await;
    assert!(stalled.await.unwrap().is_err());
    assert_eq!(waiting.await.unwrap().unwrap(), b"");
    assert_eq!((summary.requests, summary.unanswered), (3, 2));
}

#[tokio::test]
async fn an_answer_is_delayed() {
    let short = Duration::from_millis(5);
    let server = IngestServer::builder().with_latency(short).start().await.unwrap();
    server.script([Step::judge().after(short), Step::judge().after(HOUR)]);
    assert_eq!(send(&server, ENVELOPE).await.0, StatusCode::OK);

    // A client that goes away before the answer is booked as not answered, whatever the answer would have been.
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request().as_bytes()).await.unwrap();
    server.wait_until(|summary| summary.begun == 2, PATIENCE).await.unwrap();
    assert_eq!(server.summary().requests, 1);
    drop(stream);
    let summary = server.wait_until(|summary| summary.requests == 2, PATIENCE).await.unwrap();
    assert_eq!((summary.unanswered, summary.accepted), (1, 1));
}

/// A connection is used again after a scripted status, so faults of one request are not felt by the next.
#[tokio::test]
async fn a_connection_is_kept_between_requests() {
    let server = scripted([Step::reply(StatusCode::SERVICE_UNAVAILABLE)]).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    for expected in ["HTTP/1.1 503 ", "HTTP/1.1 200 "] {
        stream.write_all(request().as_bytes()).await.unwrap();
        let mut answer = [0; 13];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, expected.as_bytes());
        let mut rest = Vec::new();
        while !rest.ends_with(b"content-length: 0\r\n") && !rest.ends_with(b"}") {
            rest.push(stream.read_u8().await.unwrap());
        }
        if expected.contains("503") {
            while !rest.ends_with(b"\r\n\r\n") {
                rest.push(stream.read_u8().await.unwrap());
            }
        }
    }
    assert_eq!(server.summary().connections, 1);
    assert_eq!(server.requests()[1].head.connection, 0);
}
