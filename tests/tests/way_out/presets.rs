use std::time::Duration;

use envoi::way::{CaBundle, ProxyConfig};
use envoi::{Envelope, Item};
use envoi_testkit::ingest::IngestServer;
use envoi_testkit::tls::Authority;

use super::nginx::{Door, Nginx};
use super::proxies::{Proxy, Way};
use super::software::installed;
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

fn company(authority: &Authority) -> CaBundle {
    CaBundle::from_pem(authority.pem()).unwrap()
}
