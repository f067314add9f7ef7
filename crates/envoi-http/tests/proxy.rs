//! Stacks with a proxy in them, over real sockets. Real proxies are in the tests of the workspace (`way_out`).
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use envoi_core::{Advice, BoxError, Codec, Failure, Kind, Parcel, Payload, Phase, Receipt, Segments, Weight};
use envoi_http::client::observe::{Event, SharedObserver};
use envoi_http::client::{HttpClient, TcpConnector};
use envoi_http::proxy::{ForwardLayer, ProxyConfig, ProxyError, ProxyLayer, ProxyProblem};
use envoi_http::{EncodeLayer, Policy};
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use support::{Answer, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

struct Blob;

impl Payload for Blob {
    fn weight(&self) -> Weight {
        Weight { items: 1, bytes: 7 }
    }
}

struct BlobCodec(String);

impl Codec<Blob> for BlobCodec {
    fn encode(&self, _: &Blob) -> Result<Request<Segments>, BoxError> {
        Ok(Request::post(&self.0).body("payload".into())?)
    }
}

fn answer(status: u16) -> Answer {
    Response::builder().status(status).body(Full::new(Bytes::from("{}"))).unwrap()
}

/// Sends one parcel through a stack with this proxy, TLS left out.
async fn deliver(config: &ProxyConfig, layer: &ProxyLayer, target: &str) -> Result<Receipt, Failure<Blob>> {
    stack(config, layer, target).oneshot(Parcel::new(Blob)).await
}

fn stack(
    config: &ProxyConfig,
    layer: &ProxyLayer,
    target: &str,
) -> impl Service<Parcel<Blob>, Response = Receipt, Error = Failure<Blob>, Future: Send> + Clone + use<> {
    ServiceBuilder::new()
        .layer(EncodeLayer::new(BlobCodec(target.to_owned())).policy(Policy::sentry()))
        .layer(ForwardLayer::new(config.clone()))
        .service(HttpClient::builder().connector(layer.layer(TcpConnector::new())).build())
}

fn address(server: &Server) -> SocketAddr {
    server.uri().parse::<http::Uri>().unwrap().authority().unwrap().as_str().parse().unwrap()
}

fn at(scheme: &str, credentials: &str, address: SocketAddr) -> ProxyConfig {
    ProxyConfig::new(&format!("{scheme}://{credentials}{address}")).unwrap()
}

/// A proxy that opens tunnels, and the first lines that it was sent.
struct Tunnels {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    /// Answers the head of each CONNECT with `answer`, and opens the tunnel if that is a 200.
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::serve(stream, answer, noted.clone()));
            }
        });
        Self { address, asked }
    }

    async fn serve(mut stream: TcpStream, answer: &str, asked: Arc<Mutex<Vec<String>>>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        asked.lock().unwrap().push(head);
        stream.write_all(answer.as_bytes()).await.unwrap();
        if answer.starts_with("HTTP/1.1 200") {
            let mut onward = TcpStream::connect(target).await.unwrap();
            // Whoever closes first is no concern of the tunnel's.
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// TR-4, TR-5: an http target goes to the proxy in absolute-form, with credentials, over one connection; a host on the
/// list goes straight.
#[tokio::test]
async fn a_plain_target_is_forwarded_in_absolute_form() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let proxy = Server::start(move |request| {
        let authorization =
            request.headers().get(PROXY_AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        let host = request.headers()[HOST].to_str().unwrap().to_owned();
        noted.lock().unwrap().push((request.uri().to_string(), host, authorization));
        assert_eq!(request.body(), "payload");
        answer(200)
    })
    .await;
    let config = at("http", "user:p%40ss@", address(&proxy)).no_proxy("127.0.0.1");
    let layer = ProxyLayer::new(config.clone());
    let mut through = stack(&config, &layer, "http://sentry.test:9000/api/1/envelope/");
    for _ in 0..3 {
        let receipt = through.ready().await.unwrap().call(Parcel::new(Blob)).await.unwrap();
        assert_eq!(receipt.reply().unwrap().status, 200);
    }
    assert_eq!(proxy.connections(), 1);
    let expected = (
        "http://sentry.test:9000/api/1/envelope/".to_owned(),
        "sentry.test:9000".to_owned(),
        Some("Basic dXNlcjpwQHNz".to_owned()),
    );
    assert_eq!(*seen.lock().unwrap(), [expected.clone(), expected.clone(), expected]);

    let server = Server::start(|request| {
        assert!(!request.headers().contains_key(PROXY_AUTHORIZATION));
        assert_eq!(request.uri(), "/api/1/envelope/");
        answer(200)
    })
    .await;
    assert!(deliver(&config, &layer, &server.uri()).await.is_ok());
    assert_eq!((server.connections(), proxy.connections()), (1, 1));
}

/// TR-4, TR-9: a tunnel carries many requests to the server, which knows nothing of the proxy; an observer is told.
#[tokio::test]
async fn a_tunnel_is_opened_once_and_used_again() {
    let server = Server::start(|request| {
        assert!(!request.headers().contains_key(PROXY_AUTHORIZATION));
        assert_eq!(request.uri(), "/api/1/envelope/");
        answer(200)
    })
    .await;
    let proxy = Tunnels::start("HTTP/1.1 200 Connection established\r\n\r\n").await;
    let config = at("http", "user:pass@", proxy.address).tunnel_http(true);
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = told.clone();
    let observer: SharedObserver =
        Arc::new(move |event: &Event<'_>| noted.lock().unwrap().push(format!("{event:?}")));
    let layer = ProxyLayer::new(config.clone()).observer(observer);
    let mut stack = stack(&config, &layer, &server.uri());
    for _ in 0..3 {
        assert!(stack.ready().await.unwrap().call(Parcel::new(Blob)).await.is_ok());
    }
    let address = address(&server);
    assert_eq!(
        proxy.asked(),
        [format!(
            "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"
        )]
    );
    assert_eq!(server.connections(), 1);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("CONNECT") && told[0].contains(&proxy.address.to_string()), "{told:?}");
    assert!(!told[0].contains("pass"), "{told:?}");
}

/// TR-5, BD-5: a refusal of the proxy is its own, with its status: nothing that a latch or a filter would act on.
#[tokio::test]
async fn a_refused_tunnel_is_the_proxys_fault() {
    for (answer, status) in [
        ("HTTP/1.1 401 Unauthorized\r\n\r\n", 401),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", 403),
        ("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n", 407),
        ("HTTP/1.1 429 Slow\r\nRetry-After: 99\r\nX-Sentry-Rate-Limits: 60::organization\r\n\r\n", 429),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", 503),
    ] {
        let proxy = Tunnels::start(answer).await;
        let config = at("http", "", proxy.address).tunnel_http(true);
        let layer = ProxyLayer::new(config.clone());
        let failure = deliver(&config, &layer, "http://sentry.test/api/1/envelope/").await.unwrap_err();
        let fault = failure.fault();
        assert_eq!((fault.kind(), fault.advice()), (Kind::Proxy, Advice::Retry), "{fault:?}");
        assert_eq!(fault.phase(), Some(Phase::Proxy));
        assert!(fault.reply().is_none() && fault.status().is_none(), "that would be the server's");
        assert_eq!(ProxyError::find(fault).unwrap().status(), StatusCode::from_u16(status).ok());
        assert!(fault.to_string().contains(&proxy.address.to_string()), "{fault}");
        assert!(failure.parcel().is_some());
    }
}

/// TR-5: a proxy that is not there, for tunnels and for forwarding.
#[tokio::test]
async fn an_unreachable_proxy_is_said_to_be_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for tunnel in [false, true] {
        let config = at("http", "", address).tunnel_http(tunnel);
        let failure =
            deliver(&config, &ProxyLayer::new(config.clone()), "http://sentry.test/").await.unwrap_err();
        let fault = failure.fault();
        assert_eq!((fault.kind(), fault.advice()), (Kind::Proxy, Advice::Retry), "{fault:?}");
        assert_eq!(fault.phase(), Some(Phase::Connect));
        let error = ProxyError::find(fault).unwrap();
        assert_eq!(*error.problem(), ProxyProblem::Unreachable);
        assert_eq!(error.proxy().port(), address.port());
        assert!(fault.to_string().contains("could not reach http://127.0.0.1"), "{fault}");
    }
}

/// TR-9: a proxy that takes the connection and says nothing costs its limit and no more.
#[tokio::test(start_paused = true)]
async fn a_silent_proxy_ends_at_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let schemes: &[&str] = if cfg!(feature = "socks") { &["http", "socks4a", "socks5h"] } else { &["http"] };
    for scheme in schemes {
        let config = at(scheme, "", listener.local_addr().unwrap()).tunnel_http(true);
        let layer = ProxyLayer::new(config.clone()).handshake_timeout(Duration::from_secs(7));
        let begun = tokio::time::Instant::now();
        let failure = deliver(&config, &layer, "http://sentry.test/").await.unwrap_err();
        let fault = failure.fault();
        assert_eq!((fault.kind(), fault.phase()), (Kind::Timeout, Some(Phase::Proxy)), "{fault:?}");
        assert!(begun.elapsed() <= Duration::from_millis(7_100), "{:?}", begun.elapsed());
        assert!(fault.to_string().contains(scheme), "{fault}");
    }
}

/// TR-4, AU-7: without TLS in the stack an https target is refused before the proxy hears of it: in a tunnel the
/// credentials would travel in clear text.
#[tokio::test]
async fn https_through_a_proxy_needs_tls() {
    let proxy = Tunnels::start("HTTP/1.1 200 OK\r\n\r\n").await;
    let schemes: &[&str] = if cfg!(feature = "socks") { &["http", "socks5h"] } else { &["http"] };
    for scheme in schemes {
        let config = at(scheme, "", proxy.address);
        let layer = ProxyLayer::new(config.clone());
        let failure = deliver(&config, &layer, "https://sentry.test/").await.unwrap_err();
        assert_eq!(
            (failure.fault().kind(), failure.fault().advice()),
            (Kind::Tls, Advice::Drop),
            "{failure:?}"
        );
    }
    assert!(proxy.asked().is_empty());
}

/// TR-5: a proxy by https needs TLS in the layer, and says so for good.
#[tokio::test]
async fn a_proxy_by_https_needs_tls_in_the_layer() {
    let config = ProxyConfig::new("https://proxy.test").unwrap();
    let failure =
        deliver(&config, &ProxyLayer::new(config.clone()), "http://sentry.test/").await.unwrap_err();
    assert_eq!(
        (failure.fault().kind(), failure.fault().advice()),
        (Kind::Proxy, Advice::Drop),
        "{failure:?}"
    );
    assert_eq!(*ProxyError::find(failure.fault()).unwrap().problem(), ProxyProblem::NoTls);
    assert!(failure.fault().to_string().contains("`tls`"), "{failure}");
}

/// TR-9: HTTP/2 with prior knowledge gets through a tunnel, and the first bytes of a server that speaks at once with it.
#[tokio::test]
async fn http2_with_prior_knowledge_goes_through_a_tunnel() {
    let server = Server::start(|request| {
        assert_eq!(request.version(), http::Version::HTTP_2);
        answer(200)
    })
    .await;
    let proxy = Tunnels::start("HTTP/1.1 200 OK\r\n\r\n").await;
    let config = at("http", "", proxy.address).tunnel_http(true);
    let connector = ProxyLayer::new(config).layer(TcpConnector::new());
    let client = HttpClient::builder().connector(connector).http2_prior_knowledge().build();
    let stack = EncodeLayer::new(BlobCodec(server.uri())).layer(client);
    for _ in 0..3 {
        assert!(stack.clone().oneshot(Parcel::new(Blob)).await.is_ok());
    }
    assert_eq!(proxy.asked().len(), 1);
}

/// TR-5: socks4 and socks5 look names up here, without blocking the runtime, and give the proxy an address.
#[cfg(feature = "socks")]
#[tokio::test]
async fn names_are_looked_up_here_for_socks4_and_socks5() {
    for (scheme, asked) in [
        ("socks5", &[5, 1, 0, 1, 127, 0, 0, 1, 0x30, 0x39][..]),
        ("socks4", &[4, 1, 0x30, 0x39, 127, 0, 0, 1, 0]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = at(scheme, "", listener.local_addr().unwrap());
        let layer = ProxyLayer::new(config.clone());
        let served = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            if scheme == "socks5" {
                let mut greeting = [0; 3];
                stream.read_exact(&mut greeting).await.unwrap();
                stream.write_all(&[5, 0]).await.unwrap();
            }
            let mut request = vec![0; asked.len()];
            stream.read_exact(&mut request).await.unwrap();
            request
        };
        let sent = deliver(&config, &layer, "http://localhost:12345/");
        let (result, request) = tokio::join!(sent, served);
        assert_eq!(request, asked, "{scheme}");
        let fault = result.unwrap_err().into_parts().0;
        assert_eq!(*ProxyError::find(&fault).unwrap().problem(), ProxyProblem::Closed, "{fault:?}");
    }
}

/// TR-5, TR-9: TLS with a proxy has the host of the proxy in mind and not the name that is expected of the server, is told
/// to the observer, and has its limit.
#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_with_a_proxy_is_about_the_proxy() {
    use envoi_http::tls::{Alpn, CaBundle, TlsConfig};
    use envoi_testkit::ingest::IngestServer;
    use envoi_testkit::tls::{Authority, ServerTls};

    let failure = async |config: &ProxyConfig, layer: ProxyLayer| {
        let connector = layer.layer(TcpConnector::new().any_scheme());
        let client =
            ForwardLayer::new(config.clone()).layer(HttpClient::builder().connector(connector).build());
        let codec = BlobCodec("http://sentry.test/api/1/envelope/".to_owned());
        EncodeLayer::new(codec).layer(client).oneshot(Parcel::new(Blob)).await.unwrap_err()
    };
    let authority = Authority::new("CA");
    let ca = CaBundle::from_pem(authority.pem()).unwrap();
    let tls = TlsConfig::new().only_ca(ca).alpn(Alpn::Http2).server_name("ingest.internal");
    // Any server takes the part of a proxy that forwards.
    let proxy = IngestServer::builder().tls(ServerTls::new(authority.for_localhost())).start().await.unwrap();
    let config = at("https", "", proxy.address());
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let observer: SharedObserver = Arc::new(move |event: &Event<'_>| {
        if let Event::Secured { host, handshake, .. } = event {
            seen.lock().unwrap().push((host.to_string(), handshake.alpn.clone()));
        }
    });
    let layer = ProxyLayer::new(config.clone()).tls(&tls).unwrap().observer(observer);
    let failed = failure(&config, layer).await;
    assert!(failed.fault().status().is_some(), "it was reached: {failed:?}");
    let expected = [(proxy.address().to_string(), Some("http/1.1".to_owned()))];
    assert_eq!(*events.lock().unwrap(), expected);

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = at("https", "", silent.local_addr().unwrap());
    let layer = ProxyLayer::new(config.clone()).tls(&tls).unwrap().tls_timeout(Duration::from_millis(50));
    let failed = failure(&config, layer).await;
    let fault = failed.fault();
    assert_eq!((fault.kind(), fault.phase()), (Kind::Proxy, Some(Phase::Tls)), "{fault:?}");
    assert!(fault.to_string().contains("the TLS handshake was not over within 50ms"), "{fault}");
}
