use std::sync::{Arc, Mutex};

use envoi_http::HttpClient;
use envoi_http::client::observe::{Event, SharedObserver};
use envoi_http::client::{TcpConnector, Timeouts};
use envoi_http::tls::{Alpn, TlsLayer};
use envoi_testkit::tls::{Authority, ServerTls, Validity};
use tower::{Layer, ServiceExt};

use crate::support::{client, identity, request, send, server, to, trusting};

/// Writes events down in short.
fn notes() -> (SharedObserver, Arc<Mutex<Vec<String>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&notes);
    let observer = move |event: &Event<'_>| {
        let text = match event {
            Event::Resolved { host, addresses, .. } => format!("resolved {host} {}", !addresses.is_empty()),
            Event::Connected { peer, local, .. } => {
                format!("connected {}", peer.is_some() && local.is_some())
            }
            Event::Secured { handshake, .. } => format!(
                "secured {} {} {}",
                handshake.version,
                handshake.alpn.as_deref().unwrap_or("-"),
                handshake.chain.len()
            ),
            Event::Reused => "reused".to_owned(),
            Event::Written { bytes, .. } => format!("written {bytes}"),
            Event::Replied { status, version, .. } => format!("replied {status} {version:?}"),
            Event::Failed { phase, .. } => format!("failed {phase:?}"),
            other => format!("{other:?}"),
        };
        seen.lock().unwrap().push(text);
    };
    (Arc::new(observer), notes)
}

fn watched(config: &envoi_http::tls::TlsConfig, observer: &SharedObserver) -> crate::support::Client {
    let tls = TlsLayer::new(config).unwrap().observer(observer.clone());
    let tcp = TcpConnector::new().any_scheme().observer(observer.clone());
    HttpClient::builder().connector(tls.layer(tcp)).observer(observer.clone()).build()
}

/// TR-9: an observer is told of each phase in its order, and of a connection that is used again.
#[tokio::test]
async fn each_phase_is_told() {
    let authority = Authority::new("CA");
    let server = server(ServerTls::new(authority.for_localhost()).only_tls13()).await;
    let (observer, notes) = notes();
    let client = watched(&trusting(&authority), &observer);
    let url = format!("https://localhost:{}/api/42/envelope/", server.address().port());
    for _ in 0..2 {
        let response = client.clone().oneshot(to(&url)).await.unwrap();
        http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
    }
    let length = crate::support::ENVELOPE.len();
    let (written, replied) = (format!("written {length}"), "replied 200 OK HTTP/2.0");
    assert_eq!(
        *notes.lock().unwrap(),
        [
            "resolved localhost true",
            "connected true",
            "secured TLSv1_3 h2 1",
            &written,
            replied,
            "reused",
            &written,
            replied
        ]
    );
}

/// TR-9: a failure is told once, by the phase in which it happened.
#[tokio::test]
async fn a_failure_is_told_once() {
    let (authority, stranger) = (Authority::new("CA"), Authority::new("stranger"));
    let config = trusting(&authority).alpn(Alpn::Http1);
    let (observer, notes) = notes();
    let wrong = server(ServerTls::new(stranger.for_localhost())).await;
    watched(&config, &observer).oneshot(request(&wrong)).await.unwrap_err();
    assert_eq!(*notes.lock().unwrap(), ["connected true", "failed Tls"]);

    notes.lock().unwrap().clear();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    watched(&config, &observer).oneshot(to(&format!("https://{closed}/"))).await.unwrap_err();
    assert_eq!(*notes.lock().unwrap(), ["failed Connect"]);

    // The end of the whole attempt is told as well, when a connector is at work.
    notes.lock().unwrap().clear();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let limit = Some(std::time::Duration::from_millis(50));
    let connector =
        TlsLayer::new(&config).unwrap().observer(observer.clone()).layer(TcpConnector::new().any_scheme());
    let client = HttpClient::builder()
        .connector(connector)
        .timeouts(Timeouts::new().attempt(limit))
        .observer(observer)
        .build();
    client.oneshot(to(&format!("https://{}/", silent.local_addr().unwrap()))).await.unwrap_err();
    assert_eq!(*notes.lock().unwrap(), ["failed Tls"]);
}

/// AU-7: neither settings nor errors show a key.
#[tokio::test]
async fn nothing_shows_a_key() {
    let authority = Authority::new("CA");
    let certificate = authority.issue_client("agent", Validity::Current);
    let config = trusting(&authority).identity(identity(&certificate));
    let secret = certificate.key_pem().lines().nth(1).unwrap();
    let shown = format!("{config:?} {:?} {certificate:?}", TlsLayer::new(&config).unwrap());
    assert!(!shown.contains(secret) && shown.contains("Identity"), "{shown}");
    let server = server(ServerTls::new(Authority::new("other").for_localhost())).await;
    let fault = send(&client(&config), &server).await.unwrap_err();
    assert!(!format!("{fault:?}").contains(secret));
}
