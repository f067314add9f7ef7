//! What a relay shows of itself.

use envoi_testkit::ingest::IngestServer;

use crate::client::{NOWHERE, Relay, STUCK, config, event};
use crate::support::Folder;

/// RL-12, TR-7: page, JSON and metrics show the same figures.
#[tokio::test]
async fn page_json_and_metrics_agree() {
    let server = IngestServer::start().await.unwrap();
    let folder = Folder::new();
    let relay = Relay::start(&["--upstream", &server.dsn(), "--spool", &folder.name("spool")]).await;
    for number in 0..3 {
        assert_eq!(relay.post(event(number)).await.status, 200);
    }
    server.wait_for(3, STUCK).await.unwrap();
    let status = relay.until(|status| status["forwarded"] == 3).await;
    assert_eq!(status["destinations"][0]["ledger"][0]["delivered"], 3, "{status}");
    assert_eq!(status["destinations"][0]["disk"]["state"], "in order");
    let metrics = relay.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(metrics.body.contains("\nenvoi_relay_envelopes_accepted_total 3\n"), "{}", metrics.body);
    let delivered =
        metrics.body.lines().find(|line| line.starts_with("envoi_items_delivered_total{")).unwrap();
    assert!(delivered.ends_with("category=\"error\"} 3"), "{delivered}");
    let page = relay.get("/").await;
    assert!(page.body.contains("3 envelopes") && page.body.contains("<svg"), "{}", page.body);
    assert!(
        !page.body.contains(server.dsn().split(['/', '@']).nth(2).unwrap()),
        "the whole key is shown nowhere"
    );
    assert!(!metrics.body.contains(server.dsn().split(['/', '@']).nth(2).unwrap()));
}

#[tokio::test]
async fn pages_are_kept_to_themselves() {
    let relay = Relay::start(&["--upstream", NOWHERE]).await;
    for path in ["/", "/status.css", "/status.js"] {
        let page = relay.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("x-frame-options"), Some("deny"));
    }
    let stranger =
        relay.send("GET /status.json HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await;
    assert_eq!(stranger.status, 403, "a name that was made to point here reads nothing: {stranger:?}");
    let head = relay.send("HEAD / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let posted = relay
        .send("POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        .await;
    assert_eq!(posted.status, 405);
    assert_eq!(relay.get("/favicon.ico").await.status, 404);
}

/// Health is for whoever starts it: ready until it stops.
#[tokio::test]
async fn health_says_ready_until_it_stops() {
    let server = IngestServer::start().await.unwrap();
    server.otherwise(envoi_testkit::ingest::Step::stall());
    let folder = Folder::new();
    let config = config(&folder, "[timeouts]\nshutdown = \"20s\"");
    let mut relay = Relay::start(&["--upstream", &server.dsn(), "--config", &config]).await;
    for path in ["/healthz", "/healthz/ready", "/healthz/live"] {
        assert_eq!(relay.get(path).await.status, 200, "{path}");
    }
    // A request that has begun when it stops is answered: it is not ready, and takes nothing more.
    let mut begun = Vec::new();
    for head in [
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n",
        "POST /api/42/envelope/ HTTP/1.1\r\nhost: relay\r\ncontent-length: 2\r\nconnection: close\r\n",
    ] {
        let mut stream = tokio::net::TcpStream::connect(relay.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
        begun.push(stream);
    }
    relay.until(|status| status["connections"] == 3).await;
    relay.watched.signal("TERM").await;
    relay.watched.line_with("\"stopping\"").await;
    for (mut stream, rest) in begun.into_iter().zip(["\r\n", "\r\n{}"]) {
        // Whoever was only connected may find the door closed.
        if tokio::io::AsyncWriteExt::write_all(&mut stream, rest.as_bytes()).await.is_ok() {
            let answer = crate::client::Answer::read(&mut stream).await;
            assert!([503, 0].contains(&answer.status), "{answer:?}");
        }
    }
    let run = relay.watched.end().await;
    assert_eq!(run.code, 0, "{run:?}");
}
