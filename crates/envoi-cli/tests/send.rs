//! `envoi send` against an ingest server in this process.
#![cfg_attr(not(unix), allow(unused_imports, reason = "signals are sent on Unix only"))]

mod support;

use std::time::Duration;

use envoi_testkit::corpus;
use envoi_testkit::ingest::{IngestServer, Step};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use support::{Folder, Watched, envoi, event, finish, run, run_with_input};

async fn server() -> IngestServer {
    IngestServer::start().await.unwrap()
}

fn dsn(server: &IngestServer) -> String {
    server.dsn().to_string()
}

/// A folder with the whole corpus.
fn all_samples() -> Folder {
    corpus::all().iter().fold(Folder::new(), |folder, sample| folder.with(sample.name, sample.bytes))
}

/// The lines about envelopes, by file name, and the summary.
fn by_file(lines: &[Value]) -> (Vec<(&str, &str)>, &Value) {
    let (summary, envelopes) = lines.split_last().unwrap();
    assert_eq!(summary["type"], "summary");
    let mut outcomes: Vec<_> = envelopes
        .iter()
        .map(|line| {
            assert_eq!(line["type"], "envelope");
            let name = line["file"].as_str().unwrap().rsplit('/').next().unwrap();
            (name, line["outcome"].as_str().unwrap())
        })
        .collect();
    outcomes.sort_unstable();
    (outcomes, summary)
}

/// TR-6, CO-1: every real envelope arrives in every encoding, and the code says so.
#[tokio::test]
async fn the_corpus_is_delivered_in_every_encoding() {
    let folder = all_samples();
    for encoding in ["identity", "gzip", "deflate", "br", "zstd"] {
        let server = server().await;
        let run = run(&["send", "--dsn", &dsn(&server), "--encoding", encoding, folder.root()]).await;
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        let summary = server.shutdown().await;
        assert_eq!(summary.requests, 35);
        let table: Vec<_> = run.stdout.lines().collect();
        assert_eq!(table.len(), 4, "{}", run.stdout);
        assert!(table[1].starts_with("delivered") && table[1].ends_with("200 OK"), "{}", run.stdout);
        assert!(!run.both().contains('\u{1b}') && !run.both().contains('\r'), "no colours, no progress");
    }
}
