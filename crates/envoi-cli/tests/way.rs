//! The options of `envoi send` about the way to the server: certificates, proxies, and `-v`.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use envoi_testkit::ingest::{IngestServer, Step};
use envoi_testkit::tls::{Authority, Certificate, ServerTls, Validity};
use http::{StatusCode, Version};
use support::proxy::{Proxy, Role};
use support::{Folder, envoi, event, finish, run};

async fn secure(tls: ServerTls) -> IngestServer {
    IngestServer::builder().tls(tls).start().await.unwrap()
}

/// An envelope, and what a client may need.
fn folder(authority: &Authority, client: &Certificate) -> Folder {
    Folder::new()
        .with("a.envelope", event(10))
        .with("ca.pem", authority.pem())
        .with("client.pem", client.pem())
        .with("client.key", client.key_pem())
        .with("both.pem", format!("{}{}", client.key_pem(), client.pem()))
}

/// TR-5, TR-9: an authority and a client certificate from files, and `-v` tells each phase with what was agreed on.
#[tokio::test]
async fn certificates_come_from_files_and_phases_are_told() {
    let authority = Authority::new("CA");
    let client = authority.issue_client("agent", Validity::Current);
    let server = secure(ServerTls::new(authority.for_localhost()).require_client(&authority)).await;
    let folder = folder(&authority, &client);
    let [ca, cert, key, both, file] =
        ["ca.pem", "client.pem", "client.key", "both.pem", "a.envelope"].map(|name| folder.name(name));
    let dsn = server.dsn().replacen('@', ":s3cret@", 1);
    for identity in [&["--cert", &cert, "--key", &key] as &[&str], &["--cert", &both]] {
        let args = [&["send", "--dsn", &dsn, "-v", "--cacert", &ca] as &[&str], identity, &[&file]].concat();
        let run = run(&args).await;
        assert_eq!(run.code, 0, "{run:?}");
        let (host, peer) = (server.address().to_string(), format!("connected to {}", server.address()));
        for (phase, words) in [
            ("proxy", "none: this machine is reached without those of the environment"),
            ("tcp", peer.as_str()),
            ("tls", &host),
            ("tls", "TLSv1_3"),
            ("tls", ", h2, 1 certificate"),
            ("request", "bytes written"),
            ("reply", "200 OK over HTTP/2.0"),
        ] {
            let told = run.stderr.lines().any(|line| line.starts_with(phase) && line.contains(words));
            assert!(told, "{phase}: {words}: {}", run.stderr);
        }
        assert!(run.stderr.lines().any(|line| line.starts_with("tls") && line.ends_with(" ms)")), "{run:?}");
        assert!(!run.both().contains("s3cret") && !run.both().contains("PRIVATE KEY"), "{run:?}");
    }
    assert!(server.requests().iter().all(|record| record.head.version == Version::HTTP_2));
    assert_eq!(server.summary().accepted, 2);
}

/// TR-5: what is wrong between the two is said with the way out, and nothing is delivered.
#[tokio::test]
async fn a_stranger_is_not_believed() {
    let (authority, stranger) = (Authority::new("CA"), Authority::new("stranger"));
    let client = stranger.issue_client("agent", Validity::Current);
    let folder = folder(&authority, &client);
    let [ca, both, file] = ["ca.pem", "both.pem", "a.envelope"].map(|name| folder.name(name));
    let ours = || ServerTls::new(authority.for_localhost());
    let expired = ServerTls::new(authority.issue(&["127.0.0.1"], Validity::Past));
    let other = ServerTls::new(authority.issue(&["elsewhere.example"], Validity::Current));
    for (tls, options, words) in [
        (ServerTls::new(stranger.for_localhost()), &["--cacert", &ca] as &[&str], "not trusted here"),
        (expired, &["--cacert", &ca], "has expired"),
        (other, &["--cacert", &ca], "for other names"),
        (ours().require_client(&authority), &["--cacert", &ca], "asks for a client certificate"),
        (
            ours().require_client(&authority),
            &["--cacert", &ca, "--cert", &both],
            "refused the client certificate",
        ),
    ] {
        let server = secure(tls).await;
        let run = run(&[&["send", "--dsn", &server.dsn(), "-v"], options, &[&file]].concat()).await;
        assert_eq!(run.code, 1, "{words}: {run:?}");
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
        assert_eq!(server.summary().accepted, 0);
    }
}

/// AU-7, TR-5: a file that is not what it should be is named with its option before anything is sent, in one line.
#[tokio::test]
async fn bad_files_are_named() {
    let authority = Authority::new("CA");
    let client = authority.issue_client("agent", Validity::Current);
    let other = authority.issue_client("other", Validity::Current);
    let folder = folder(&authority, &client)
        .with("text.pem", "no certificate in here\n")
        .with("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n")
        .with("other.key", other.key_pem());
    let secret = client.key_pem().lines().nth(1).unwrap();
    let path = |name: &str| folder.name(name);
    let (missing, text, cut) = (path("missing.pem"), path("text.pem"), path("cut.pem"));
    let (cert, key, other) = (path("client.pem"), path("client.key"), path("other.key"));
    for (options, words) in [
        (&["--cacert", &missing] as &[&str], ["--cacert", &missing, "cannot be read"]),
        (&["--cacert", &text], ["--cacert", &text, "no certificate found"]),
        (&["--cacert", &cut], ["--cacert", &cut, "not valid PEM"]),
        (&["--cert", &cert], ["--cert without --key", &cert, "no private key found"]),
        (&["--cert", &cert, "--key", &other], ["--key", &other, "belongs to another certificate"]),
        (&["--cert", &cert, "--key", &missing], ["--key", &missing, "cannot be read"]),
        (&["--key", &key], ["--cert", "--cert", "required"]),
        (&["--proxy", "gopher://user:s3cret@proxy"], ["--proxy", "gopher", "use one of http"]),
        (&["--no-proxy", "fine.example,no/t"], ["--no-proxy", "`no/t`", "separate them by commas"]),
    ] {
        let targets: [&[&str]; 2] =
            [&["--dsn", "https://key@127.0.0.1:1/1"], &["--batch", "https://127.0.0.1:1/"]];
        for target in targets {
            let run = run(&[&["send"], target, options, &["no/such/file"]].concat()).await;
            assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{options:?}: {run:?}");
            let line = run.error_line();
            assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
            assert!(!line.contains("s3cret") && !line.contains(secret), "{line}");
        }
    }
}

/// TR-3, TR-4, AU-7: the proxy of the option carries requests in absolute-form and tunnels for https, with its
/// credentials, which nothing shows; the hosts of `--no-proxy` are reached without it.
#[tokio::test]
async fn a_proxy_is_used_or_spared() {
    let authority = Authority::new("CA");
    let folder = folder(&authority, &authority.issue_client("agent", Validity::Current));
    let (ca, file) = (folder.name("ca.pem"), folder.name("a.envelope"));
    let server = secure(ServerTls::new(authority.issue(&["sentry.test"], Validity::Current))).await;

    let tunnel = Proxy::start(Role::Tunnel(server.address())).await;
    let args = ["send", "--dsn", "https://key@sentry.test/42", "-v", "--cacert", &ca];
    let run = support::run(&[&args as &[&str], &["--proxy", &tunnel.url(), &file]].concat()).await;
    assert_eq!(run.code, 0, "{run:?}");
    let told: Vec<_> = run.stderr.lines().filter(|line| line.starts_with("proxy")).collect();
    let place = tunnel.address();
    assert!(told[0].contains(&format!("http://{place}: --proxy says so")), "{told:?}");
    assert!(told[1].contains(&format!("http://{place} opened the way: CONNECT")), "{told:?}");
    assert!(!run.both().contains("s3cret"), "{run:?}");
    let heads = tunnel.heads();
    assert!(heads[0].starts_with("connect sentry.test:443 http/1.1\r\n"), "{heads:?}");
    assert!(heads[0].contains("\r\nproxy-authorization: basic "), "{heads:?}");

    let plain = Proxy::start(Role::Answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")).await;
    let args = ["send", "--dsn", "http://key@sentry.test/42", &file];
    let run = support::run(&[&args as &[&str], &["--proxy", &plain.url()]].concat()).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(plain.heads()[0].starts_with("post http://sentry.test/api/42/envelope/ http/1.1\r\n"));
    let mut command = envoi(&args);
    command.env("http_proxy", plain.url());
    assert_eq!(finish(command).await.code, 0);
    assert_eq!(plain.heads().len(), 2);

    let direct = IngestServer::start().await.unwrap();
    let args = ["send", "--dsn", &direct.dsn(), "--proxy", &plain.url(), "--no-proxy", "127.0.0.0/8", &file];
    assert_eq!(support::run(&args).await.code, 0);
    assert_eq!((plain.heads().len(), direct.summary().accepted), (2, 1));
}

/// TR-4, TR-5, AU-7: batches go the same way, with the same files.
#[tokio::test]
async fn batches_go_the_same_way() {
    let authority = Authority::new("CA");
    let client = authority.issue_client("agent", Validity::Current);
    let certificate = authority.issue(&["logs.test"], Validity::Current);
    let server = secure(ServerTls::new(certificate).require_client(&authority)).await;
    server.otherwise(Step::reply(StatusCode::ACCEPTED));
    let proxy = Proxy::start(Role::Tunnel(server.address())).await;
    let folder = folder(&authority, &client).with("a.jsonl", "{\"number\":1}\n");
    let [ca, both, file] = ["ca.pem", "both.pem", "a.jsonl"].map(|name| folder.name(name));
    let url = proxy.url();
    let args = [
        "send",
        "--batch",
        "https://logs.test/events",
        "--cacert",
        &ca,
        "-v",
        "--proxy",
        &url,
        "--retries",
        "0",
    ];
    for (identity, code, words) in [
        (&["--cert", &both] as &[&str], 0, "202 Accepted"),
        (&[], 1, "the server asks for a client certificate"),
    ] {
        let run = run(&[&args as &[&str], identity, &[&file]].concat()).await;
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
        assert!(!run.both().contains("s3cret"), "{run:?}");
    }
    assert!(proxy.heads().iter().all(|head| head.starts_with("connect logs.test:443 ")));
    let requests = server.requests();
    assert_eq!((requests.len(), requests[0].head.uri.path()), (1, "/events"));
}
