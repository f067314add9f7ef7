use bytes::Bytes;
use http::StatusCode;
use proptest::prelude::*;
use tokio_test::io::Builder;

use super::{Target, shake_hands};
use crate::proxy::error::{ProxyError, ProxyProblem};
use crate::proxy::{ProxyScheme, ProxyServer};

fn proxy(url: &str) -> ProxyServer {
    ProxyServer::parse(url).unwrap()
}

fn target(uri: &str) -> Target {
    Target::of(&uri.parse().unwrap()).unwrap()
}

/// Holds the talk with a proxy that says what the script says.
async fn talk(url: &str, to: &str, script: &mut Builder) -> Result<Bytes, ProxyError> {
    shake_hands(&mut script.build(), &proxy(url), &target(to)).await
}

const PLAIN: &[u8] = b"CONNECT sentry.test:443 HTTP/1.1\r\nHost: sentry.test:443\r\n\r\n";

/// TR-4, TR-5: what is asked for, with the port spelled out, addresses in brackets, and credentials decoded.
#[tokio::test]
async fn connect_names_the_target_and_brings_credentials() {
    let table: [(&str, &str, &[u8]); 4] = [
        ("http://proxy.test", "https://sentry.test/", PLAIN),
        (
            "http://user:p%40ss@proxy.test",
            "https://sentry.test:8443/",
            b"CONNECT sentry.test:8443 HTTP/1.1\r\nHost: sentry.test:8443\r\n\
              Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n",
        ),
        (
            "http://proxy.test",
            "http://sentry.test/",
            b"CONNECT sentry.test:80 HTTP/1.1\r\nHost: sentry.test:80\r\n\r\n",
        ),
        (
            "https://proxy.test",
            "https://[fd00::1]/",
            b"CONNECT [fd00::1]:443 HTTP/1.1\r\nHost: [fd00::1]:443\r\n\r\n",
        ),
    ];
    for (url, to, request) in table {
        let mut script = Builder::new();
        script.write(request).read(b"HTTP/1.1 200 Connection established\r\n\r\n");
        assert_eq!(talk(url, to, &mut script).await.unwrap(), "", "{url} {to}");
    }
}

/// TR-4: every 2xx opens the tunnel, interim answers do not count, and what the target has sent is kept.
#[tokio::test]
async fn a_tunnel_opens_however_its_answer_arrives() {
    let table: [(&[&[u8]], &str); 6] = [
        (&[b"HTTP/1.1 200 OK\r\n\r\n"], ""),
        (&[b"HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n"], ""),
        (&[b"HTTP/1.1 204 No Content\r\nContent-Length: 77\r\n\r\n"], ""),
        (&[b"HTTP/1", b".1 200 O", b"K\r\nA: b\r", b"\n\r", b"\n"], ""),
        (&[b"HTTP/1.1 200 OK\r\n\r\nearly", b""], "early"),
        (
            &[
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n",
                b"\r\nHTTP/1.1 200 OK\r\n\r\nx",
            ],
            "x",
        ),
    ];
    for (pieces, early) in table {
        let mut script = Builder::new();
        script.write(PLAIN);
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            script.read(piece);
        }
        assert_eq!(talk("http://proxy.test", "https://sentry.test/", &mut script).await.unwrap(), early);
    }
}

/// TR-5: each refusal is told from the others, and the status of the proxy is in it.
#[tokio::test]
async fn a_refused_connect_says_why_and_with_which_status() {
    let refused = |code| ProxyProblem::Refused(StatusCode::from_u16(code).unwrap());
    let with = "http://user:hidden@proxy.test";
    let without = "http://proxy.test";
    let table = [
        (without, "407 Wanted\r\nProxy-Authenticate: Basic realm=\"x\"", ProxyProblem::CredentialsWanted),
        (with, "407 Wanted\r\nProxy-Authenticate: Basic realm=\"x\"", ProxyProblem::CredentialsRefused),
        (
            with,
            "407 Wanted\r\nproxy-authenticate: Negotiate, bAsIc realm=x",
            ProxyProblem::CredentialsRefused,
        ),
        (
            with,
            "407 Wanted\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate",
            ProxyProblem::SchemeUnsupported,
        ),
        (with, "401 Unauthorized", ProxyProblem::CredentialsRefused),
        (without, "401 Unauthorized", refused(401)),
        (without, "403 Forbidden", refused(403)),
        (with, "429 Too Many Requests\r\nX-Sentry-Rate-Limits: 60::organization", refused(429)),
        (without, "500 Internal Server Error", refused(500)),
        (without, "502 Bad Gateway", refused(502)),
        (without, "503 Service Unavailable", refused(503)),
        (without, "301 Moved\r\nLocation: http://x", refused(301)),
        (without, "101 Switching Protocols", refused(101)),
    ];
    for (url, answer, problem) in table {
        let mut script = Builder::new();
        if url == with {
            script.write(
                b"CONNECT sentry.test:443 HTTP/1.1\r\nHost: sentry.test:443\r\n\
                  Proxy-Authorization: Basic dXNlcjpoaWRkZW4=\r\n\r\n",
            );
        } else {
            script.write(PLAIN);
        }
        script.read(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes());
        let error = talk(url, "https://sentry.test/", &mut script).await.unwrap_err();
        assert_eq!(*error.problem(), problem, "{answer}");
        assert_eq!(error.status().unwrap().as_str(), &answer[..3]);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("http://proxy.test:80 ") && !shown.contains("hidden"), "{shown}");
    }
}

/// TR-5: what is no HTTP, endless, or cut off is an error of its own and is not read to the end.
#[tokio::test]
async fn a_proxy_that_does_not_speak_http_is_recognised() {
    let endless = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'x'; 20_000]].concat();
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(10);
    let table: [(&[u8], ProxyProblem); 7] = [
        (b"SSH-2.0-OpenSSH_9.2\r\n", ProxyProblem::Malformed),
        (b"\x15\x03\x01\x00\x02\x02\x16", ProxyProblem::Malformed),
        (b"HTTP/1.1 2000 OK\r\n\r\n", ProxyProblem::Malformed),
        (&endless, ProxyProblem::Malformed),
        (many.as_bytes(), ProxyProblem::Malformed),
        (&interim, ProxyProblem::Closed),
        (b"HTTP/1.1 200 O", ProxyProblem::Closed),
    ];
    for (answer, problem) in table {
        // A pipe, because a script insists on being read to its end.
        let (mut here, mut there) = tokio::io::duplex(64 * 1024);
        tokio::io::AsyncWriteExt::write_all(&mut there, answer).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut there).await.unwrap();
        let result =
            shake_hands(&mut here, &proxy("http://proxy.test"), &target("https://sentry.test/")).await;
        assert_eq!(*result.unwrap_err().problem(), problem, "{:?}", answer.escape_ascii().to_string());
    }
}

/// A target without a port that anybody could know is no target.
#[test]
fn a_target_needs_a_host_and_a_port() {
    for uri in ["/path", "ftp://sentry.test/", "sentry.test"] {
        assert_eq!(Target::of(&uri.parse().unwrap()), None, "{uri}");
    }
    assert_eq!(target("ftp://sentry.test:21/").port, 21);
}

#[cfg(feature = "socks")]
mod socks {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const OPEN: &[u8] = &[5, 0, 0, 1, 10, 1, 2, 3, 0x1F, 0x90];

    fn named(name: &str, port: u16) -> Vec<u8> {
        let length = u8::try_from(name.len()).unwrap();
        [&[5, 1, 0, 3, length], name.as_bytes(), &port.to_be_bytes()].concat()
    }

    /// TR-5: SOCKS5 by RFC 1928, the name left to the proxy or the address given to it.
    #[tokio::test]
    async fn socks5_asks_for_names_and_addresses() {
        let v6 = [&[5, 1, 0, 4, 0xFD], [0; 14].as_slice(), &[1, 1, 0xBB]].concat();
        let table: [(&str, Vec<u8>); 5] = [
            ("https://sentry.test/", named("sentry.test", 443)),
            ("http://sentry.test/", named("sentry.test", 80)),
            ("http://sentry.test:9000/", named("sentry.test", 9000)),
            ("http://10.1.2.3:256/", vec![5, 1, 0, 1, 10, 1, 2, 3, 1, 0]),
            ("https://[fd00::1]/", v6),
        ];
        for (to, request) in table {
            let mut script = Builder::new();
            script.write(&[5, 1, 0]).read(&[5, 0]).write(&request).read(OPEN);
            talk("socks5h://proxy.test", to, &mut script).await.unwrap();
        }
    }

    /// TR-5: user and password by RFC 1929, and a server that wants none although there are some.
    #[tokio::test]
    async fn socks5_logs_in_when_it_is_asked_to() {
        let url = "socks5h://user:p%40ss@proxy.test";
        let login = b"\x01\x04user\x04p@ss";
        let mut script = Builder::new();
        script.write(&[5, 2, 0, 2]).read(&[5, 2]).write(login).read(&[1, 0]);
        script.write(&named("sentry.test", 443)).read(OPEN);
        talk(url, "https://sentry.test/", &mut script).await.unwrap();

        let mut script = Builder::new();
        script.write(&[5, 2, 0, 2]).read(&[5, 0]).write(&named("sentry.test", 443)).read(OPEN);
        talk(url, "https://sentry.test/", &mut script).await.unwrap();

        let mut script = Builder::new();
        script.write(&[5, 2, 0, 2]).read(&[5, 2]).write(login).read(&[1, 1]);
        let error = talk(url, "https://sentry.test/", &mut script).await.unwrap_err();
        assert_eq!(*error.problem(), ProxyProblem::CredentialsRefused);

        let mut script = Builder::new();
        script.write(&[5, 1, 0]).read(&[5, 0xFF]);
        let error = talk("socks5h://proxy.test", "https://sentry.test/", &mut script).await.unwrap_err();
        assert_eq!(*error.problem(), ProxyProblem::CredentialsWanted);

        let mut script = Builder::new();
        script.write(&[5, 2, 0, 2]).read(&[5, 0xFF]);
        let error = talk(url, "https://sentry.test/", &mut script).await.unwrap_err();
        assert_eq!(*error.problem(), ProxyProblem::CredentialsRefused);
    }

    /// TR-5: each reply code has its words; what is no SOCKS5 is recognised.
    #[tokio::test]
    async fn socks5_refusals_are_told_apart() {
        let table: [(&[u8], ProxyProblem, &str); 7] = [
            (&[5, 1, 0, 1], ProxyProblem::Socks(1), "general failure"),
            (&[5, 2, 0, 1], ProxyProblem::Socks(2), "not allowed"),
            (&[5, 4, 0, 1], ProxyProblem::Socks(4), "host is unreachable"),
            (&[5, 5, 0, 1], ProxyProblem::Socks(5), "refused the connection"),
            (&[5, 99, 0, 1], ProxyProblem::Socks(99), "unknown code"),
            (&[4, 0, 0, 1], ProxyProblem::Malformed, "something else"),
            (&[5, 0, 0, 9], ProxyProblem::Malformed, "something else"),
        ];
        for (reply, problem, words) in table {
            let mut script = Builder::new();
            script.write(&[5, 1, 0]).read(&[5, 0]).write(&named("sentry.test", 443)).read(reply);
            let error = talk("socks5h://proxy.test", "https://sentry.test/", &mut script).await.unwrap_err();
            assert_eq!(*error.problem(), problem);
            assert!(error.to_string().contains(words), "{error}");
        }
        // An HTTP proxy, asked for SOCKS; a method that was not offered; the end.
        for (reply, problem) in [
            (&b"HT"[..], ProxyProblem::Malformed),
            (&[5, 2], ProxyProblem::Malformed),
            (&[5], ProxyProblem::Closed),
        ] {
            let mut script = Builder::new();
            script.write(&[5, 1, 0]).read(reply);
            let error = talk("socks5h://proxy.test", "https://sentry.test/", &mut script).await.unwrap_err();
            assert_eq!(*error.problem(), problem);
        }
    }

    /// TR-5: a name that SOCKS cannot carry is refused before anything is said.
    #[tokio::test]
    async fn a_name_above_255_bytes_is_no_target_for_socks() {
        let to = format!("https://{}.test/", "x".repeat(255));
        for url in ["socks5h://proxy.test", "socks4a://proxy.test"] {
            let error = talk(url, &to, &mut Builder::new()).await.unwrap_err();
            assert_eq!(*error.problem(), ProxyProblem::BadTarget, "{url}");
        }
    }

    /// TR-5: SOCKS4 with an address and 4a with a name, with and without a user.
    #[tokio::test]
    async fn socks4_asks_for_names_and_addresses() {
        let granted = [0, 90, 0, 0, 0, 0, 0, 0];
        let table: [(&str, &str, &[u8]); 3] = [
            ("socks4://proxy.test", "http://10.1.2.3/", b"\x04\x01\x00\x50\x0a\x01\x02\x03\x00"),
            ("socks4://me@proxy.test", "https://10.1.2.3/", b"\x04\x01\x01\xbb\x0a\x01\x02\x03me\x00"),
            (
                "socks4a://proxy.test",
                "https://sentry.test/",
                b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00sentry.test\x00",
            ),
        ];
        for (url, to, request) in table {
            let mut script = Builder::new();
            script.write(request).read(&granted);
            talk(url, to, &mut script).await.unwrap();
        }
        let request = b"\x04\x01\x00\x50\x0a\x01\x02\x03\x00";
        for (reply, problem) in [
            ([0, 91, 0, 0, 0, 0, 0, 0], ProxyProblem::Socks(91)),
            ([0, 93, 0, 0, 0, 0, 0, 0], ProxyProblem::Socks(93)),
            ([5, 0, 0, 0, 0, 0, 0, 0], ProxyProblem::Malformed),
        ] {
            let mut script = Builder::new();
            script.write(request).read(&reply);
            let error = talk("socks4://proxy.test", "http://10.1.2.3/", &mut script).await.unwrap_err();
            assert_eq!(*error.problem(), problem);
        }
        let error = talk("socks4://proxy.test", "http://[fd00::1]/", &mut Builder::new()).await.unwrap_err();
        assert_eq!(*error.problem(), ProxyProblem::NoAddress);
    }

    /// TR-9: not a byte of the target's is swallowed, even where it comes in one piece with the last reply: an HTTP/2
    /// server may speak first.
    #[tokio::test]
    async fn socks_leaves_the_targets_first_bytes_alone() {
        let five = [&[5, 0][..], OPEN, b"early"].concat();
        let five_named = [&[5, 0][..], &[5, 0, 0, 3, 2, b'a', b'b', 0, 1], b"early"].concat();
        let four = [&[0, 90, 0, 0, 0, 0, 0, 0][..], b"early"].concat();
        for (url, sent) in [
            ("socks5h://proxy.test", five),
            ("socks5://proxy.test", five_named),
            ("socks4://proxy.test", four),
        ] {
            let (mut here, mut there) = tokio::io::duplex(1024);
            there.write_all(&sent).await.unwrap();
            shake_hands(&mut here, &proxy(url), &target("http://10.1.2.3/")).await.unwrap();
            drop(there);
            let mut rest = String::new();
            here.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, "early", "{url}");
        }
    }
}

fn url() -> impl Strategy<Value = &'static str> {
    let socks = cfg!(feature = "socks");
    let all =
        ["http://u:p@proxy.test", "http://proxy.test", "socks5h://u:p@proxy.test", "socks4a://u@proxy.test"];
    prop::sample::select(if socks { all.to_vec() } else { all[..2].to_vec() })
}

proptest! {
    /// TR-5: whatever a proxy says, the talk ends: no panic, no hang, nothing read without end.
    #[test]
    fn any_answer_ends_the_talk(
        url in url(),
        start in prop::sample::select(vec![&b""[..], b"HTTP/1.1 200 ", b"HTTP/1.1 ", &[5, 2, 1, 0, 5, 0, 0], &[5, 0, 5, 0, 0], &[0, 90]]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = [start, &rest].concat();
        let result = runtime.block_on(async {
            let (mut here, mut there) = tokio::io::duplex(64 * 1024);
            tokio::io::AsyncWriteExt::write_all(&mut there, &answer).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(&mut there).await.unwrap();
            shake_hands(&mut here, &proxy(url), &target("https://sentry.test/")).await
        });
        if let Ok(early) = result {
            prop_assert!(answer.ends_with(&early));
        }
    }

    /// TR-4: a host can say nothing else to the proxy than where it is.
    #[test]
    fn a_target_is_one_line(host in "[a-zA-Z0-9._~!$&'()*+,;=-]{1,40}", port in 1..u16::MAX) {
        if let Ok(uri) = format!("https://{host}:{port}/").parse() {
            let authority = Target::of(&uri).unwrap().authority();
            prop_assert_eq!(authority, format!("{host}:{port}"));
        }
    }
}

/// The scheme of a URL decides the protocol and nothing else does.
#[test]
fn schemes_have_names() {
    assert_eq!(proxy("https://proxy.test").scheme(), ProxyScheme::Https);
    assert!(ProxyScheme::Https.is_http() && !ProxyScheme::Socks4.is_http());
}
