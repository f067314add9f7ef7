use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use envoi_core::{Kind, Phase};
use envoi_http::client::{HttpClient, Resend, Timeouts};
use envoi_testkit::ingest::IngestServer;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::pipe::{self, NOWHERE};
use crate::support::{exchange, listen, post};

fn client(resend: Resend) -> HttpClient {
    HttpClient::builder().http2_prior_knowledge().resend(resend).build()
}

/// Answers streams, but refuses as many before as are left.
async fn refusing(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    refusals: &AtomicUsize,
    streams: &AtomicUsize,
) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        streams.fetch_add(1, Ordering::SeqCst);
        let refuse = refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if refuse.is_ok() {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
        } else {
            respond.send_response(Response::new(()), true).unwrap();
        }
    }
}

async fn refusing_server(refusals: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let (refusals, streams) = (Arc::new(AtomicUsize::new(refusals)), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&streams);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (refusals, streams) = (Arc::clone(&refusals), Arc::clone(&streams));
            tokio::spawn(async move { refusing(stream, &refusals, &streams).await });
        }
    });
    (address, count)
}

/// TR-9: a stream that the server refuses was not processed (RFC 9113 §8.7) and is sent again, whatever the method.
#[tokio::test]
async fn refused_streams_are_sent_again() {
    let (address, streams) = refusing_server(3).await;
    exchange(&client(Resend::Unprocessed), post(address)).await.unwrap();
    assert_eq!(streams.load(Ordering::SeqCst), 4);
}

/// A server in memory that refuses as many streams, a client of it, and how many streams there were.
fn refusing_pipe(refusals: usize, timeouts: Timeouts) -> (HttpClient<pipe::PipeConnector>, Arc<AtomicUsize>) {
    let (connector, mut connections) = pipe::connector();
    let (refusals, streams) = (Arc::new(AtomicUsize::new(refusals)), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&streams);
    tokio::spawn(async move {
        while let Some(stream) = connections.recv().await {
            let (refusals, streams) = (Arc::clone(&refusals), Arc::clone(&streams));
            tokio::spawn(async move { refusing(stream, &refusals, &streams).await });
        }
    });
    let client =
        HttpClient::builder().connector(connector).http2_prior_knowledge().timeouts(timeouts).build();
    (client, count)
}

/// TR-9: a server that refuses often is given time, one that refuses for ever is not asked for ever, and no pause is
/// begun that the attempt does not outlast. What is left then is free to be sent again.
#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_for_long_is_asked_with_pauses() {
    let (client, streams) = refusing_pipe(15, Timeouts::new());
    let begun = Instant::now();
    exchange(&client, post(NOWHERE)).await.unwrap();
    assert_eq!(streams.load(Ordering::SeqCst), 16);
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());

    for (attempt, expected) in
        [(Some(Duration::from_secs(30)), 21), (None, 21), (Some(Duration::from_secs(1)), 10)]
    {
        let (client, streams) = refusing_pipe(usize::MAX, Timeouts::new().attempt(attempt));
        let begun = Instant::now();
        let fault = exchange(&client, post(NOWHERE)).await.unwrap_err();
        assert_eq!(streams.load(Ordering::SeqCst), expected, "{attempt:?}");
        assert!(begun.elapsed() < attempt.unwrap_or(Duration::from_secs(13)), "{:?}", begun.elapsed());
        assert!(fault.kind().is_network(), "{fault:?}");
        assert!(fault.phase().is_some_and(Phase::before_request), "not processed: {fault:?}");
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// GOAWAY with no stream processed.
fn goaway(reason: h2::Reason) -> Vec<u8> {
    let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    frame.extend(u32::from(reason).to_be_bytes());
    frame
}

/// Says GOAWAY to the first request, keeps that connection open, and answers on the next.
async fn leaving_server(reason: h2::Reason) -> (SocketAddr, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let streams = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&streams);
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        first.write_all(SETTINGS).await.unwrap();
        let mut preface = [0; PREFACE.len()];
        first.read_exact(&mut preface).await.unwrap();
        assert_eq!(preface, PREFACE);
        loop {
            let mut head = [0; 9];
            first.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            first.read_exact(&mut payload).await.unwrap();
            // HEADERS.
            if head[3] == 1 {
                break;
            }
        }
        first.write_all(&goaway(reason)).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            refusing(stream, &AtomicUsize::new(0), &streams).await;
        }
    });
    (address, count)
}

/// TR-9: GOAWAY with a last stream below ours says that the request was not processed (RFC 9113 §6.8): it is sent again
/// on another connection. A GOAWAY for an error says nothing of the kind.
#[tokio::test]
async fn a_goaway_that_did_not_see_the_request_costs_nothing() {
    let (address, streams) = leaving_server(h2::Reason::NO_ERROR).await;
    exchange(&client(Resend::Unprocessed), post(address)).await.unwrap();
    assert_eq!(streams.load(Ordering::SeqCst), 1);

    let (address, streams) = leaving_server(h2::Reason::ENHANCE_YOUR_CALM).await;
    assert!(exchange(&client(Resend::Stale), post(address)).await.is_err());
    assert_eq!(streams.load(Ordering::SeqCst), 0);
}

/// TR-9: a server that ends every connection after a few requests, as load balancers do, costs no request and makes no
/// duplicate, also when many are under way.
#[tokio::test]
async fn connections_that_end_after_some_requests_cost_nothing() {
    for limit in [1, 3, 10] {
        let server = IngestServer::builder().requests_per_connection(limit).start().await.unwrap();
        let client = client(Resend::Unprocessed);
        for _ in 0..10 {
            let eight = [(); 8].map(|()| exchange(&client, post(server.address())));
            for result in futures_util::future::join_all(eight).await {
                assert!(result.is_ok(), "{limit}: {result:?}");
            }
        }
        let summary = server.shutdown().await;
        assert_eq!(summary.requests, 80, "{limit}");
        assert!(summary.connections > 1, "{limit}: {summary:?}");
    }
}

/// Takes what a client sends over HTTP/2, and says nothing after its settings, not even to a ping.
async fn silent(mut stream: tokio::io::DuplexStream) {
    stream.write_all(SETTINGS).await.unwrap();
    let mut sink = vec![0; 16 * 1024];
    while stream.read(&mut sink).await.is_ok_and(|read| read > 0) {}
}

/// TR-9: a connection on which nobody answers pings is given up, long before the system would notice; without pings the
/// limit of the attempt is what is left.
#[tokio::test(start_paused = true)]
async fn a_dead_http2_connection_is_noticed_by_pings() {
    let (after, patience, attempt) =
        (Duration::from_secs(12), Duration::from_secs(3), Duration::from_secs(120));
    for (ping, expected) in [(Some((after, patience)), after + patience), (None, attempt)] {
        let (connector, mut connections) = pipe::connector();
        tokio::spawn(async move {
            while let Some(stream) = connections.recv().await {
                tokio::spawn(silent(stream));
            }
        });
        let client = HttpClient::builder()
            .connector(connector)
            .http2_prior_knowledge()
            .http2_ping(ping)
            .timeouts(Timeouts::new().attempt(Some(attempt)))
            .build();
        let begun = Instant::now();
        let fault = exchange(&client, post(NOWHERE)).await.unwrap_err();
        assert_eq!((fault.kind(), fault.phase()), (Kind::Timeout, Some(Phase::Reply)), "{ping:?}: {fault:?}");
        let took = begun.elapsed();
        assert!((expected..expected + Duration::from_secs(1)).contains(&took), "{ping:?}: {took:?}");
    }
}

/// TR-9: no more streams at once than the server allows; the others wait.
#[tokio::test]
async fn the_stream_limit_of_a_server_is_respected() {
    let (listener, address) = listen().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (Arc::clone(&now), Arc::clone(&most));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let counters = counters.clone();
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let (now, most) = counters.clone();
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let _ = request.into_body().collect().await;
                    for _ in 0..50 {
                        tokio::task::yield_now().await;
                    }
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
                }
            });
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_concurrent_streams(2);
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    let client = client(Resend::Unprocessed);
    exchange(&client, post(address)).await.unwrap();
    let twenty = [(); 20].map(|()| exchange(&client, post(address)));
    for result in futures_util::future::join_all(twenty).await {
        assert!(result.is_ok(), "{result:?}");
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}
