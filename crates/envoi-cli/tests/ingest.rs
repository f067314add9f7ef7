//! `envoi ingest`, driven by the same binary as a client.
#![allow(clippy::unwrap_used, reason = "test code")]
#![cfg(unix)]

mod support;

use envoi_testkit::corpus;
use serde_json::{Value, json};
use support::{Run, Watched, copies, envoi, event, run, run_with_input};

/// A running `envoi ingest --json` at a free port, and its DSN.
async fn ingest(more: &[&str]) -> (Watched, String) {
    let mut watched =
        Watched::start(envoi(&[&["ingest", "--listen", "127.0.0.1:0", "--json"], more].concat()));
    let listening: Value = serde_json::from_str(&watched.line().await).unwrap();
    assert_eq!(listening["type"], "listening");
    let dsn = listening["dsn"].as_str().unwrap().to_owned();
    (watched, dsn)
}

async fn stop(watched: Watched, signal: &str) -> Run {
    watched.signal(signal).await;
    watched.end().await
}

async fn send_one(dsn: &str) -> i32 {
    run_with_input(&["send", "--dsn", dsn, "-"], event(10).as_bytes()).await.code
}

#[tokio::test]
async fn every_envelope_is_a_line_and_signals_end_it_with_a_summary() {
    for signal in ["INT", "TERM"] {
        let (mut watched, dsn) = ingest(&[]).await;
        let sample = corpus::get("python-attachments.event+attachment.envelope").unwrap();
        assert_eq!(run_with_input(&["send", "--dsn", &dsn, "-"], sample.bytes).await.code, 0);
        let line: Value = serde_json::from_str(&watched.line().await).unwrap();
        assert_eq!((&line["type"], &line["status"]), (&json!("request"), &json!(200)));
        assert_eq!((&line["encoding"], &line["problems"]), (&json!("gzip"), &json!([])));
        assert_eq!(
            (&line["items"][0]["type"], &line["path"]),
            (&json!("event"), &json!("/api/42/envelope/"))
        );
        let run = stop(watched, signal).await;
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        let summary = run.json();
        assert_eq!((&summary["type"], &summary["accepted"]), (&json!("summary"), &json!(1)));
        assert_eq!((&summary["statuses"]["200"], &summary["received"]["error"]), (&json!(1), &json!(1)));
    }
}

#[tokio::test]
async fn people_get_the_dsn_a_line_and_a_table() {
    let mut watched = Watched::start(envoi(&["ingest", "--listen", "127.0.0.1:0"]));
    watched.line_with("listening on 127.0.0.1:").await;
    let dsn = watched.line().await.trim().to_owned();
    assert_eq!(send_one(&dsn).await, 0);
    let line = watched.line_with(" 200 ").await;
    assert!(line.contains(" identity ") && line.ends_with(" event"), "{line}");
    let run = stop(watched, "INT").await;
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("200 OK") && run.stdout.contains("error"), "{run:?}");
    assert!(!run.stdout.contains('\u{1b}'));
}

/// CR-3, CR-5: every fault comes once, and then the client reports what it cost.
#[tokio::test]
async fn faults_come_as_asked_for() {
    for (fault, status) in
        [("503*1", json!(503)), ("reset*1", Value::Null), ("half*1", Value::Null), ("garbage*1", Value::Null)]
    {
        let (mut watched, dsn) = ingest(&["--fail", fault]).await;
        assert_eq!(send_one(&dsn).await, 1);
        let line: Value = serde_json::from_str(&watched.line().await).unwrap();
        assert_eq!((&line["status"], &line["items"][0]["type"]), (&status, &json!("event")), "{fault}");
        let line: Value = serde_json::from_str(&watched.line().await).unwrap();
        assert_eq!((&line["status"], &line["items"][0]["type"]), (&json!(200), &json!("client_report")));
        assert_eq!(send_one(&dsn).await, 0);
        watched.line().await;
        let summary = stop(watched, "TERM").await.json();
        assert_eq!((&summary["requests"], &summary["accepted"]), (&json!(3), &json!(2)), "{fault}");
        assert_eq!(summary["unanswered"], u64::from(status.is_null()), "{fault}");
    }
}

/// RL-1: a limit that `--fail` announces goes along with the usual answer, and is obeyed by a client.
#[tokio::test]
async fn limits_that_are_asked_for_reach_the_client() {
    let (watched, dsn) = ingest(&["--fail", "rate=60:session:organization"]).await;
    let folder = copies(20, corpus::get("rust-session.event+session.envelope").unwrap().bytes);
    let sent = run(&["send", "--dsn", &dsn, "--concurrency", "1", "--json", folder.root()]).await;
    let mut lines = sent.json_lines();
    let balance = lines.pop().unwrap();
    assert_eq!((sent.code, &balance["delivered"]["envelopes"]), (1, &json!(20)), "{balance}");
    assert_eq!(balance["limited"]["items"], 19, "{balance}");
    assert!(lines.iter().all(|line| line["id"].is_string()), "judged as usual: {}", sent.stdout);
    let received = stop(watched, "INT").await.json_lines().pop().unwrap();
    assert_eq!((&received["received"]["error"], &received["received"]["session"]), (&json!(20), &json!(1)));
}

/// Two events in one envelope, which nobody accepts.
const TWO_EVENTS: &str = "{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"event\"}\n{}\n";

/// RL-2: `retry-after` on a success is no limit, and the request is judged as usual.
#[tokio::test]
async fn an_addition_does_not_replace_the_judgement() {
    let (watched, dsn) = ingest(&["--fail", "retry-after=60"]).await;
    assert_eq!((send_one(&dsn).await, send_one(&dsn).await), (0, 0));
    let bad = run_with_input(&["send", "--dsn", &dsn, "--json", "-"], TWO_EVENTS.as_bytes()).await;
    assert_eq!((bad.code, &bad.json_lines()[0]["status"]), (1, &json!(400)), "{bad:?}");
    let summary = stop(watched, "INT").await.json_lines().pop().unwrap();
    assert_eq!(summary["statuses"]["400"], 1, "{summary}");
}

#[tokio::test]
async fn what_is_no_envelope_is_refused_and_named() {
    let (mut watched, dsn) = ingest(&[]).await;
    let (_, rest) = dsn.split_once('@').unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET /nothing?secret=s3cr3t HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let line = watched.line().await;
    let record: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&record["status"], &record["accepted"]), (&json!(404), &json!(false)));
    assert!(!record["problems"].as_array().unwrap().is_empty(), "{line}");
    assert!(!line.contains("s3cr3t"), "a query string may hold credentials: {line}");
    stop(watched, "INT").await;
}

#[tokio::test]
async fn an_address_in_use_is_one_line_with_the_way_out() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let run = run(&["ingest", "--listen", &taken.local_addr().unwrap().to_string()]).await;
    assert_eq!(run.code, 1);
    assert!(run.error_line().contains("--listen 127.0.0.1:0"), "{run:?}");
}
