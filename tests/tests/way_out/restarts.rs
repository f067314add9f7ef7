use std::collections::{BTreeMap, BTreeSet};

use envoi_core::{Advice, Phase};
use envoi_http::proxy::ProxyConfig;
use envoi_testkit::ingest::IngestServer;
use tokio::task::JoinSet;

use super::nginx::{Door, Nginx};
use super::proxies::{Proxy, Way};
use super::software::{PATIENCE, installed, ticks};
use super::stack::{authority_of, deliver, envelope, stack, taken, tls_for};

/// TR-9: a server that ends every connection after three requests (by `connection: close`, by GOAWAY) costs no envelope
/// and makes none arrive twice, one at a time and many at once, straight and through a tunnel.
#[tokio::test]
async fn connections_that_end_after_three_requests_lose_nothing() {
    const MANY: usize = 60;
    const AT_ONCE: usize = 30;
    if !installed(&["nginx", "squid"]) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let tls = tls_for(&nginx.authority);
    let squid = Proxy::start(Way::Squid, &nginx.authority).await.unwrap();
    for config in [ProxyConfig::direct(), ProxyConfig::new(&squid.url()).unwrap()] {
        for door in [Door::Goodbye1, Door::Goodbye2] {
            let case = format!("goodbye-{door:?}-{}", config.is_direct());
            let before = ingest.requests().len();
            let stack = stack(&nginx.url(door, "localhost", &case), &config, &tls);
            for number in 0..MANY / 2 {
                let result = deliver(&stack, envelope(number)).await;
                assert!(result.is_ok(), "{case}: {result:?}");
            }
            let mut at_once = JoinSet::new();
            for sender in 0..AT_ONCE {
                let (stack, case) = (stack.clone(), case.clone());
                at_once.spawn(async move {
                    for number in (MANY / 2 + sender..MANY).step_by(AT_ONCE) {
                        let result = deliver(&stack, envelope(number)).await;
                        assert!(result.is_ok(), "{case}: {result:?}");
                    }
                });
            }
            while let Some(result) = at_once.join_next().await {
                result.unwrap();
            }
            let arrived = taken(&ingest, before);
            let distinct: BTreeSet<_> = arrived.iter().collect();
            assert_eq!((arrived.len(), distinct.len()), (MANY, MANY), "{case}");
            let entries = nginx.entries(&case, MANY).await;
            let mut carried = BTreeMap::<u64, usize>::new();
            for entry in &entries {
                assert_eq!(entry.protocol, door.protocol(), "{case}");
                *carried.entry(entry.connection).or_default() += 1;
            }
            assert!(carried.len() >= MANY / 3, "{case}: nginx says goodbye: {carried:?}");
        }
    }
}

/// TR-9: nginx reads its configuration again, ten times, while requests are under way. It closes connections that look
/// idle to it while a request is on its way to them; that is a network error which says that the request may have been
/// processed, and everything arrives with the next attempt.
#[tokio::test]
async fn reloads_under_load_lose_nothing() {
    const RELOADS: usize = 10;
    const AT_ONCE: usize = 4;
    if !installed(&["nginx"]) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let tls = tls_for(&nginx.authority);
    for (round, door) in [Door::Http, Door::Http1, Door::Http2].into_iter().enumerate() {
        let case = format!("reload-{door:?}");
        let before = ingest.requests().len();
        let stack = stack(&nginx.url(door, "localhost", &case), &ProxyConfig::direct(), &tls);
        let (enough, over) = tokio::sync::watch::channel(false);
        let mut senders = JoinSet::new();
        for sender in 0..AT_ONCE {
            let (stack, over) = (stack.clone(), over.clone());
            senders.spawn(async move {
                let (mut sent, mut again) = (0, 0);
                while !*over.borrow() {
                    match deliver(&stack, envelope(sent * AT_ONCE + sender)).await {
                        Ok(_) => sent += 1,
                        Err(failure) => {
                            let fault = failure.fault();
                            assert!(fault.kind().is_network(), "{fault:?}");
                            assert_eq!(fault.advice(), Advice::Retry, "{fault:?}");
                            assert!(fault.phase().is_some_and(Phase::may_have_been_processed), "{fault:?}");
                            again += 1;
                        }
                    }
                }
                (sent, again)
            });
        }
        let mut ticks = ticks();
        for reload in 1..=RELOADS {
            let seen = ingest.requests().len();
            nginx.reload();
            // Until it has done so, and some more have been served.
            let done = async {
                while nginx.reloads() < round * RELOADS + reload
                    || ingest.requests().len() < seen + 2 * AT_ONCE
                {
                    ticks.tick().await;
                }
            };
            assert!(
                tokio::time::timeout(PATIENCE, done).await.is_ok(),
                "{case}: stuck after {reload} reloads"
            );
        }
        enough.send(true).unwrap();
        let (mut sent, mut again) = (0, 0);
        while let Some(counts) = senders.join_next().await {
            let counts = counts.unwrap();
            sent += counts.0;
            again += counts.1;
        }
        let arrived = taken(&ingest, before);
        let distinct: BTreeSet<_> = arrived.iter().collect();
        // A sender may have given up its last one, which had arrived all the same.
        assert!(
            (sent..=sent + AT_ONCE).contains(&distinct.len()),
            "{case}: {sent} sent, {} arrived",
            distinct.len()
        );
        assert!(
            arrived.len() <= sent + again,
            "{case}: {sent} sent, {again} again, {} arrived",
            arrived.len()
        );
        assert!(again <= RELOADS * AT_ONCE, "{case}: {again} errors");
    }
}
