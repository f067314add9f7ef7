use std::error::Error as _;

use envoi_core::{Advice, Fault, Kind, Phase};
use envoi_http::client::{HttpClient, TcpConnector};
use envoi_http::tls::{Alpn, TlsConfig, TlsError, TlsLayer, TlsProblem, TlsVersion};
use envoi_http::{Policy, classify};
use envoi_testkit::tls::{Authority, ServerTls, Validity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

use crate::support::{client, failure, identity, send, server, to, trusting};

/// Nothing was sent, it may be mended, and the words say how.
fn assert_tls(fault: &Fault, problem: TlsProblem) {
    assert_eq!(
        (fault.kind(), fault.advice(), fault.phase()),
        (Kind::Tls, Advice::Retry, Some(Phase::Tls)),
        "{problem:?}: {fault:?}"
    );
    assert!(fault.to_string().contains(problem.advice()), "{problem:?}: {fault}");
}

/// The error of the handshake itself, in the chain of sources.
fn cause(fault: &Fault) -> Option<&TlsError> {
    let mut cause = fault.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<TlsError>() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// TR-5, TR-9: what is wrong with a server's certificate is recognised and said in words that lead on.
#[tokio::test]
async fn a_bad_certificate_of_the_server_is_named() {
    let (authority, stranger) = (Authority::new("CA"), Authority::new("stranger"));
    let config = trusting(&authority);
    for (certificate, problem) in [
        (authority.issue(&["127.0.0.1"], Validity::Past), TlsProblem::Expired),
        (authority.issue(&["127.0.0.1"], Validity::Future), TlsProblem::NotYetValid),
        (authority.issue(&["elsewhere.test"], Validity::Current), TlsProblem::WrongName),
        (stranger.for_localhost(), TlsProblem::UnknownIssuer),
    ] {
        for tls in [ServerTls::new(certificate.clone()), ServerTls::new(certificate.clone()).only_tls12()] {
            let (fault, summary) = failure(&config, tls).await;
            assert_tls(&fault, problem);
            let error = cause(&fault).expect("a TLS error in the chain");
            assert_eq!(error.problem(), problem);
            assert!(error.host().starts_with("127.0.0.1:"), "{}", error.host());
            assert_eq!(summary.begun, 0, "nothing was sent");
        }
    }
    let (fault, _) = failure(&TlsConfig::new(), ServerTls::new(authority.for_localhost())).await;
    assert_tls(&fault, TlsProblem::UnknownIssuer);
}

/// TR-5: a missing client certificate is named, by whichever version of TLS and of HTTP the server says so. In TLS 1.3
/// the news comes after the handshake.
#[tokio::test]
async fn a_missing_client_certificate_is_named() {
    let authority = Authority::new("CA");
    let tls = || ServerTls::new(authority.for_localhost()).require_client(&authority);
    for round in 0..10 {
        for alpn in [Alpn::Http1, Alpn::Http2] {
            let (fault, summary) = failure(&trusting(&authority).alpn(alpn), tls().only_tls13()).await;
            assert_eq!(fault.phase(), Some(Phase::Tls), "{round} {alpn:?}: {fault:?}");
            assert_tls(&fault, TlsProblem::ClientCertificateRequired);
            assert_eq!((summary.begun, summary.connections), (0, 1), "nothing is sent again in vain");
        }
    }
    let (fault, _) = failure(&trusting(&authority), tls().only_tls12()).await;
    assert_eq!((fault.kind(), fault.phase()), (Kind::Tls, Some(Phase::Tls)), "{fault:?}");
}

/// TR-5, TR-9: the same where connections are driven by other threads than requests: the refusal may end a connection
/// before the request is handed to it, and is what is told all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_on_another_thread_is_named() {
    let authority = Authority::new("CA");
    let tls = || ServerTls::new(authority.for_localhost()).require_client(&authority).only_tls13();
    for round in 0..20 {
        for alpn in [Alpn::Http1, Alpn::Http2] {
            let (fault, summary) = failure(&trusting(&authority).alpn(alpn), tls()).await;
            assert_eq!(fault.phase(), Some(Phase::Tls), "{round} {alpn:?}: {fault:?}");
            assert_tls(&fault, TlsProblem::ClientCertificateRequired);
            assert_eq!((summary.begun, summary.connections), (0, 1), "nothing is sent again in vain");
        }
    }
}

/// TR-5: a client certificate that the server does not accept is named.
#[tokio::test]
async fn a_refused_client_certificate_is_named() {
    let (authority, stranger) = (Authority::new("CA"), Authority::new("stranger"));
    let tls = || ServerTls::new(authority.for_localhost()).require_client(&authority);
    for certificate in
        [stranger.issue_client("agent", Validity::Current), authority.issue_client("agent", Validity::Past)]
    {
        let config = trusting(&authority).identity(identity(&certificate));
        for tls in [tls().only_tls12(), tls().only_tls13()] {
            let (fault, _) = failure(&config, tls).await;
            assert_tls(&fault, TlsProblem::ClientCertificateRefused);
        }
    }
}

/// TR-5: no version of TLS, or of HTTP, in common.
#[tokio::test]
async fn having_nothing_in_common_is_named() {
    let authority = Authority::new("CA");
    let tls = || ServerTls::new(authority.for_localhost());
    let config = trusting(&authority).min_version(TlsVersion::V1_3);
    let (fault, _) = failure(&config, tls().only_tls12()).await;
    assert_tls(&fault, TlsProblem::NoCommonVersion);
    let config = trusting(&authority).alpn(Alpn::Http2);
    for theirs in [&["http/1.1"][..], &[]] {
        let (fault, _) = failure(&config, tls().alpn(theirs.iter().copied())).await;
        assert_tls(&fault, TlsProblem::NoCommonProtocol);
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/api/42/envelope/", listener.local_addr().unwrap());
    (listener, url)
}

/// TR-9: a plain http port, and a peer that hangs up.
#[tokio::test]
async fn a_peer_without_tls_is_named() {
    let authority = Authority::new("CA");
    let not_tls = &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..];
    for (answer, problem) in [(not_tls, TlsProblem::NotTls), (b"", TlsProblem::Cut)] {
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(answer).await.unwrap();
        });
        let error = client(&trusting(&authority)).oneshot(to(&url)).await.unwrap_err();
        assert_tls(&classify(error.into()), problem);
    }
}

/// TR-9: a handshake that is never answered ends at its limit, with its phase.
#[tokio::test]
async fn a_handshake_without_an_answer_ends_in_time() {
    let authority = Authority::new("CA");
    let (listener, url) = listen().await;
    let held = tokio::spawn(async move { listener.accept().await.unwrap() });
    let limit = std::time::Duration::from_millis(50);
    let connector =
        TlsLayer::new(&trusting(&authority)).unwrap().timeout(limit).layer(TcpConnector::new().any_scheme());
    let error = HttpClient::builder().connector(connector).build().oneshot(to(&url)).await.unwrap_err();
    let fault = classify(error.into());
    assert_eq!(
        (fault.kind(), fault.advice(), fault.phase()),
        (Kind::Timeout, Advice::Retry, Some(Phase::Tls))
    );
    assert!(fault.to_string().contains("the TLS handshake was not over within 50ms"), "{fault}");
    drop(held.await.unwrap());
}

/// TR-5: whoever would rather give up on certificate errors says so in the policy; nobody has to wait for ever.
#[tokio::test]
async fn the_policy_may_give_up_on_tls_errors() {
    let (authority, stranger) = (Authority::new("CA"), Authority::new("stranger"));
    let server = server(ServerTls::new(stranger.for_localhost())).await;
    let fault = send(&client(&trusting(&authority)), &server).await.unwrap_err();
    let policy = Policy::sentry().on_error(Kind::Tls, Advice::Drop);
    assert_eq!(policy.judge_error(fault.into()).advice(), Advice::Drop);
}

/// TR-5: accepting everybody is possible where somebody asked for it by its name.
#[cfg(feature = "danger-insecure-tls")]
#[tokio::test]
async fn the_dangerous_setting_believes_everybody() {
    let stranger = Authority::new("stranger");
    for tls in [
        ServerTls::new(stranger.issue(&["elsewhere.test"], Validity::Past)),
        ServerTls::new(stranger.for_localhost()).only_tls12(),
    ] {
        let server = server(tls).await;
        let config = TlsConfig::new().danger_accept_invalid_certs();
        assert!(format!("{config:?}").contains("accept_invalid: true"));
        assert_eq!(send(&client(&config), &server).await.unwrap().status(), http::StatusCode::OK);
    }
}
