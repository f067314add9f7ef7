//! The way of a preset to its server: TLS by default, proxies, time bounds.
#![cfg(all(feature = "tls", feature = "proxy"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoi::way::{
    CaBundle, Event, Identity, ProxyConfig, SharedObserver, Timeouts, TlsConfig, Way, WayError,
};
use envoi::{BuildError, DataCategory, Envelope, Item, SentryBuilder};
use envoi_testkit::ingest::{IngestServer, Step};
use envoi_testkit::tls::{Authority, ServerTls, Validity};
use http::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_secs(20);

fn event() -> Envelope {
    Envelope::new().with_item(Item::event("{}")).unwrap()
}

fn believing(dsn: &str, authority: &Authority) -> SentryBuilder {
    envoi::sentry(dsn).unwrap().ca_certificate(CaBundle::from_pem(authority.pem()).unwrap())
}

/// TR-9, TR-5: an https DSN works as it is, over HTTP/2, with a CA and a client certificate of one's own.
#[tokio::test]
async fn an_https_dsn_is_delivered_to() {
    let authority = Authority::new("CA");
    let client = authority.issue_client("agent", Validity::Current);
    let identity = Identity::from_pem(client.pem(), client.key_pem()).unwrap();
    let tls = || ServerTls::new(authority.for_localhost());
    for (tls, identity) in [(tls(), None), (tls().require_client(&authority), Some(identity))] {
        let server = IngestServer::builder().tls(tls).start().await.unwrap();
        let builder = believing(&server.dsn(), &authority);
        let builder = match identity {
            Some(identity) => builder.identity(identity),
            None => builder,
        };
        let transport = builder.build().unwrap();
        for round in 1..=3 {
            // One by one at first: what begins at once finds no connection yet, and makes one each.
            for _ in 0..round {
                transport.send(event()).unwrap();
            }
            assert!(transport.flush(PATIENCE).await.is_complete());
        }
        assert!(server.requests().iter().all(|record| record.head.version == Version::HTTP_2));
        let summary = server.summary();
        assert_eq!((summary.accepted, summary.connections, summary.problems), (6, 1, 0), "{summary:?}");
        transport.close(PATIENCE).await;
    }
}

/// What failed, in words, and a bell that rings each time.
#[derive(Default)]
struct Heard {
    words: Mutex<Vec<String>>,
    bell: Notify,
}

fn failures() -> (SharedObserver, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let ears = Arc::clone(&heard);
    let observer = move |event: &Event<'_>| {
        if let Event::Failed { phase, error, .. } = event {
            let chain = std::iter::successors(Some(*error), |error| error.source());
            let words: Vec<_> = chain.map(ToString::to_string).collect();
            ears.words.lock().unwrap().push(format!("{phase:?}: {}", words.join(": ")));
            ears.bell.notify_one();
        }
    };
    (Arc::new(observer), heard)
}

/// TR-5, OC-4: a server that is not believed gets nothing, and the envelope is kept for a better day.
#[tokio::test]
async fn what_a_bad_certificate_stops_is_kept() {
    let (authority, stranger) = (Authority::new("CA"), Authority::new("stranger"));
    let server = IngestServer::builder().tls(ServerTls::new(stranger.for_localhost())).start().await.unwrap();
    let (observer, heard) = failures();
    let transport = believing(&server.dsn(), &authority).observer(observer).build().unwrap();
    transport.send(event()).unwrap();
    tokio::time::timeout(PATIENCE, heard.bell.notified()).await.unwrap();
    let words = heard.words.lock().unwrap()[0].clone();
    assert!(words.starts_with("Tls: ") && words.contains("not trusted here"), "{words}");
    assert_eq!(transport.ledger().get(&DataCategory::Error).unwrap().held(), Some(1));
    // There is nowhere to keep it beyond the end, so that it is counted.
    let closed = transport.close(Duration::from_millis(50)).await;
    assert_eq!((closed.discharged, closed.lost), (0, 1), "{closed:?}");
    assert_eq!(server.shutdown().await.begun, 0);
}

/// TR-9: a server that does not answer is given up after the time for that, which is told with its phase.
#[tokio::test]
async fn each_time_bound_reaches_its_part() {
    let moment = Duration::from_millis(50);
    for (timeouts, words) in [
        (Timeouts::new().first_byte(Some(moment)), "the wait for the reply was not over within 50ms"),
        (Timeouts::new().attempt(Some(moment)), "the attempt was not over within 50ms"),
    ] {
        let server = IngestServer::start().await.unwrap();
        server.otherwise(Step::stall());
        let (observer, heard) = failures();
        let transport =
            envoi::sentry(&server.dsn()).unwrap().timeouts(timeouts).observer(observer).build().unwrap();
        transport.send(event()).unwrap();
        tokio::time::timeout(PATIENCE, heard.bell.notified()).await.unwrap();
        let chain = heard.words.lock().unwrap()[0].clone();
        assert!(chain.starts_with("Reply: ") && chain.contains(words), "{chain}: {words}");
        transport.close(Duration::ZERO).await;
    }
}

/// TR-9, BD-6: the limit of an attempt is told with its phase and its length in both presets, in that of
/// Sentry also where layers above the client have taken their time before.
#[tokio::test]
async fn the_limit_of_an_attempt_says_how_far_it_had_come() {
    let server = IngestServer::start().await.unwrap();
    server.otherwise(Step::stall());
    let limit = Duration::from_millis(50);
    let late = tower::filter::AsyncFilterLayer::new(move |request| async move {
        let _ = tokio::time::timeout(limit, std::future::pending::<()>()).await;
        Ok::<_, envoi::core::BoxError>(request)
    });
    let words = "the attempt was not over within 50ms, it had come to the wait for the reply";

    let (sender, receiver) = std::sync::mpsc::channel();
    let logger = envoi::batch(&server.url())
        .attempt_timeout(limit)
        .attempts(1)
        .on_error(move |error| sender.send(error.to_string()).unwrap())
        .build()
        .unwrap();
    logger.log(&"event").unwrap();
    logger.flush(PATIENCE).await;
    let told = receiver.try_recv().unwrap();
    assert!(told.contains(words), "{told}");

    let transport =
        envoi::sentry(&server.dsn()).unwrap().attempt_timeout(limit).http_layer(late).build().unwrap();
    transport.send(event()).unwrap();
    let mut ticks = tokio::time::interval(limit / 10);
    let failed = async {
        while transport.stats().unwrap().outbox.last_failure.is_none() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, failed).await.unwrap();
    let told = transport.stats().unwrap().outbox.last_failure.unwrap().message;
    assert!(told.contains(words), "{told}");
}

/// TR-9, TR-5: the limit for TLS holds for a proxy that is spoken to by TLS, too.
#[tokio::test]
async fn the_limit_for_tls_holds_with_a_proxy() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = ProxyConfig::new(&format!("https://{}", silent.local_addr().unwrap())).unwrap();
    let (observer, heard) = failures();
    let transport = envoi::sentry("http://public@sentry.test/42")
        .unwrap()
        .proxy(proxy.no_proxy(""))
        .timeouts(Timeouts::new().tls(Duration::from_millis(50)))
        .observer(observer)
        .build()
        .unwrap();
    transport.send(event()).unwrap();
    tokio::time::timeout(PATIENCE, heard.bell.notified()).await.unwrap();
    let words = heard.words.lock().unwrap()[0].clone();
    assert!(words.starts_with("Tls: the TLS handshake was not over within 50ms"), "{words}");
    transport.close(Duration::ZERO).await;
}

/// TR-5: settings of TLS that cannot work are refused when the transport is built, if it needs TLS, and are nobody's
/// business otherwise: a relay on this host must do without certificates of the platform.
#[test]
fn tls_is_set_up_only_where_it_is_needed() {
    let bad = || TlsConfig::new().server_name("not a name");
    let error = envoi::sentry("https://public@127.0.0.1:9/42").unwrap().tls(bad()).build().unwrap_err();
    assert!(matches!(error, BuildError::Way(WayError::Tls(_))), "{error:?}");
    assert!(envoi::sentry("http://public@127.0.0.1:9/42").unwrap().tls(bad()).build().is_ok());
}

/// TR-3, TR-4, AU-7: a proxy that is given gets the request in absolute-form, with its credentials, which nothing shows.
#[tokio::test]
async fn a_proxy_that_is_given_is_used() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:s3cret@{}", listener.local_addr().unwrap());
    let proxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
        String::from_utf8(head).unwrap()
    });
    let builder = envoi::sentry("http://public@ingest.test/42")
        .unwrap()
        .proxy(ProxyConfig::new(&url).unwrap().no_proxy(""));
    assert!(!format!("{builder:?}").contains("s3cret"));
    let transport = builder.build().unwrap();
    transport.send(event()).unwrap();
    let head = tokio::time::timeout(PATIENCE, proxy).await.unwrap().unwrap();
    assert!(head.starts_with("POST http://ingest.test/api/42/envelope/ HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("\r\nproxy-authorization: basic "), "{head}");
    transport.close(PATIENCE).await;
}

/// TR-9: the rest of the way, as one value: HTTP/2 without TLS, and a pool that closes at once.
#[tokio::test]
async fn a_whole_way_can_be_given() {
    let server = IngestServer::start().await.unwrap();
    let way = Way::new().http2_prior_knowledge().pool_idle_timeout(None).keepalive(None).nodelay(false);
    assert!(format!("{way:?}").contains("timeouts"));
    let transport = envoi::sentry(&server.dsn()).unwrap().way(way).no_env_proxy().build().unwrap();
    transport.send(event()).unwrap();
    assert!(transport.flush(PATIENCE).await.is_complete());
    assert_eq!(server.requests()[0].head.version, Version::HTTP_2);
}
