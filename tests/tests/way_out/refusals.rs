use envoi_core::{Advice, Fault, Kind};
use envoi_http::proxy::{ProxyConfig, ProxyError, ProxyProblem};
use envoi_layers::latch::LatchLayer;
use envoi_testkit::ingest::{IngestServer, Step};
use http::StatusCode;
use tower::Layer;

use super::nginx::{Door, Nginx};
use super::proxies::{Proxy, Way};
use super::software::{free_port, installed};
use super::stack::{authority_of, deliver, envelope, fault, stack, tls_for};

/// That it is the proxy's, to be tried again, and nothing that a filter, a latch or a client report would act on.
fn problem_of(fault: &Fault, what: &str) -> ProxyProblem {
    assert_eq!((fault.kind(), fault.advice()), (Kind::Proxy, Advice::Retry), "{what}: {fault:?}");
    assert!(fault.reply().is_none(), "{what}: {fault:?}");
    let error = ProxyError::find(fault).unwrap_or_else(|| panic!("{what}: {fault:?}"));
    if let ProxyProblem::Refused(status) = error.problem() {
        assert_eq!(error.status(), Some(*status));
        assert!(fault.to_string().contains(status.as_str()), "{fault}");
    }
    error.problem().clone()
}

/// TR-5: no credentials, or the wrong ones, at real proxies: their words are understood, on tunnels and on forwarded
/// requests, and the server hears nothing.
#[tokio::test]
async fn real_proxies_are_understood_when_they_refuse_credentials() {
    if !installed(&["nginx"]) || !installed(&Way::PROGRAMS) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let tls = tls_for(&nginx.authority);
    for way in [Way::TinyproxyWithPassword, Way::SquidWithPassword, Way::Socks5hWithPassword] {
        let proxy = Proxy::start(way, &nginx.authority).await.unwrap();
        for door in [Door::Http, Door::Http2] {
            for (credentials, expected) in
                [("", ProxyProblem::CredentialsWanted), ("user:wrong@", ProxyProblem::CredentialsRefused)]
            {
                let what = format!("{way:?} {door:?} {credentials}");
                let config = ProxyConfig::new(&proxy.url_with(credentials)).unwrap();
                let fault = fault(&nginx.url(door, "localhost", "refused"), &config, &tls).await;
                assert_eq!(problem_of(&fault, &what), expected, "{what}: {fault:?}");
            }
        }
        assert_eq!(proxy.served(), 0, "{}", proxy.output());
    }
    assert!(nginx.entries_now("refused").is_empty());
    assert!(ingest.requests().is_empty());
}

/// TR-5: a target that the proxy does not reach, or may not: its own 403, 500 and 503 are told from the server's.
#[tokio::test]
async fn real_proxies_are_understood_when_they_refuse_a_target() {
    if !installed(&Way::PROGRAMS) {
        return;
    }
    let authority = envoi_testkit::tls::Authority::new("way out");
    let tls = tls_for(&authority);
    let dead = free_port();
    let refused = |code| ProxyProblem::Refused(StatusCode::from_u16(code).unwrap());
    let cases = [
        (Way::Tinyproxy, format!("localhost:{dead}"), refused(500)),
        (Way::Squid, format!("localhost:{dead}"), refused(503)),
        (Way::Squid, "denied.localhost:80".to_owned(), refused(403)),
        (Way::SquidOverTls, format!("localhost:{dead}"), refused(503)),
        (Way::SquidOverTls, "denied.localhost:443".to_owned(), refused(403)),
        (Way::Socks5, format!("localhost:{dead}"), ProxyProblem::Socks(5)),
        (Way::Socks4, format!("localhost:{dead}"), ProxyProblem::Socks(91)),
        (Way::Socks4, "localhost:1".to_owned(), ProxyProblem::Socks(91)),
    ];
    for (way, target, expected) in cases {
        let proxy = Proxy::start(way, &authority).await.unwrap();
        let config = ProxyConfig::new(&proxy.url()).unwrap();
        for scheme in ["http", "https"] {
            let what = format!("{way:?} {scheme}://{target}");
            let fault = fault(&format!("{scheme}://{target}/api/1/envelope/"), &config, &tls).await;
            assert_eq!(problem_of(&fault, &what), expected, "{what}: {fault:?}\n{}", proxy.output());
        }
    }
}

/// TR-5, TR-8: the server's own refusals come through every proxy as what they are.
#[tokio::test]
async fn what_the_server_refuses_is_never_blamed_on_the_proxy() {
    if !installed(&["nginx"]) || !installed(&Way::PROGRAMS) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let tls = tls_for(&nginx.authority);
    for way in [Way::Tinyproxy, Way::Squid, Way::Socks5] {
        let proxy = Proxy::start(way, &nginx.authority).await.unwrap();
        let config = ProxyConfig::new(&proxy.url()).unwrap();
        for door in [Door::Http, Door::Http2] {
            for (status, kind) in [
                (StatusCode::UNAUTHORIZED, Kind::Unauthorized),
                (StatusCode::FORBIDDEN, Kind::Unauthorized),
                (StatusCode::PAYLOAD_TOO_LARGE, Kind::Rejected),
                (StatusCode::TOO_MANY_REQUESTS, Kind::RateLimited),
                (StatusCode::INTERNAL_SERVER_ERROR, Kind::Server),
                (StatusCode::SERVICE_UNAVAILABLE, Kind::Server),
            ] {
                ingest.script([Step::reply(status)]);
                let what = format!("{way:?} {door:?} {status}");
                let fault = fault(&nginx.url(door, "localhost", "servers"), &config, &tls).await;
                assert_eq!((fault.kind(), fault.status()), (kind, Some(status)), "{what}: {fault:?}");
                assert!(ProxyError::find(&fault).is_none(), "{what}");
            }
        }
    }
}

/// BD-5, TR-5: tinyproxy answers 401 to wrong credentials, which is no reason to switch a transport off for good; the
/// server's own 401, through the same proxy with the right ones, is.
#[tokio::test]
async fn a_401_of_a_proxy_trips_no_latch() {
    if !installed(&["nginx", "tinyproxy"]) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let tls = tls_for(&nginx.authority);
    let proxy = Proxy::start(Way::TinyproxyWithPassword, &nginx.authority).await.unwrap();
    for door in [Door::Http, Door::Http2] {
        let url = nginx.url(door, "localhost", "latch");
        let latch = LatchLayer::new();
        let wrong = ProxyConfig::new(&proxy.url_with("user:wrong@")).unwrap();
        let failure = deliver(&latch.layer(stack(&url, &wrong, &tls)), envelope(1)).await.unwrap_err();
        assert_eq!(ProxyError::find(failure.fault()).unwrap().status(), Some(StatusCode::UNAUTHORIZED));
        assert!(!latch.is_tripped(), "{door:?}: {failure:?}");

        ingest.script([Step::reply(StatusCode::UNAUTHORIZED)]);
        let right = ProxyConfig::new(&proxy.url()).unwrap();
        let failure = deliver(&latch.layer(stack(&url, &right, &tls)), envelope(1)).await.unwrap_err();
        assert_eq!(failure.fault().status(), Some(StatusCode::UNAUTHORIZED));
        assert!(latch.is_tripped(), "{door:?}: {failure:?}");
    }
}
