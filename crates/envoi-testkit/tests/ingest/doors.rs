use std::io;

use envoi_testkit::ingest::IngestServer;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{ENVELOPE, PATIENCE, client, head, post, raw, send, whole};

/// While it is paused, connections wait; open ones go on.
#[tokio::test]
async fn accepting_is_paused_and_resumed() {
    let server = IngestServer::start().await.unwrap();
    let open = client();
    let round_trip = async || whole(open.request(post(&server, ENVELOPE)).await.unwrap()).await.0;
    assert_eq!(round_trip().await, StatusCode::OK);
    server.pause_accepting().await;
    let request =
        format!("{}{ENVELOPE}", head(ENVELOPE.len())).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let waiting = tokio::spawn(raw(server.address(), request));
    for _ in 0..20 {
        assert_eq!(round_trip().await, StatusCode::OK);
    }
    assert_eq!(server.summary().connections, 1);
    server.resume_accepting().await;
    assert!(waiting.await.unwrap().unwrap().starts_with(b"HTTP/1.1 200 "));
    assert_eq!(server.summary().connections, 2);
}

/// A server that is down refuses connections and has closed those that were open.
#[tokio::test]
async fn a_server_goes_down_and_comes_up_at_the_same_address() {
    let server = IngestServer::start().await.unwrap();
    assert_eq!(send(&server, ENVELOPE).await.0, StatusCode::OK);
    let mut open = TcpStream::connect(server.address()).await.unwrap();
    open.write_all(b"POST /api/").await.unwrap();
    server.wait_until(|summary| summary.connections == 2, PATIENCE).await.unwrap();
    for _ in 0..2 {
        server.go_down().await; // the second time changes nothing
        let error = TcpStream::connect(server.address()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
    let mut rest = Vec::new();
    match open.read_to_end(&mut rest).await {
        Ok(_) => assert!(rest.is_empty()),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "unread data makes it a reset");
        }
    }
    server.come_up().await.unwrap();
    server.come_up().await.unwrap();
    assert_eq!(send(&server, ENVELOPE).await.0, StatusCode::OK);
    assert_eq!(server.summary().accepted, 2, "the books go on");
}

/// Shutdown lets a request that is underway end, and ends idle connections.
#[tokio::test]
async fn shutdown_is_graceful() {
    let server = IngestServer::start().await.unwrap();
    let address = server.address();
    let kept = client();
    whole(kept.request(post(&server, ENVELOPE)).await.unwrap()).await;
    let mut underway = TcpStream::connect(address).await.unwrap();
    underway.write_all(head(ENVELOPE.len()).as_bytes()).await.unwrap();
    server.wait_until(|summary| summary.begun == 2, PATIENCE).await.unwrap();
    let mut events = server.events();
    let (summary, answer) = tokio::join!(server.shutdown(), async {
        underway.write_all(ENVELOPE.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        underway.read_to_end(&mut answer).await.unwrap();
        answer
    });
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
    assert_eq!(summary.accepted, 2);
    assert_eq!(events.next().await.unwrap().status, Some(StatusCode::OK));
    assert!(events.next().await.is_none(), "the stream ends with the server");
    assert!(TcpStream::connect(address).await.is_err());
}

/// Dropping the handle ends everything.
#[tokio::test]
async fn a_dropped_server_ends() {
    let server = IngestServer::start().await.unwrap();
    let address = server.address();
    let mut open = TcpStream::connect(address).await.unwrap();
    server.wait_until(|summary| summary.connections == 1, PATIENCE).await.unwrap();
    let mut events = server.events();
    drop(server);
    assert_eq!(open.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(events.next().await.is_none());
}

/// Bytes that are not HTTP cost their connection only.
#[tokio::test]
async fn garbage_from_a_client_harms_nobody() {
    let server = IngestServer::start().await.unwrap();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"hello\r\n\r\n",
        &[0xff; 100_000],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxx",
    ] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        // The server may have enough before all is written; what matters is that it goes on.
        let _ = stream.write_all(garbage).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert_eq!(send(&server, ENVELOPE).await.0, StatusCode::OK);
    assert_eq!(server.summary().requests, 1);
}
