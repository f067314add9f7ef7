//! `envoi send --batch` against a server in this process.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use envoi_testkit::ingest::{IngestServer, Step};
use http::StatusCode;
use serde_json::{Value, json};
use support::{Folder, Watched, envoi, finish, run, run_with_input};

/// A server that takes note of whatever is posted to it.
async fn server() -> IngestServer {
    let server = IngestServer::start().await.unwrap();
    server.otherwise(Step::reply(StatusCode::ACCEPTED));
    server
}

fn lines(count: usize) -> String {
    (0..count).map(|number| format!("{{\"number\":{number}}}\n")).collect()
}

/// The numbers that arrived, in order, and the sizes of the batches.
fn arrived(server: &IngestServer) -> (Vec<u64>, Vec<usize>) {
    let batches: Vec<Vec<Value>> =
        server.requests().iter().map(|record| serde_json::from_slice(&record.body).unwrap()).collect();
    let numbers = batches.iter().flatten().map(|event| event["number"].as_u64().unwrap()).collect();
    (numbers, batches.iter().map(Vec::len).collect())
}

/// BD-8: a stream of any length from standard input arrives in order, in batches, and nothing gives way.
#[tokio::test]
async fn a_stream_is_delivered_in_order() {
    let server = server().await;
    let run = run_with_input(&["send", "--batch", &server.url(), "-"], lines(5000).as_bytes()).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let table: Vec<_> = run.stdout.lines().collect();
    assert!(table[1].starts_with("delivered") && table[1].contains("5,000"), "{}", run.stdout);
    let (numbers, sizes) = arrived(&server);
    assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
    assert!(sizes.iter().all(|size| *size <= 20) && sizes.len() >= 250, "{}", sizes.len());
}

/// BD-8, EN-3: bad lines are told with their numbers, and their neighbours arrive.
#[tokio::test]
async fn bad_lines_do_not_stop_the_others() {
    let server = server().await;
    let long = format!("\"{}\"", "x".repeat(2 << 20));
    let text = format!("{{\"number\":0}}\r\n\n{{\"number\":\n{long}\n{{\"number\":1}} x\n  {{\"number\":2}}");
    let folder = Folder::new().with("a.jsonl", text).with("b.jsonl", "{\"number\":3}\n");
    let (first, second) = (folder.name("a.jsonl"), folder.name("b.jsonl"));
    let plain = run(&["send", "--batch", &server.url(), &first, &second]).await;
    assert_eq!(plain.code, 1, "{plain:?}");
    let told: Vec<_> = plain.stderr.lines().collect();
    assert_eq!(told.len(), 3, "{plain:?}");
    assert!(told[0].contains("a.jsonl:3: malformed") && told[0].contains("line 1, column"), "{}", told[0]);
    assert!(told[1].contains("a.jsonl:4: malformed: longer than 1,048,576 bytes"), "{}", told[1]);
    assert!(told[2].contains("a.jsonl:5: malformed"), "{}", told[2]);
    assert_eq!(arrived(&server).0, [0, 2, 3]);

    let run = run(&["send", "--batch", &server.url(), "--json", &first, &second]).await;
    let mut lines = run.json_lines();
    let summary = lines.pop().unwrap();
    assert_eq!((&summary["events"], &summary["all_delivered"]), (&json!(6), &json!(false)));
    assert_eq!((&summary["delivered"]["events"], &summary["malformed"]["events"]), (&json!(3), &json!(3)));
    let places: Vec<_> = lines.iter().map(|line| (&line["type"], &line["line"], &line["outcome"])).collect();
    let bad = |number: u64| (json!("line"), json!(number), json!("malformed"));
    assert_eq!(places, [&bad(3), &bad(4), &bad(5)].map(|(kind, line, outcome)| (kind, line, outcome)));
}

/// AU-8, AU-7: the token comes from the environment, goes into the header and is shown to nobody.
#[tokio::test]
async fn the_token_comes_from_the_environment() {
    let server = server().await;
    let folder = Folder::new().with("a.jsonl", lines(1));
    let args =
        ["send", "--batch", &server.url(), "--bearer-env", "LOGS_TOKEN", "-vv", &folder.name("a.jsonl")];
    let mut command = envoi(&args);
    command.env("LOGS_TOKEN", "s3cret\n");
    let run = finish(command).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.both().contains("s3cret"), "{run:?}");
    assert_eq!(server.requests()[0].head.headers["authorization"], "Bearer s3cret");

    let missing = support::run(&args).await;
    assert_eq!(missing.code, 2);
    assert!(missing.error_line().contains("LOGS_TOKEN"), "{missing:?}");
}

/// BD-5: refused credentials end the command: what follows is not read.
#[tokio::test]
async fn refused_credentials_end_it() {
    let server = server().await;
    server.otherwise(Step::reply(StatusCode::FORBIDDEN).body(r#"{"detail":"revoked \u001b[31m"}"#));
    let folder = Folder::new().with("a.jsonl", lines(5000));
    let run = run(&["send", "--batch", &server.url(), "--json", &folder.name("a.jsonl")]).await;
    assert_eq!((run.code, server.requests().len()), (1, 1), "{run:?}");
    assert!(run.error_line().contains("what follows was not read"), "{run:?}");
    let lines = run.json_lines();
    assert_eq!((&lines[0]["outcome"], &lines[0]["status"]), (&json!("refused"), &json!(403)));
    assert_eq!(lines[0]["events"], 20);
    assert!(lines[0]["detail"].as_str().unwrap().starts_with("revoked"));
    let summary = &lines[1];
    assert_eq!(summary["refused"]["events"], 20);
    assert_eq!(summary["delivered"]["events"], 0);
    assert!(!run.stderr.contains('\u{1b}'));
}

/// BD-2, BD-7: a refusal of one batch is told, and the others arrive.
#[tokio::test]
async fn a_refused_batch_does_not_stop_the_others() {
    let server = server().await;
    server.script([Step::reply(StatusCode::BAD_GATEWAY), Step::reply(StatusCode::BAD_REQUEST)]);
    let folder = Folder::new().with("a.jsonl", lines(60));
    let run = run(&["send", "--batch", &server.url(), &folder.name("a.jsonl")]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.error_line().contains("20 events refused: the server refused the payload (400"), "{run:?}");
    assert!(run.stdout.lines().any(|line| line.starts_with("delivered") && line.contains("40")), "{run:?}");
}

/// BD-4: while the circuit is open the input waits, and Ctrl-C ends that; the balance accounts for every event.
#[cfg(unix)]
#[tokio::test]
async fn an_outage_makes_the_input_wait() {
    let server = server().await;
    server.otherwise(Step::reply(StatusCode::SERVICE_UNAVAILABLE));
    let folder = Folder::new().with("a.jsonl", lines(5000));
    let url = server.url();
    let watched = Watched::start(envoi(&[
        "send",
        "--batch",
        &url,
        "--retries",
        "0",
        "--json",
        &folder.name("a.jsonl"),
    ]));
    server.wait_until(|summary| summary.requests == 5, std::time::Duration::from_secs(60)).await.unwrap();
    watched.signal("INT").await;
    let run = watched.end().await;
    assert_eq!((run.code, server.requests().len()), (1, 5), "{run:?}");
    let summary = run.json_lines().pop().unwrap();
    let events = |outcome: &str| summary[outcome]["events"].as_u64().unwrap();
    assert_eq!((events("refused"), events("delivered")), (100, 0));
    assert!(summary["events"].as_u64().unwrap() <= 200, "the rest was not read: {summary}");
    assert_eq!(summary["events"], events("refused") + events("failed") + events("unsent"));
}

#[tokio::test]
async fn what_makes_no_sense_is_a_usage_error() {
    let folder = Folder::new().with("a.jsonl", lines(1));
    let file = folder.name("a.jsonl");
    for (args, word) in [
        (&["--batch", "ftp://logs.example/", &file][..], "http"),
        (&["--batch", "http://user:hunter2@logs.example/", &file], "credentials"),
        (&["--batch", "http://logs.example/", folder.root()], "directory"),
        (&["--batch", "http://logs.example/", "no/such/file"], "no/such/file"),
        (&["--bearer-env", "TOKEN", &file], "--batch"),
        (&["--batch", "http://logs.example/", "--spool", "x", &file], "--spool"),
    ] {
        let run = run(&[&["send"], args].concat()).await;
        assert_eq!(run.code, 2, "{args:?}: {run:?}");
        assert!(run.error_line().contains(word) && !run.both().contains("hunter2"), "{run:?}");
    }
}
