//! Nothing that a client does costs the relay more than its bounds, or costs other clients anything.

use std::io::Write;

use envoi_testkit::ingest::IngestServer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{Answer, NOWHERE, Relay, STUCK, config, event, post};
use crate::support::Folder;

const AUTH: &str = "x-sentry-auth: Sentry sentry_key=key";

async fn with(settings: &str, upstream: &str) -> (Relay, Folder) {
    let folder = Folder::new();
    let config = config(&folder, settings);
    (Relay::start(&["--upstream", upstream, "--config", &config]).await, folder)
}

/// A head that does not come to its end, and a body that does not.
#[tokio::test]
async fn slow_clients_are_sent_away() {
    let (relay, _folder) =
        with("[timeouts]\nheader = \"200ms\"\nbody = \"200ms\"\nidle = \"5s\"", NOWHERE).await;
    let mut stalled = TcpStream::connect(relay.address).await.unwrap();
    stalled.write_all(b"POST /api/42/envelope/ HTTP/1.1\r\nhost: re").await.unwrap();
    let ended = Answer::read(&mut stalled).await;
    assert!(ended.status == 0 || ended.status == 408, "{ended:?}");

    let mut stalled = TcpStream::connect(relay.address).await.unwrap();
    let whole = post("/api/42/envelope/", &[AUTH], event(1));
    stalled.write_all(&whole[..whole.len() - 5]).await.unwrap();
    let ended = Answer::read(&mut stalled).await;
    assert_eq!(ended.status, 408, "{ended:?}");
    assert!(ended.body.contains("timeouts.body"), "{ended:?}");
    assert_eq!(relay.post(event(1)).await.status, 200);
}

/// A client that moves nothing at all, before its first request or after one, is gone with the idle time.
#[tokio::test]
async fn idle_connections_end() {
    let (relay, _folder) = with("[timeouts]\nheader = \"5s\"\nidle = \"200ms\"", NOWHERE).await;
    let mut silent = TcpStream::connect(relay.address).await.unwrap();
    assert_eq!(Answer::read(&mut silent).await.status, 0);
    let mut kept = TcpStream::connect(relay.address).await.unwrap();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(Answer::read(&mut kept).await.status, 200, "answered, and closed only then");
}

/// CO-1: too large by its length, too large in chunks, too large when it is decoded.
#[tokio::test]
async fn oversize_and_bombs_are_refused() {
    let (relay, _folder) = with("[limits]\nbody = \"64 KiB\"\nmemory = \"1 MiB\"", NOWHERE).await;
    let large = "x".repeat(300 << 10);
    let refused = relay.post(&large).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    assert!(refused.body.contains("65536 bytes"), "{refused:?}");
    let chunks = format!(
        "POST /api/42/envelope/ HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n{AUTH}\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    );
    assert_eq!(relay.send(chunks).await.status, 413);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b'{'; 32 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 64 << 10);
    let refused = relay.send(post("/api/42/envelope/", &[AUTH, "content-encoding: gzip"], bomb)).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    assert_eq!(relay.post(event(1)).await.status, 200);
    let status = relay.status().await;
    assert_eq!(status["refusals"], serde_json::json!([["too_large", 3]]), "{status}");
}

#[tokio::test]
async fn garbage_and_endless_heads_cost_their_connection_only() {
    let (relay, _folder) = with("", NOWHERE).await;
    let head = format!(
        "POST /api/42/envelope/ HTTP/1.1\r\nhost: relay\r\nx-long: {}\r\n\r\n",
        "x".repeat(100 << 10)
    );
    let many: String = (0..500).map(|number| format!("x-{number}: 1\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nhost: relay\r\n{many}\r\n");
    let smuggled = "POST /api/42/envelope/ HTTP/1.1\r\nhost: relay\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef";
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\r\n\r\n".to_vec();
    for (request, statuses) in [
        (head.into_bytes(), &[431][..]),
        (many.into_bytes(), &[431]),
        (smuggled.as_bytes().to_vec(), &[400]),
        (tls, &[400, 0]),
        (b"\r\n\r\n\r\n\r\nGET\r\n\r\n".to_vec(), &[400, 0]),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[400, 405, 505, 0]),
        (vec![0; 4096], &[400, 0]),
    ] {
        let answer = relay.send(&request).await;
        assert!(statuses.contains(&answer.status), "{statuses:?}: {answer:?}");
    }
    assert_eq!(relay.post(event(1)).await.status, 200);
}

/// Clients that take all connections leave the relay what it needs to keep and to forward, also where a process may open
/// few files: it raises what it may raise, and takes no more connections than that allows, and says so.
#[cfg(unix)]
#[tokio::test]
async fn connections_leave_files_for_the_rest() {
    let folder = Folder::new();
    let (config, spool) = (config(&folder, "[limits]\nconnections = 200"), folder.name("spool"));
    for (limits, open) in [("ulimit -n 100; ", 50), ("ulimit -Sn 100; ", 200)] {
        let mut command = tokio::process::Command::new("sh");
        let run = format!("{limits} exec \"$0\" \"$@\"");
        command.args(["-c", &run, env!("CARGO_BIN_EXE_envoi"), "relay", "--json", "--listen", "127.0.0.1:0"]);
        command.args(["--upstream", NOWHERE, "--config", &config, "--spool", &spool, "--ack", "durable"]);
        command.kill_on_drop(true);
        let mut relay = Relay::watch(command).await;
        if open < 200 {
            let warning = relay.watched.line_with("\"warning\"").await;
            assert!(warning.contains("enough for 50 connections"), "{warning}");
        }
        let mut all = Vec::new();
        for _ in 1..open {
            all.push(TcpStream::connect(relay.address).await.unwrap());
        }
        // The last place; where it does not get the files for a disk buffer it is refused.
        assert_eq!(relay.post(event(1)).await.status, 200);
        let status = relay.status().await;
        assert_eq!(status["connections_limit"], open, "{status}");
        assert_eq!(status["not_durable"], 0, "{status}");
    }
}

/// More clients than places: those that do nothing are sent away, and everybody who sends something is served.
#[tokio::test]
async fn many_connections_share_few_places() {
    let server = IngestServer::start().await.unwrap();
    let (relay, _folder) =
        with("[limits]\nconnections = 4\n[timeouts]\nheader = \"200ms\"\nidle = \"200ms\"", &server.dsn())
            .await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(TcpStream::connect(relay.address).await.unwrap());
    }
    let address = relay.address;
    let mut clients = JoinSet::new();
    for number in 0..40 {
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&post("/api/42/envelope/", &[AUTH], event(number))).await.unwrap();
            Answer::read(&mut stream).await.status
        });
    }
    let statuses = tokio::time::timeout(STUCK, clients.join_all()).await.expect("somebody is not served");
    assert_eq!(statuses, [200; 40]);
    server.wait_for(40, STUCK).await.unwrap();
    drop(silent);
    assert!(relay.status().await["connections"].as_u64().unwrap() <= 4);
}

/// All envelopes in memory together have one bound, however many destinations they are for. Beyond it clients are told to
/// come later; when the upstream is back everything that was accepted arrives, and the memory is free again.
#[tokio::test]
async fn memory_is_bounded_and_comes_back() {
    let server = IngestServer::start().await.unwrap();
    server.go_down().await;
    let host = format!("http://{}", server.address());
    let (relay, _folder) = with("[limits]\nbody = \"128 KiB\"\nmemory = \"1 MiB\"", &host).await;
    let large = format!("{{}}\n{{\"type\":\"attachment\"}}\n{}", "x".repeat(100 << 10));
    let mut accepted = 0;
    let refused = loop {
        let path = format!("/api/{accepted}/envelope/");
        let answer = relay.send(post(&path, &[AUTH], &large)).await;
        if answer.status != 200 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 20, "there is no bound");
    };
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")), "{refused:?}");
    assert!(refused.body.contains("limits.memory"), "{refused:?}");
    assert!(accepted >= 5, "{accepted}");
    let status = relay.status().await;
    assert!(status["memory_bytes"].as_u64() <= status["memory_limit_bytes"].as_u64(), "{status}");
    server.come_up().await.unwrap();
    server.wait_for(accepted, STUCK).await.unwrap();
    relay.until(|status| status["memory_bytes"] == 0).await;
    assert_eq!(relay.post(&large).await.status, 200);
}

/// OC-4: in an outage the disk fills, and not the memory: copies that are kept besides leave room for what comes in, however
/// small the envelopes are and however many destinations they are for.
#[tokio::test]
async fn an_outage_fills_the_disk_and_not_the_memory() {
    let server = IngestServer::start().await.unwrap();
    server.go_down().await;
    let folder = Folder::new();
    let limits = "[limits]\nbody = \"128 KiB\"\nmemory = \"1 MiB\"\ndestinations = 8";
    let config = config(&folder, limits);
    let large = format!("{{}}\n{{\"type\":\"attachment\"}}\n{}", "x".repeat(100 << 10));
    let host = format!("http://{}", server.address());
    for (upstream, projects, count, body) in [(server.dsn(), 1, 600, event(1)), (host, 8, 40, large)] {
        let spool = folder.name(&format!("spool-{projects}"));
        let args = ["--upstream", &upstream, "--spool", &spool, "--ack", "durable", "--config", &config];
        let relay = Relay::start(&args).await;
        for number in 0..count {
            let path = format!("/api/{}/envelope/", number % projects + 1);
            let answer = relay.send(post(&path, &[AUTH], &body)).await;
            assert_eq!(answer.status, 200, "envelope {number} of {count}: {answer:?}");
        }
        let (run, summary) = relay.stop().await;
        assert_eq!((run.code, &summary["kept"]), (0, &count.into()), "{summary}");
    }
}

/// TP-1, CR-2: a flood in one lane pushes out its own oldest, which is counted; what is more urgent still finds room.
#[tokio::test]
async fn a_flood_of_logs_costs_no_error() {
    let server = IngestServer::start().await.unwrap();
    server.go_down().await;
    let (relay, _folder) = with("[limits]\nbody = \"128 KiB\"\nmemory = \"1 MiB\"", &server.dsn()).await;
    let logs = format!("{{}}\n{{\"type\":\"log\",\"item_count\":7}}\n{}", "x".repeat(50 << 10));
    for _ in 0..40 {
        assert_eq!(relay.post(&logs).await.status, 200);
    }
    for number in 0..10 {
        assert_eq!(relay.post(event(number)).await.status, 200);
    }
    server.come_up().await.unwrap();
    relay.until(|status| status["memory_bytes"] == 0).await;
    let (_, summary) = relay.stop().await;
    let row = |name: &str| {
        summary["ledger"].as_array().unwrap().iter().find(|row| row["category"] == name).unwrap().clone()
    };
    assert_eq!(row("error")["delivered"], 10, "{summary}");
    assert_eq!(row("log_item")["lost"][0][0], "queue_overflow", "{summary}");
    assert_eq!((&row("log_item")["posted"], &summary["balances"]), (&280.into(), &true.into()), "{summary}");
}
