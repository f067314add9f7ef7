use std::collections::BTreeSet;

use envoi_http::proxy::ProxyConfig;
use envoi_testkit::ingest::IngestServer;

use super::nginx::{Door, Nginx};
use super::proxies::{Proxy, Way};
use super::software::installed;
use super::stack::{authority_of, corpus, deliver, stack, taken, tls_for};

const DOORS: [Door; 3] = [Door::Http, Door::Http1, Door::Http2];

/// TR-4, TR-5, TR-9: the corpus arrives on every way through every door, byte for byte; each request came through the
/// proxy that was asked for, says nginx's log, and the proxy's log says the same.
#[tokio::test]
async fn every_request_takes_the_way_that_it_was_given() {
    if !installed(&["nginx"]) || !installed(&Way::PROGRAMS) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let tls = tls_for(&nginx.authority);
    let envelopes = corpus();
    for way in Way::ALL {
        let proxy = Proxy::start(way, &nginx.authority).await;
        let config = match &proxy {
            Some(proxy) => ProxyConfig::new(&proxy.url()).unwrap(),
            None => ProxyConfig::direct(),
        };
        for door in DOORS {
            let case = format!("{way:?}-{door:?}");
            let before = (ingest.requests().len(), proxy.as_ref().map_or(0, Proxy::served));
            let stack = stack(&nginx.url(door, "localhost", &case), &config, &tls);
            for envelope in &envelopes {
                let result = deliver(&stack, envelope.clone()).await;
                assert!(
                    result.is_ok(),
                    "{case}: {result:?}\n{}",
                    proxy.as_ref().map_or_else(String::new, Proxy::output)
                );
            }
            drop(stack);
            assert!(taken(&ingest, before.0) == envelopes, "{case}: something else arrived");

            let entries = nginx.entries(&case, envelopes.len()).await;
            assert_eq!(entries.len(), envelopes.len(), "{case}");
            for entry in &entries {
                assert_eq!(
                    (entry.peer.as_str(), entry.protocol.as_str()),
                    (way.outside(), door.protocol()),
                    "{case}"
                );
                assert_eq!(entry.status, 200, "{case}");
                // Whoever carries requests may sign them; whoever carries bytes cannot.
                assert_eq!(entry.via != "-", way.forwards(door), "{case}: {entry:?}");
            }
            if let Some(proxy) = &proxy {
                let connections: BTreeSet<_> = entries.iter().map(|entry| entry.connection).collect();
                let expected = if way.forwards(door) { envelopes.len() } else { connections.len() };
                let served = proxy.served_at_last(before.1 + expected).await - before.1;
                assert_eq!(served, expected, "{case}:\n{}", proxy.output());
                assert!(way.forwards(door) || connections.len() < 4, "{case}: tunnels are used again");
            }
        }
    }
}

/// TR-3, TR-4: where `no_proxy` matches, no request passes the proxy; where it does not, all do.
#[tokio::test]
async fn no_request_takes_a_way_that_it_was_spared() {
    if !installed(&["nginx"]) || !installed(&Way::PROGRAMS) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let tls = tls_for(&nginx.authority);
    for way in [Way::TinyproxyWithPassword, Way::Squid, Way::Socks5] {
        let proxy = Proxy::start(way, &nginx.authority).await.unwrap();
        let lists = [
            ("localhost", Way::Direct, way),
            ("127.0.0.0/8", way, Way::Direct),
            ("*", Way::Direct, Way::Direct),
            ("localhost:1, .test", way, way),
        ];
        for (number, (list, by_name, by_address)) in lists.into_iter().enumerate() {
            for door in DOORS {
                let config = ProxyConfig::new(&proxy.url()).unwrap().no_proxy(list);
                let before = proxy.served();
                let mut expected = 0;
                for (host, chosen) in [("localhost", by_name), ("127.0.0.1", by_address)] {
                    let case = format!("spared-{way:?}-{door:?}-{number}-{host}");
                    let stack = stack(&nginx.url(door, host, &case), &config, &tls);
                    for number in 0..3 {
                        assert!(deliver(&stack, super::stack::envelope(number)).await.is_ok(), "{case}");
                    }
                    let entries = nginx.entries(&case, 3).await;
                    assert_eq!(entries.len(), 3, "{case}");
                    assert!(
                        entries.iter().all(|entry| entry.peer == chosen.outside()),
                        "{case}: {entries:?}"
                    );
                    if chosen == way {
                        let connections: BTreeSet<_> = entries.iter().map(|entry| entry.connection).collect();
                        expected += if way.forwards(door) { 3 } else { connections.len() };
                    }
                }
                let served = proxy.served_at_last(before + expected).await - before;
                assert_eq!(served, expected, "{list} {door:?}:\n{}", proxy.output());
            }
        }
    }
}
