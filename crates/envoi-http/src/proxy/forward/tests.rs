use std::error::Error;

use envoi_core::{Advice, Fault, Kind, Phase};
use http::header::{HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{ForwardLayer, made_by_proxy};
use crate::proxy::{ProxyConfig, ProxyError, ProxyProblem};

fn headers(text: &str) -> HeaderMap {
    let lines = text.split('|').map(str::trim).filter(|line| !line.is_empty());
    let pairs = lines.map(|line| line.split_once(": ").unwrap());
    pairs
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .collect()
}

/// TR-5: the signs of an answer that a proxy made itself, and the answers that are never its own.
#[test]
fn answers_of_a_proxy_are_told_by_their_signs() {
    let table = [
        // Its own.
        (407, "", true),
        (407, "x-sentry-error: confused", true),
        (401, "proxy-authenticate: Basic realm=x", true),
        (403, "x-squid-error: ERR_ACCESS_DENIED 0", true),
        (503, "server: squid/5.7 | via: 1.1 host (squid/5.7)", true),
        (503, "server: squid", true),
        (403, "Server: tinyproxy/1.11.1", true),
        (403, "server: Privoxy 3.0", true),
        (403, "server: Zscaler/6.2", true),
        (502, "proxy-status: proxy.example; error=connection_refused", true),
        (504, "proxy-status: cdn; received-status=200, proxy; error=dns_timeout; details=\"x\"", true),
        (302, "server: Zscaler/6.2 | location: https://gateway/", true),
        // The server's, for all one can know.
        (200, "server: squid/5.7 | x-squid-error: none", false),
        (401, "", false),
        (403, "server: nginx | via: 1.1 tinyproxy (tinyproxy/1.11.1)", false),
        (403, "server: squidward/1", false),
        (429, "retry-after: 60 | via: 1.1 host (squid/5.7)", false),
        (429, "x-sentry-rate-limits: 60::organization | server: squid/5.7", false),
        (403, "x-sentry-error: denied | server: tinyproxy/1.11.1", false),
        (502, "proxy-status: cdn; received-status=502", false),
        (502, "server: nginx", false),
        (413, "", false),
    ];
    for (status, text, expected) in table {
        let made = made_by_proxy(StatusCode::from_u16(status).unwrap(), &headers(text));
        assert_eq!(made, expected, "{status} {text}");
    }
}

/// One exchange: the header that went out, and what came back.
async fn exchange(
    proxy: &str,
    target: &str,
    status: u16,
    answer: &str,
) -> (Option<HeaderValue>, Result<StatusCode, Fault>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let answer = headers(answer);
    let client = service_fn(move |request: Request<()>| {
        sender.send(request.headers().get(PROXY_AUTHORIZATION).cloned()).unwrap();
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = answer.clone();
        async { Ok::<_, envoi_core::BoxError>(response) }
    });
    let config = ProxyConfig::new(proxy).unwrap().no_proxy("direct.test");
    let mut stack = ForwardLayer::new(config).layer(client);
    let request = Request::post(target).body(()).unwrap();
    let result = stack.ready().await.unwrap().call(request).await;
    let result = result.map(|response| response.status()).map_err(Fault::from_error);
    (receiver.recv().unwrap(), result)
}

/// TR-5, AU-7: credentials go to a proxy that forwards, and nowhere else; they are marked sensitive.
#[tokio::test]
async fn credentials_are_for_the_forward_proxy_only() {
    let table = [
        ("http://user:pass@proxy.test", "http://a.test/", true),
        ("https://user:pass@proxy.test", "http://a.test/", true),
        ("http://proxy.test", "http://a.test/", false),
        // In a tunnel the server would get them.
        ("http://user:pass@proxy.test", "https://a.test/", false),
        ("http://user:pass@proxy.test", "http://direct.test/", false),
        #[cfg(feature = "socks")]
        ("socks5://user:pass@proxy.test", "http://a.test/", false),
    ];
    for (proxy, target, expected) in table {
        let (sent, answer) = exchange(proxy, target, 200, "").await;
        assert_eq!(answer.unwrap(), StatusCode::OK);
        assert_eq!(sent.is_some(), expected, "{proxy} {target}");
        assert!(sent.is_none_or(|value| value.is_sensitive() && value == "Basic dXNlcjpwYXNz"));
    }
}

/// TR-5: in a tunnel for everything there is no forward proxy.
#[tokio::test]
async fn nothing_is_forwarded_when_everything_is_tunnelled() {
    let config = ProxyConfig::new("http://user:pass@proxy.test").unwrap().tunnel_http(true);
    let client = service_fn(|request: Request<()>| async move {
        assert!(!request.headers().contains_key(PROXY_AUTHORIZATION), "{request:?}");
        Ok::<_, envoi_core::BoxError>(Response::builder().status(407).body(()).unwrap())
    });
    // As if from above, where it has no place.
    let request = Request::post("http://a.test/").header(PROXY_AUTHORIZATION, "Basic x").body(()).unwrap();
    let response = ForwardLayer::new(config).layer(client).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 407, "nobody's but the server's");
}

/// TR-5: an answer of the proxy is its fault, with its status, to be tried again, and no reply of the server.
#[tokio::test]
async fn an_answer_of_the_proxy_is_no_reply_of_the_server() {
    let refused = |code| ProxyProblem::Refused(StatusCode::from_u16(code).unwrap());
    let basic = "proxy-authenticate: Basic realm=x";
    for (proxy, status, answer, problem) in [
        ("http://user:hidden@proxy.test", 407, basic, ProxyProblem::CredentialsRefused),
        ("http://proxy.test", 407, basic, ProxyProblem::CredentialsWanted),
        ("http://proxy.test", 407, "proxy-authenticate: NTLM", ProxyProblem::SchemeUnsupported),
        ("http://proxy.test", 403, "x-squid-error: ERR_ACCESS_DENIED 0", refused(403)),
        ("http://proxy.test", 503, "server: squid/5.7", refused(503)),
        ("http://proxy.test", 504, "x-squid-error: ERR_READ_TIMEOUT 110", refused(504)),
    ] {
        let fault = exchange(proxy, "http://a.test/", status, answer).await.1.unwrap_err();
        assert_eq!((fault.kind(), fault.advice()), (Kind::Proxy, Advice::Retry));
        // A 5xx may come after the request went on: nobody may take it for one that cannot make a duplicate.
        let phase = if status >= 500 { Phase::Reply } else { Phase::Proxy };
        assert_eq!(fault.phase(), Some(phase), "{status}");
        assert!(fault.reply().is_none(), "it would be learned from");
        let error = ProxyError::find(&fault).unwrap();
        assert_eq!(
            (error.problem(), error.status()),
            (&problem, Some(StatusCode::from_u16(status).unwrap()))
        );
        let shown = format!("{fault} {:?} {}", fault, fault.source().unwrap());
        assert!(shown.contains("http://proxy.test:80") && !shown.contains("hidden"), "{shown}");
    }
    for target in ["https://a.test/", "http://direct.test/"] {
        let answer = exchange("http://proxy.test", target, 407, "").await.1;
        assert_eq!(answer.unwrap(), 407, "there is no forward proxy in between: {target}");
    }
}
