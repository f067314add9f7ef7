use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use envoi_http::client::{HttpClient, TcpConnector};
use envoi_testkit::ingest::IngestServer;
use tokio::io::AsyncWriteExt;

use crate::pipe::{self, NOWHERE};
use crate::support::{OK, exchange, post, read_until};

/// TR-9: connections come from the address that was asked for.
#[tokio::test]
async fn the_local_address_can_be_chosen() {
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
    let server = IngestServer::start().await.unwrap();
    let connector = TcpConnector::new().local_address(Some(address)).nodelay(false).keepalive(None);
    let client = HttpClient::builder().connector(connector).build();
    exchange(&client, post(server.address())).await.unwrap();
    assert_eq!(server.requests()[0].head.peer.ip(), address);
}

/// TR-9: an idle connection is given up after its time, and no more of them are kept than allowed.
#[tokio::test(start_paused = true)]
async fn idle_connections_are_kept_for_a_while() {
    let (connector, mut made) = pipe::connector();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Some(mut stream) = made.recv().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                loop {
                    read_until(&mut stream, b"payload").await;
                    // Long enough for others to begin.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    if stream.write_all(OK).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let client = HttpClient::builder()
        .connector(connector)
        .pool_idle_timeout(Some(Duration::from_secs(20)))
        .pool_max_idle_per_host(1)
        .build();
    for (wait, expected) in [(0, 1), (15, 1), (15, 1), (25, 2), (0, 2)] {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        exchange(&client, post(NOWHERE)).await.unwrap();
        assert_eq!(connections.load(Ordering::SeqCst), expected, "after {wait} s");
    }
    // Three at once take two more connections, and one of all is kept, so that two at once take one more.
    for (requests, expected) in [(3, 4), (2, 5), (1, 5)] {
        let all = (0..requests).map(|_| exchange(&client, post(NOWHERE)));
        for result in futures_util::future::join_all(all).await {
            result.unwrap();
        }
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{requests} at once");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
