use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use envoi_core::Phase;
use envoi_http::client::{HttpClient, Resend};
use envoi_testkit::ingest::IngestServer;
use http::Method;
use tokio::io::AsyncWriteExt;

use crate::pipe::{self, NOWHERE};
use crate::support::{Act, OK, exchange, listen, post, read_until, request, scripted};

fn client(resend: Resend) -> HttpClient {
    HttpClient::builder().resend(resend).build()
}

/// TR-9: a connection of the pool that turns out to be closed costs nothing where a request may be sent again, and is
/// an error where it may not.
#[tokio::test]
async fn a_stale_connection_is_replaced_where_that_is_allowed() {
    for (resend, method, again) in [
        (Resend::Stale, Method::POST, true),
        (Resend::Stale, Method::PUT, true),
        (Resend::Idempotent, Method::PUT, true),
        (Resend::Idempotent, Method::POST, false),
        (Resend::Unprocessed, Method::PUT, false),
    ] {
        let (address, count) = scripted(vec![Act::Answer, Act::Close]).await;
        let client = client(resend);
        exchange(&client, post(address)).await.unwrap();
        let result = exchange(&client, request(address, method.clone(), "payload")).await;
        assert_eq!(result.is_ok(), again, "{resend:?} {method}: {result:?}");
        assert_eq!(count.load(Ordering::SeqCst), if again { 3 } else { 2 }, "{resend:?} {method}");
        if let Err(fault) = result {
            assert!(fault.phase().is_some_and(Phase::may_have_been_processed), "{fault:?}");
        }
    }
}

/// TR-9: on a connection that was made for the request nothing is stale: the server has hung up on it, and once is enough.
#[tokio::test]
async fn a_fresh_connection_that_is_cut_is_an_error() {
    let (address, count) = scripted(vec![Act::Close]).await;
    assert!(exchange(&client(Resend::Stale), post(address)).await.is_err());
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

/// TR-9: and it is sent again once, not for ever.
#[tokio::test]
async fn a_request_is_sent_again_once() {
    let (address, count) = scripted(vec![Act::Answer, Act::Close, Act::Close, Act::Close]).await;
    let client = client(Resend::Stale);
    exchange(&client, post(address)).await.unwrap();
    assert!(exchange(&client, post(address)).await.is_err());
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

/// TR-9: a server that takes one request per connection without saying so costs no request, and none twice.
#[tokio::test]
async fn a_server_that_closes_after_each_request_costs_nothing() {
    let (address, count) = scripted(vec![Act::AnswerAndClose; 50]).await;
    let client = client(Resend::Stale);
    for round in 0..50 {
        let result = exchange(&client, post(address)).await;
        assert!(result.is_ok(), "round {round}: {result:?}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 50);
}

/// TR-9: idle connections that a server has closed, here all of them at once, cost no request.
#[tokio::test]
async fn idle_connections_that_were_closed_cost_nothing() {
    let server = IngestServer::start().await.unwrap();
    let client = client(Resend::Unprocessed);
    for _ in 0..20 {
        let three = [(); 3].map(|()| exchange(&client, post(server.address())));
        for result in futures_util::future::join_all(three).await {
            assert!(result.is_ok(), "{result:?}");
        }
        server.go_down().await;
        server.come_up().await.unwrap();
    }
    assert_eq!(server.shutdown().await.requests, 60);
}

/// TR-9: a server that closes connections that were idle for five seconds costs no request, whenever it is asked again.
#[tokio::test(start_paused = true)]
async fn a_server_that_closes_idle_connections_costs_nothing() {
    let (connector, mut made) = pipe::connector();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Some(mut stream) = made.recv().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let idle = Duration::from_secs(5);
                while tokio::time::timeout(idle, read_until(&mut stream, b"payload")).await.is_ok()
                    && stream.write_all(OK).await.is_ok()
                {}
            });
        }
    });
    let client = HttpClient::builder().connector(connector).resend(Resend::Unprocessed).build();
    for (pause, expected) in [(0, 1), (4_900, 1), (5_050, 2), (5_100, 3), (60_000, 4), (1_000, 4)] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let result = exchange(&client, post(NOWHERE)).await;
        assert!(result.is_ok(), "after {pause} ms: {result:?}");
        assert_eq!(connections.load(Ordering::SeqCst), expected, "after {pause} ms");
    }
}

/// TR-9: a server that hangs up on whoever connects, like a load balancer with nobody behind it, is asked a few times and
/// no more; what was not sent is told as such.
#[tokio::test]
async fn a_server_that_hangs_up_at_once_is_not_asked_for_long() {
    let (listener, address) = listen().await;
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let fault = exchange(&client(Resend::Stale), post(address)).await.unwrap_err();
    assert!(fault.kind().is_network(), "{fault:?}");
    assert!(count.load(Ordering::SeqCst) <= 6, "{count:?}: {fault:?}");
}
