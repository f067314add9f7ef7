use envoi_http::HttpClient;
use envoi_http::client::TcpConnector;
use envoi_http::tls::{Alpn, CaBundle, TlsConfig, TlsLayer, TlsVersion};
use envoi_testkit::tls::{Authority, ServerTls, Validity};
use http::{StatusCode, Version};
use tower::{Layer, ServiceExt};

use crate::support::{client, identity, request, send, server, trusting};

/// TR-9: the server chooses among what both know; one that does not negotiate gets HTTP/1.1.
#[tokio::test]
async fn the_version_of_http_is_negotiated() {
    let authority = Authority::new("CA");
    let both: &[&str] = &["h2", "http/1.1"];
    for (ours, theirs, version) in [
        (Alpn::Both, both, Version::HTTP_2),
        (Alpn::Both, &["http/1.1"], Version::HTTP_11),
        (Alpn::Both, &["h2"], Version::HTTP_2),
        (Alpn::Both, &[], Version::HTTP_11),
        (Alpn::Http1, both, Version::HTTP_11),
        (Alpn::Http2, both, Version::HTTP_2),
    ] {
        let tls = ServerTls::new(authority.for_localhost()).alpn(theirs.iter().copied());
        let server = server(tls).await;
        let client = client(&trusting(&authority).alpn(ours));
        for _ in 0..3 {
            let response = send(&client, &server).await.unwrap();
            assert_eq!(
                (response.status(), response.version()),
                (StatusCode::OK, version),
                "{ours:?}, {theirs:?}"
            );
            http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
        }
        assert_eq!(server.summary().connections, 1, "{ours:?}, {theirs:?}");
        assert_eq!(server.requests()[0].problems, []);
    }
}

/// TR-5: each version of TLS that both speak will do.
#[tokio::test]
async fn both_versions_of_tls_work() {
    let authority = Authority::new("CA");
    let tls = || ServerTls::new(authority.for_localhost());
    for (oldest, tls) in [
        (TlsVersion::V1_2, tls().only_tls12()),
        (TlsVersion::V1_2, tls().only_tls13()),
        (TlsVersion::V1_3, tls()),
    ] {
        let server = server(tls).await;
        let config = trusting(&authority).min_version(oldest);
        assert_eq!(send(&client(&config), &server).await.unwrap().status(), StatusCode::OK);
    }
}

/// TR-5: a CA of one's own next to those of the platform, and a bundle with several.
#[tokio::test]
async fn own_authorities_are_believed_next_to_others() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let server = server(ServerTls::new(ours.for_localhost())).await;
    let several = CaBundle::from_pem(format!("# two of them\n{}\n{}", other.pem(), ours.pem())).unwrap();
    for config in [
        TlsConfig::new().ca(CaBundle::from_pem(ours.pem()).unwrap()),
        TlsConfig::new().only_ca(several),
        TlsConfig::new()
            .only_ca(CaBundle::from_pem(other.pem()).unwrap())
            .ca(CaBundle::from_pem(ours.pem()).unwrap()),
    ] {
        assert_eq!(send(&client(&config), &server).await.unwrap().status(), StatusCode::OK, "{config:?}");
    }
}

/// TR-5: a client certificate opens a door that is closed without one, in both versions of TLS.
#[tokio::test]
async fn a_client_certificate_is_shown_when_asked_for() {
    let authority = Authority::new("CA");
    let config = trusting(&authority).identity(identity(&authority.issue_client("agent", Validity::Current)));
    let tls = || ServerTls::new(authority.for_localhost()).require_client(&authority);
    for tls in [tls().only_tls12(), tls().only_tls13(), ServerTls::new(authority.for_localhost())] {
        let server = server(tls).await;
        assert_eq!(send(&client(&config), &server).await.unwrap().status(), StatusCode::OK);
    }
}

/// TR-5: the name that is asked for and expected can be another than the host of the address.
#[tokio::test]
async fn the_server_name_can_be_set() {
    let authority = Authority::new("CA");
    let server = server(ServerTls::new(authority.issue(&["ingest.internal"], Validity::Current))).await;
    let config = trusting(&authority).server_name("ingest.internal");
    assert_eq!(send(&client(&config), &server).await.unwrap().status(), StatusCode::OK);
}

/// TR-9: addresses that are not `https` pass through untouched; without TLS an `https` address is refused, not sent in
/// clear text.
#[tokio::test]
async fn cleartext_passes_and_https_never_falls_back_to_it() {
    use envoi_core::{Advice, Kind};
    let authority = Authority::new("CA");
    let plain = envoi_testkit::ingest::IngestServer::start().await.unwrap();
    assert_eq!(send(&client(&trusting(&authority)), &plain).await.unwrap().status(), StatusCode::OK);

    let secure = server(ServerTls::new(authority.for_localhost())).await;
    let connector = TlsLayer::cleartext_only().layer(TcpConnector::new().any_scheme());
    let client = envoi_http::HttpClient::builder().connector(connector).build();
    assert_eq!(client.clone().oneshot(request(&plain)).await.unwrap().status(), StatusCode::OK);
    let error = client.oneshot(request(&secure)).await.unwrap_err();
    let fault = envoi_http::classify(error.into());
    assert_eq!((fault.kind(), fault.advice()), (Kind::Tls, Advice::Drop));
    assert_eq!(secure.shutdown().await.connections, 0);
}

/// TR-9: many first requests at once each begin a handshake, because nobody knows yet that the server speaks HTTP/2; one
/// connection is kept. Where that is said beforehand, one handshake is all.
#[tokio::test]
async fn a_first_burst_ends_on_one_connection() {
    const AT_ONCE: u64 = 8;
    let authority = Authority::new("CA");
    for knows in [false, true] {
        let server = server(ServerTls::new(authority.for_localhost())).await;
        let config = trusting(&authority).alpn(if knows { Alpn::Http2 } else { Alpn::Both });
        let connector = TlsLayer::new(&config).unwrap().layer(TcpConnector::new().any_scheme());
        let builder = HttpClient::builder().connector(connector);
        let client = if knows { builder.http2_prior_knowledge().build() } else { builder.build() };
        for round in 0..3 {
            let burst = (0..AT_ONCE).map(|_| send(&client, &server));
            for result in futures_util::future::join_all(burst).await {
                assert_eq!(result.unwrap().version(), Version::HTTP_2, "{round}");
            }
        }
        let most = if knows { 1 } else { AT_ONCE };
        let summary = server.summary();
        assert!((1..=most).contains(&summary.connections), "{knows}: {summary:?}");
        assert_eq!(summary.requests, 3 * AT_ONCE);
    }
}
