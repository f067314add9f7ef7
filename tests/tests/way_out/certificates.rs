use envoi_core::{Advice, Kind, Phase};
use envoi_http::proxy::ProxyConfig;
use envoi_http::tls::Identity;
use envoi_testkit::ingest::IngestServer;
use envoi_testkit::tls::{Authority, Validity};

use super::nginx::{Door, Nginx};
use super::proxies::{Proxy, Way};
use super::software::installed;
use super::stack::{authority_of, deliver, envelope, fault, stack, tls_for};

/// TR-5: a certificate that is no good is told by what is wrong with it, straight and through a tunnel, and nothing of the
/// request leaves.
#[tokio::test]
async fn bad_certificates_of_nginx_are_told_apart() {
    if !installed(&["nginx", "squid"]) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let tls = tls_for(&nginx.authority);
    let squid = Proxy::start(Way::Squid, &nginx.authority).await.unwrap();
    for config in [ProxyConfig::direct(), ProxyConfig::new(&squid.url()).unwrap()] {
        for (door, words) in
            [(Door::Expired, "expired"), (Door::WrongHost, "elsewhere.test"), (Door::UnknownIssuer, "CA")]
        {
            let fault = fault(&nginx.url(door, "localhost", "bad"), &config, &tls).await;
            assert_eq!((fault.kind(), fault.phase()), (Kind::Tls, Some(Phase::Tls)), "{door:?}: {fault:?}");
            let told = format!("{fault} {fault:?}");
            assert!(told.contains(words), "{door:?}: {told}");
        }
    }
    assert!(nginx.entries_now("bad").is_empty());
    assert!(ingest.requests().is_empty());
}

/// TR-5: a proxy by https with a certificate that nobody believes is the proxy's fault, with the words for certificates.
#[tokio::test]
async fn a_bad_certificate_of_a_proxy_is_the_proxys() {
    if !installed(&["squid"]) {
        return;
    }
    let proxy = Proxy::start(Way::SquidOverTls, &Authority::new("stranger")).await.unwrap();
    let tls = tls_for(&Authority::new("way out"));
    let config = ProxyConfig::new(&proxy.url()).unwrap();
    for scheme in ["http", "https"] {
        let fault = fault(&format!("{scheme}://localhost/api/1/envelope/"), &config, &tls).await;
        assert_eq!((fault.kind(), fault.phase()), (Kind::Proxy, Some(Phase::Tls)), "{fault:?}");
        assert!(fault.to_string().contains(&proxy.url()) && fault.to_string().contains("CA"), "{fault}");
    }
    assert_eq!(proxy.served(), 0);
}

/// TR-5: a client certificate opens the door that asks for one, straight and through a tunnel; without it, or with that
/// of a stranger, nginx answers 400: that is known as the handshake that it is, to be tried again when it is mended, and
/// the server hears nothing.
#[tokio::test]
async fn mutual_tls_opens_the_door_of_nginx() {
    if !installed(&["nginx", "squid"]) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let tls = tls_for(&nginx.authority);
    let squid = Proxy::start(Way::Squid, &nginx.authority).await.unwrap();
    let identity = |authority: &Authority| {
        let certificate = authority.issue_client("envoi", Validity::Current);
        Identity::from_pem(certificate.pem(), certificate.key_pem()).unwrap()
    };
    for config in [ProxyConfig::direct(), ProxyConfig::new(&squid.url()).unwrap()] {
        let case = if config.is_direct() { "mutual" } else { "mutual-tunnel" };
        let url = nginx.url(Door::Mutual, "localhost", case);
        for (tls, words) in [
            (tls.clone(), "give a certificate and its key (it answered 400 Bad Request)"),
            (tls.clone().identity(identity(&Authority::new("stranger"))), "refused the client certificate"),
        ] {
            let fault = fault(&url, &config, &tls).await;
            assert_eq!((fault.kind(), fault.phase()), (Kind::Tls, Some(Phase::Tls)), "{fault:?}");
            assert_eq!((fault.advice(), fault.status()), (Advice::Retry, None), "{fault:?}");
            assert!(fault.to_string().contains(words), "{fault}");
        }
        assert!(ingest.requests().len() < 2);
        let stack = stack(&url, &config, &tls.clone().identity(identity(&nginx.authority)));
        assert!(deliver(&stack, envelope(1)).await.is_ok());
        let entries = nginx.entries(case, 3).await;
        let named: Vec<_> = entries.iter().filter(|entry| entry.status == 200).collect();
        assert_eq!((entries.len(), named.len()), (3, 1), "{entries:?}");
        assert!(named[0].client.contains("CN=envoi"), "{entries:?}");
    }
    assert_eq!(ingest.requests().len(), 2);
}

/// TR-5, TR-7: `http` to a port for `https`: nginx answers 400, which is final, and the words say what is wrong.
#[tokio::test]
async fn http_to_a_port_for_https_is_named() {
    if !installed(&["nginx"]) {
        return;
    }
    let ingest = IngestServer::start().await.unwrap();
    let nginx = Nginx::start(&authority_of(&ingest)).await;
    let tls = tls_for(&nginx.authority);
    let url = nginx.url(Door::Http1, "localhost", "plain").replace("https://", "http://");
    let fault = fault(&url, &ProxyConfig::direct(), &tls).await;
    assert_eq!((fault.kind(), fault.advice()), (Kind::Rejected, Advice::Drop), "{fault:?}");
    assert!(fault.to_string().contains("use an https address"), "{fault}");
}
