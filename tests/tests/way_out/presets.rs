use std::time::Duration;

use envoi::way::{CaBundle, Identity, ProxyConfig};
use envoi::{DataCategory, Envelope, Item, Transport};
use envoi_testkit::ingest::IngestServer;
use envoi_testkit::tls::{Authority, Validity};
use tokio::time::timeout;

use super::nginx::{Door, Nginx};
use super::proxies::{Proxy, Way};
use super::software::{PATIENCE, free_port, installed, ticks};
use super::stack::authority_of;

/// TR-3, TR-4, TR-5: a transport as an application makes it, with a proxy, its password and a company's CA.
#[tokio::test]
async fn a_transport_of_the_facade_goes_through_a_proxy() {
    const EVENTS: usize = 10;
    if !installed(&["nginx", "squid", "microsocks"]) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    for way in [Way::SquidWithPassword, Way::SquidOverTls, Way::Socks5hWithPassword] {
        let proxy = Proxy::start(way, &nginx.authority).await.unwrap();
        for door in [Door::Http, Door::Http2] {
            let case = format!("facade-{way:?}-{door:?}");
            let url = nginx.url(door, "localhost", &case);
            let dsn =
                url.replace("://", "://0123456789abcdef0123456789abcdef@").replace("/api/1/envelope/", "/1");
            let transport = envoi::sentry(&dsn)
                .unwrap()
                .ca_certificate(company(&nginx.authority))
                .proxy(ProxyConfig::new(&proxy.url()).unwrap().no_proxy(""))
                .build()
                .unwrap();
            for _ in 0..EVENTS {
                transport.send(Envelope::new().with_item(Item::event("{}")).unwrap()).unwrap();
            }
            let closed = transport.close(Duration::from_secs(30)).await;
            let entries = nginx.entries(&case, EVENTS).await;
            assert_eq!(entries.len(), EVENTS, "{case}: {closed:?}\n{}", proxy.output());
            for entry in entries {
                assert_eq!((entry.peer.as_str(), entry.status), (way.outside(), 200), "{case}");
                assert_eq!(entry.protocol, door.protocol(), "{case}");
            }
        }
    }
    assert!(ingest.requests().iter().all(|request| request.is_accepted()));
}

/// TR-5, OC-4: while the proxy is away, or refuses, nothing is lost and nothing counts as refused by the server; when it
/// is mended everything is delivered.
#[tokio::test]
async fn what_a_proxy_does_not_take_waits_until_it_is_mended() {
    const EVENTS: usize = 5;
    if !installed(&["nginx", "squid", "tinyproxy"]) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    for door in [Door::Http, Door::Http2] {
        let case = format!("mended-{door:?}");
        let port = free_port();
        let config = ProxyConfig::new(&format!("http://user:secret@127.0.0.1:{port}")).unwrap().no_proxy("");
        let transport = envoi::sentry(&dsn(&nginx.url(door, "localhost", &case)))
            .unwrap()
            .ca_certificate(company(&nginx.authority))
            .proxy(config)
            // There will be many.
            .max_attempts(100_000)
            .build()
            .unwrap();
        for _ in 0..EVENTS {
            transport.send(Envelope::new().with_item(Item::event("{}")).unwrap()).unwrap();
        }
        let held = || {
            let ledger = transport.ledger();
            let account = ledger.get(&DataCategory::Error).unwrap();
            assert_eq!((account.lost_total(), account.refused_total()), (0, 0), "{case}: {account:?}");
            account.held()
        };
        // Nobody is there.
        until(&transport, || transport.stats().unwrap().outbox.last_failure.is_some()).await;
        assert_eq!(held(), Some(EVENTS as u64), "{case}");
        // Somebody is there who knows other passwords.
        let stranger = Proxy::start_at(port, Way::SquidWithPassword, &nginx.authority).await.unwrap();
        until(&transport, || stranger.turned_away() >= EVENTS).await;
        assert_eq!(held(), Some(EVENTS as u64), "{case}");
        drop(stranger);
        // The right one.
        let way = Way::TinyproxyWithPassword;
        let _proxy = Proxy::start_at(port, way, &nginx.authority).await.unwrap();
        until(&transport, || nginx.entries_now(&case).len() >= EVENTS).await;
        assert!(transport.close(Duration::from_secs(30)).await.is_complete, "{case}");
        let account = transport.ledger().get(&DataCategory::Error).unwrap().clone();
        assert_eq!(account.delivered, EVENTS as u64, "{case}: {account:?}");
        assert!(nginx.entries_now(&case).iter().all(|entry| entry.peer == way.outside()), "{case}");
    }
}

/// TR-5, OC-4: nginx does not believe our client certificate and answers 400: nothing counts as refused, and when the
/// operator has mended it everything is delivered.
#[tokio::test]
async fn what_a_door_does_not_let_in_waits_until_it_is_mended() {
    const EVENTS: usize = 5;
    if !installed(&["nginx"]) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let clients = Authority::new("clients");
    let certificate = clients.issue_client("envoi", Validity::Current);
    let transport = envoi::sentry(&dsn(&nginx.url(Door::Mutual, "localhost", "door")))
        .unwrap()
        .ca_certificate(company(&nginx.authority))
        .identity(Identity::from_pem(certificate.pem(), certificate.key_pem()).unwrap())
        .no_env_proxy()
        // There will be many.
        .max_attempts(100_000)
        .build()
        .unwrap();
    for _ in 0..EVENTS {
        transport.send(Envelope::new().with_item(Item::event("{}")).unwrap()).unwrap();
    }
    let failed = || transport.stats().unwrap().outbox.last_failure.is_some();
    until(&transport, || failed() && nginx.entries_now("door").len() >= EVENTS).await;
    assert!(nginx.entries_now("door").iter().all(|entry| entry.status == 400));
    let told = transport.stats().unwrap().outbox.last_failure.unwrap().message;
    assert!(told.contains("the server refused the client certificate"), "{told}");
    let ledger = transport.ledger();
    let account = ledger.get(&DataCategory::Error).unwrap();
    assert_eq!((account.lost_total(), account.refused_total()), (0, 0), "{account:?}");
    assert_eq!(account.held(), Some(EVENTS as u64), "{account:?}");

    nginx.let_in(&clients);
    until(&transport, || ingest.requests().len() >= EVENTS).await;
    assert!(transport.close(Duration::from_secs(30)).await.is_complete);
    let account = transport.ledger().get(&DataCategory::Error).unwrap().clone();
    assert_eq!(account.delivered, EVENTS as u64, "{account:?}");
}

/// Says again and again that the network is back, until something has come of it.
async fn until(transport: &Transport, done: impl Fn() -> bool) {
    let mut ticks = ticks();
    let waiting = async {
        while !done() {
            transport.online();
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it does not come about");
}

fn dsn(url: &str) -> String {
    url.replace("://", "://0123456789abcdef0123456789abcdef@").replace("/api/1/envelope/", "/1")
}

fn company(authority: &Authority) -> CaBundle {
    CaBundle::from_pem(authority.pem()).unwrap()
}
