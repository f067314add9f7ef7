//! Where envelopes go.

use envoi_testkit::ingest::IngestServer;
use envoi_testkit::tls::{Authority, ServerTls};

use crate::client::{NOWHERE, Relay, STUCK, config, event, post};
use crate::support::proxy::{Proxy, Role};
use crate::support::{Folder, run};

/// AU-1: with a DSN as upstream everything goes to that project; with a host, each to its own.
#[tokio::test]
async fn a_dsn_takes_all_and_a_host_takes_each_to_its_project() {
    let server = IngestServer::start().await.unwrap();
    let auth = "x-sentry-auth: Sentry sentry_key=theirs";
    let one = Relay::start(&["--upstream", &server.dsn()]).await;
    assert_eq!(one.send(post("/api/7/envelope/", &[auth], event(1))).await.status, 200);
    server.wait_for(1, STUCK).await.unwrap();
    let each = Relay::start(&["--upstream", &format!("http://{}/", server.address())]).await;
    assert_eq!(each.send(post("/api/7/envelope/", &[auth], event(2))).await.status, 200);
    server.wait_for(2, STUCK).await.unwrap();
    let seen: Vec<_> = server
        .requests()
        .iter()
        .map(|record| (record.project.clone().unwrap(), record.key.clone().unwrap()))
        .collect();
    assert_eq!(seen[0].0, "42");
    assert!(server.dsn().contains(&seen[0].1));
    assert_eq!(seen[1], ("7".to_owned(), "theirs".to_owned()));
    let bad = each.send(post("/api/..%2f..%2fadmin/envelope/", &[auth], event(3))).await;
    assert_eq!(bad.status, 400, "{bad:?}");
}

/// Pass-through goes where the header of the envelope says, if the list allows it; without a list it does not begin.
#[tokio::test]
async fn pass_through_follows_the_header_to_listed_hosts_only() {
    let server = IngestServer::start().await.unwrap();
    let host = format!("http://{}", server.address());
    let relay = Relay::start(&["--upstream", "pass-through", "--upstream-host", &host]).await;
    let send = async |header: &str| {
        relay.send(post("/api/42/envelope/", &[], format!("{header}\n{{\"type\":\"event\"}}\n{{}}"))).await
    };
    let taken = send(&format!("{{\"dsn\":\"{}\"}}", server.dsn())).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    server.wait_for(1, STUCK).await.unwrap();
    let refused = send("{\"dsn\":\"http://key@169.254.169.254/42\"}").await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body.contains("--upstream-host"), "{refused:?}");
    let auth = "x-sentry-auth: Sentry sentry_key=key";
    let refused = relay.send(post("/api/42/envelope/", &[auth], event(1))).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("tunnel"), "{refused:?}");

    let none = run(&["relay", "--upstream", "pass-through"]).await;
    assert_eq!(none.code, 2, "{none:?}");
    assert!(none.error_line().contains("--upstream-host"), "{none:?}");
}

#[tokio::test]
async fn keys_that_are_not_allowed_are_refused() {
    let folder = Folder::new();
    let config = config(&folder, "allowed_keys = [\"mine\"]");
    let relay = Relay::start(&["--upstream", NOWHERE, "--config", &config]).await;
    let with = |key: &str| {
        let auth = format!("x-sentry-auth: Sentry sentry_key={key}");
        post("/api/42/envelope/", &[&auth], event(1))
    };
    assert_eq!(relay.send(with("mine")).await.status, 200);
    assert_eq!(relay.send(with("theirs")).await.status, 403);
    let tunnelled = "{\"dsn\":\"http://theirs@h/42\"}\n{\"type\":\"event\"}\n{}";
    assert_eq!(relay.send(post("/api/42/envelope/", &[], tunnelled)).await.status, 403);
}

/// What clients name does not open destinations without end: when all places are taken by such that still hold something,
/// a new one is refused; one that is done makes room, and its directory goes.
#[tokio::test]
async fn destinations_are_bounded_and_make_room() {
    let folder = Folder::new();
    let server = IngestServer::start().await.unwrap();
    let config = config(&folder, "[limits]\ndestinations = 2");
    let host = format!("http://{}", server.address());
    let spool = folder.name("spool");
    let relay = Relay::start(&["--upstream", &host, "--spool", &spool, "--config", &config]).await;
    let send = async |project: usize| {
        let auth = "x-sentry-auth: Sentry sentry_key=key";
        relay.send(post(&format!("/api/{project}/envelope/"), &[auth], event(project))).await
    };
    server.go_down().await;
    assert_eq!((send(1).await.status, send(2).await.status), (200, 200));
    let refused = send(3).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("60")), "{refused:?}");
    server.come_up().await.unwrap();
    server.wait_for(2, STUCK).await.unwrap();
    relay.until(|status| status["forwarded"] == 2).await;
    for project in 3..8 {
        // It is not at rest before its last record is settled.
        let taken = async { while send(project).await.status != 200 {} };
        tokio::time::timeout(STUCK, taken).await.unwrap();
        server.wait_for(project as u64, STUCK).await.unwrap();
    }
    let status = relay.until(|status| status["forwarded"] == 7).await;
    assert!(status["destinations"].as_array().unwrap().len() <= 2, "{status}");
    assert!(status["destinations_closed"].as_u64().unwrap() >= 5, "{status}");
    let directories =
        std::fs::read_dir(&spool).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert!(directories.count() <= 2);
    let (run, summary) = relay.stop().await;
    assert_eq!((run.code, &summary["ledger"][0]["delivered"]), (0, &7.into()), "{summary}");
}

/// A destination of which nothing comes and in which nothing is left is closed; its books stay, and it opens again.
#[tokio::test]
async fn unused_destinations_are_closed_and_open_again() {
    let folder = Folder::new();
    let server = IngestServer::start().await.unwrap();
    let config = config(&folder, "[timeouts]\ndestination_idle = \"100ms\"");
    let host = format!("http://{}", server.address());
    let spool = folder.name("spool");
    let mut relay = Relay::start(&["--upstream", &host, "--spool", &spool, "--config", &config]).await;
    for round in 1..3 {
        assert_eq!(relay.post(event(round)).await.status, 200);
        server.wait_for(round as u64, STUCK).await.unwrap();
        let closed = relay.watched.line_with("\"closed\"").await;
        assert!(closed.contains("/42"), "{closed}");
    }
    let status = relay.until(|status| status["destinations_closed"] == 2).await;
    assert_eq!((&status["closed"][0]["delivered"], &status["forwarded"]), (&2.into(), &2.into()), "{status}");
    assert_eq!(status["destinations"].as_array().unwrap().len(), 0, "{status}");
    let page = relay.get("/").await.body;
    assert!(page.contains("2 destinations closed"), "{page}");
    let (run, summary) = relay.stop().await;
    assert_eq!((run.code, &summary["ledger"][0]["delivered"]), (0, &2.into()), "{summary}");
}

/// TR-5: an upstream with https is verified against the roots of the machine, which the environment may name; one that is
/// not trusted gets nothing, and the page says why.
#[tokio::test]
async fn an_https_upstream_is_verified() {
    let authority = Authority::new("relay tests");
    let tls = ServerTls::new(authority.for_localhost());
    let server = IngestServer::builder().tls(tls).start().await.unwrap();
    assert!(server.dsn().starts_with("https://"));
    let folder = Folder::new().with("roots.pem", authority.pem());
    let config = config(&folder, "");
    let args = ["--upstream", &server.dsn(), "--config", &config];

    let stranger = Relay::start(&args).await;
    assert_eq!(stranger.post(event(1)).await.status, 200);
    let status =
        stranger.until(|status| status["destinations"][0]["troubles"][0]["message"].is_string()).await;
    let trouble = status["destinations"][0]["troubles"][0]["message"].as_str().unwrap();
    assert!(trouble.contains("TLS"), "{trouble}");
    stranger.kill().await;

    let relay = Relay::start_with(&args, &[("SSL_CERT_FILE", &folder.name("roots.pem"))]).await;
    assert_eq!(relay.post(event(2)).await.status, 200);
    let arrived = server.wait_for(1, STUCK).await.unwrap();
    assert_eq!(&**arrived[0].items()[0].payload(), b"{\"message\":\"event 2\"}");
}

/// TR-3, TR-5: the file may name an authority and a proxy of its own; whoever goes another way gets nothing.
#[tokio::test]
async fn the_file_names_authority_and_proxy() {
    let authority = Authority::new("relay tests");
    let tls = ServerTls::new(authority.for_localhost());
    let server = IngestServer::builder().tls(tls).start().await.unwrap();
    let proxy = Proxy::start(Role::Tunnel(server.address())).await;
    let folder = Folder::new().with("own.pem", authority.pem());
    let path = folder.path("relay.toml");
    let text = format!(
        "[forward]\nca = \"{}\"\nproxy = \"{}\"\nno_proxy = \"spared.example\"\n",
        folder.name("own.pem"),
        proxy.url()
    );
    std::fs::write(&path, text).unwrap();
    let relay = Relay::start(&["--upstream", &server.dsn(), "--config", path.to_str().unwrap()]).await;
    assert_eq!(relay.post(event(1)).await.status, 200);
    server.wait_for(1, STUCK).await.unwrap();
    assert!(proxy.heads()[0].contains("proxy-authorization: basic"), "{:?}", proxy.heads());
    let (run, summary) = relay.stop().await;
    assert_eq!((run.code, &summary["forwarded"]), (0, &1.into()), "{summary}");
    assert!(!run.both().contains("s3cret"), "{run:?}");
}
