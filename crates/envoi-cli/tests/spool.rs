//! `envoi spool` on disk buffers that this process and killed ones have written.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use envoi::{Envelope, Item, Transport};
use envoi_testkit::ingest::{IngestServer, Step};
use http::StatusCode;
use serde_json::json;
use support::{Folder, run};

/// Nobody listens there.
const NOWHERE: &str = "http://public@127.0.0.1:9/1";

fn event(number: usize) -> Envelope {
    Envelope::new().with_item(Item::event(format!(r#"{{"message":"event {number}"}}"#))).unwrap()
}

fn open(dir: &str) -> Transport {
    envoi::sentry(NOWHERE).unwrap().disk_buffer(dir).build().unwrap()
}

/// A spool with this many envelopes in it, owned by nobody.
async fn filled(dir: &str, count: usize) {
    let transport = open(dir);
    for number in 0..count {
        transport.send_durable(event(number)).await.unwrap();
    }
    close(transport, dir).await;
}

/// Closes, and waits until the background has given the lock back. The binary looks: a lock of this process could be
/// inherited by the child of another test.
async fn close(transport: Transport, dir: &str) {
    transport.close(Duration::from_millis(50)).await;
    drop(transport);
    while !run(&["spool", "stats", "--json", dir]).await.json()["slots"][0]["owner"].is_null() {}
}

/// The only segment with records in it.
fn segment(dir: &Path) -> PathBuf {
    let mut found = Vec::new();
    for lane in std::fs::read_dir(dir.join("slot-00")).unwrap().map(|entry| entry.unwrap().path()) {
        if lane.is_dir() {
            found.extend(std::fs::read_dir(lane).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    let [path] = found.try_into().unwrap();
    path
}

/// A spool with three envelopes of which the second is damaged, and a torn end.
async fn damaged(dir: &str) {
    filled(dir, 3).await;
    let path = segment(Path::new(dir));
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(7).position(|window| window == b"event 1").unwrap();
    bytes[at] = b'E';
    bytes.extend_from_slice(b"garbage");
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn what_waits_is_listed_shown_and_summed_up() {
    let folder = Folder::new();
    filled(folder.root(), 3).await;
    let list = run(&["spool", "ls", folder.root()]).await;
    assert_eq!((list.code, list.stderr.as_str()), (0, ""), "{list:?}");
    assert!(list.stdout.contains("slot-00/critical/2") && list.stdout.contains("error 1"), "{list:?}");
    let list = run(&["spool", "ls", "--json", folder.root()]).await.json();
    let entries = list["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!((&entries[1]["seq"], &entries[1]["categories"]), (&json!(2), &json!({ "error": 1 })));

    let segments = run(&["spool", "ls", "--segments", "--json", folder.root()]).await.json();
    let segment = &segments["segments"][0];
    assert_eq!((&segment["records"], &segment["acked"]), (&json!(3), &json!(0)), "{segments}");

    let shown = run(&["spool", "show", folder.root(), "critical/2"]).await;
    assert!(shown.code == 0 && shown.stdout.contains("event"), "{shown:?}");
    let shown = run(&["spool", "show", "--json", folder.root(), "2"]).await.json_lines();
    assert_eq!((&shown[0]["seq"], &shown[1]["items"][0]["type"]), (&json!(2), &json!("event")));
    let missing = run(&["spool", "show", folder.root(), "99"]).await;
    assert!(missing.code == 1 && missing.error_line().contains("no entry 99"), "{missing:?}");

    let stats = run(&["spool", "stats", "--json", folder.root()]).await.json();
    assert_eq!((&stats["entries"], &stats["categories"]), (&json!(3), &json!({ "error": 3 })));
    assert!(run(&["spool", "stats", folder.root()]).await.stdout.contains("not in use"));

    let sound = run(&["spool", "verify", folder.root()]).await;
    assert_eq!(sound.code, 0, "{sound:?}");
    assert!(sound.stdout.contains("sound: 3 records in 1 segment"), "{sound:?}");
}

/// OC-5, OC-9: what is wrong is found where it is; looking changes nothing, repairing does what recovery does, and the
/// neighbours are delivered.
#[tokio::test]
async fn damage_is_found_repaired_and_does_not_cost_the_neighbours() {
    let folder = Folder::new();
    damaged(folder.root()).await;
    let before = std::fs::read(segment(&folder.path(""))).unwrap();
    let verdict = run(&["spool", "verify", "--json", folder.root()]).await;
    assert_eq!(verdict.code, 1, "{verdict:?}");
    let report = verdict.json();
    let kinds: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|finding| &finding["kind"]).collect();
    assert!(kinds.contains(&&json!("bad_record")) && kinds.contains(&&json!("torn")), "{report}");
    assert_eq!((&report["sound_records"], &report["bad_records"]), (&json!(2), &json!(1)));
    let verdict = run(&["spool", "verify", folder.root()]).await;
    assert!(verdict.stdout.contains("slot-00/critical/2: bad_record"), "{verdict:?}");
    assert_eq!(std::fs::read(segment(&folder.path(""))).unwrap(), before, "verify changes nothing");

    let repaired = run(&["spool", "repair", "--json", folder.root()]).await;
    assert_eq!(repaired.code, 0, "{repaired:?}");
    let repaired = repaired.json();
    assert_eq!((&repaired["lost_records"], &repaired["entries"]), (&json!(1), &json!(2)), "{repaired}");
    assert!(repaired["quarantined_bytes"].as_u64() > Some(0), "{repaired}");

    let server = IngestServer::start().await.unwrap();
    let replay = run(&["spool", "replay", "--pause", "0", "--dsn", &server.dsn(), folder.root()]).await;
    assert!(replay.stdout.contains("error"), "{replay:?}");
    assert_eq!(server.received_tally()[&envoi::DataCategory::Error], 2);
}

/// OC-10: what writes refuses a buffer in use and names the owner; what reads does not mind.
#[tokio::test]
async fn a_buffer_in_use_is_looked_at_but_not_touched() {
    let folder = Folder::new();
    let transport = open(folder.root());
    transport.send_durable(event(0)).await.unwrap();
    let pid = format!("pid {}", std::process::id());
    let writers: [&[&str]; 3] =
        [&["repair"], &["replay", "--dsn", "http://public@127.0.0.1:9/1"], &["purge", "--yes"]];
    for writer in writers {
        let mut args = vec!["spool"];
        args.extend(writer);
        args.push(folder.root());
        let refused = run(&args).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        let line = refused.error_line();
        assert!(line.contains("in use") && line.contains(&pid) && line.contains("program spool"), "{line}");
    }
    for reader in ["ls", "stats", "verify"] {
        let seen = run(&["spool", reader, folder.root()]).await;
        assert_eq!(seen.code, 0, "{seen:?}");
    }
    assert!(run(&["spool", "stats", folder.root()]).await.stdout.contains(&pid));
    assert_eq!(transport.disk_stats().unwrap().entries, 1);
    transport.close(Duration::from_millis(50)).await;
}

/// OC-4: what the network keeps back stays, and the next run delivers it.
#[tokio::test]
async fn a_replay_stops_where_the_network_ends_and_resumes() {
    let folder = Folder::new();
    filled(folder.root(), 5).await;
    let args = ["spool", "replay", "--json", "--pause", "0", "--patience", "300ms"];
    let stopped = run(&[&args[..], &["--dsn", NOWHERE, folder.root()]].concat()).await;
    assert_eq!(stopped.code, 1, "{stopped:?}");
    let stopped = stopped.json();
    assert_eq!(
        (&stopped["found"], &stopped["left"], &stopped["stopped"]),
        (&json!(5), &json!(5), &json!("stalled"))
    );
    assert!(stopped["last_failure"].as_str().unwrap().contains("could not connect"), "{stopped}");

    let server = IngestServer::start().await.unwrap();
    let done = run(&[&args[..], &["--dsn", &server.dsn(), folder.root()]].concat()).await;
    assert_eq!(done.code, 0, "{done:?}");
    let done = done.json();
    assert_eq!((&done["left"], &done["categories"]["error"]["delivered"]), (&json!(0), &json!(5)));
    let stats = run(&["spool", "stats", "--json", folder.root()]).await.json();
    assert_eq!(stats["entries"], 0);
    assert_eq!(server.shutdown().await.accepted, 5);
}

/// OC-3: what the server refuses is discarded, and that is not success.
#[tokio::test]
async fn refusals_of_a_replay_are_told() {
    let folder = Folder::new();
    filled(folder.root(), 2).await;
    let server = IngestServer::start().await.unwrap();
    server.script([Step::reply(StatusCode::BAD_REQUEST)]);
    let run =
        run(&["spool", "replay", "--json", "--pause", "0", "--dsn", &server.dsn(), folder.root()]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let error = &run.json()["categories"]["error"];
    assert_eq!((&error["delivered"], &error["refused"]), (&json!(1), &json!(1)), "{run:?}");
}

/// Ctrl-C ends a replay; what is left waits for the next.
#[cfg(unix)]
#[tokio::test]
async fn a_replay_can_be_stopped_and_resumed() {
    let folder = Folder::new();
    filled(folder.root(), 4).await;
    let server = IngestServer::start().await.unwrap();
    let args = ["spool", "replay", "--json", "--pause", "1h", "--dsn", &server.dsn(), folder.root()];
    let watched = support::Watched::start(support::envoi(&args));
    let first = async {
        while server.envelopes().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), first).await.unwrap();
    watched.signal("INT").await;
    let stopped = watched.end().await;
    assert_eq!(stopped.code, 1, "{stopped:?}");
    let stopped = stopped.json();
    assert_eq!((&stopped["stopped"], &stopped["found"]), (&json!("interrupted"), &json!(4)), "{stopped}");
    let left = stopped["left"].as_u64().unwrap();
    assert!((1..4).contains(&left), "{stopped}");
    let args = ["spool", "replay", "--json", "--pause", "0", "--dsn", &server.dsn(), folder.root()];
    assert_eq!(run(&args).await.code, 0);
    assert_eq!(server.shutdown().await.accepted, 4);
}

#[tokio::test]
async fn a_purge_asks_first_and_counts() {
    let folder = Folder::new();
    filled(folder.root(), 2).await;
    let asked = run(&["spool", "purge", folder.root()]).await;
    assert!(asked.code == 1 && asked.stdout.contains("would delete 2 envelopes (error 2)"), "{asked:?}");
    let purged = run(&["spool", "purge", "--yes", "--json", folder.root()]).await;
    assert_eq!(purged.code, 0, "{purged:?}");
    assert_eq!((&purged.json()["entries"], &purged.json()["purged"]), (&json!(2), &json!(true)));
    let transport = open(folder.root());
    assert_eq!(transport.disk_stats().unwrap().entries, 0);
    transport.send_durable(event(0)).await.unwrap();
    close(transport, folder.root()).await;
    assert_eq!(run(&["spool", "stats", "--json", folder.root()]).await.json()["entries"], 1);
}

#[tokio::test]
async fn what_is_no_spool_is_left_alone() {
    let folder = Folder::new();
    for verb in ["ls", "stats", "verify", "repair", "purge"] {
        for name in ["missing", ""] {
            let refused = run(&["spool", verb, &folder.name(name)]).await;
            assert_eq!(refused.code, 1, "{refused:?}");
            assert!(refused.error_line().contains(folder.root()), "{refused:?}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.root()).unwrap().count(), 0, "nothing was made");
}

/// OC-1, OC-4: what `send` cannot deliver stays, and the next one delivers it before its own end.
#[tokio::test]
async fn what_send_cannot_deliver_stays_for_the_next_one() {
    let files = support::copies(3, support::event(10));
    let folder = Folder::new();
    let dir = folder.name("buffer");
    let first = run(&["send", "--json", "--spool", &dir, "--dsn", NOWHERE, files.root()]).await;
    assert_eq!(first.code, 1, "{first:?}");
    let lines = first.json_lines();
    assert_eq!(lines[3]["kept"]["envelopes"], 3, "{first:?}");
    assert!(lines[0]["message"].as_str().unwrap().contains("could not connect"), "{first:?}");
    assert!(first.error_line().contains("3 envelopes left in the spool"), "{first:?}");
    assert_eq!(run(&["spool", "stats", "--json", &dir]).await.json()["entries"], 3);

    let server = IngestServer::start().await.unwrap();
    let one = files.name("000.envelope");
    let second = run(&["send", "--json", "--spool", &dir, "--dsn", &server.dsn(), &one]).await;
    assert_eq!((second.code, second.stderr.as_str()), (0, ""), "{second:?}");
    assert_eq!(second.json_lines()[1]["delivered"]["envelopes"], 1);
    assert_eq!(run(&["spool", "stats", "--json", &dir]).await.json()["entries"], 0);
    assert_eq!(server.shutdown().await.accepted, 4);
}

/// OC-8: a limit that the server announces holds what is in the spool, and costs none of it.
#[tokio::test]
async fn what_a_limit_holds_stays_in_the_spool() {
    let files = support::copies(4, support::event(10));
    let folder = Folder::new();
    let dir = folder.name("buffer");
    let server = IngestServer::start().await.unwrap();
    let limits = http::HeaderValue::from_static("600:error:key");
    let name = http::HeaderName::from_static("x-sentry-rate-limits");
    server.otherwise(Step::reply(StatusCode::OK).header(name, limits).after(Duration::from_millis(50)));
    let args =
        ["send", "--json", "--concurrency", "1", "--spool", &dir, "--dsn", &server.dsn(), files.root()];
    let run = run(&args).await;
    let summary = run.json_lines().pop().unwrap();
    let of = |class: &str| summary[class]["envelopes"].as_u64().unwrap();
    assert_eq!((run.code, of("delivered")), (1, 1), "{run:?}");
    assert_eq!(of("kept") + of("limited"), 3, "{run:?}");
    assert!(of("kept") > 0, "{run:?}");
    let stats = support::run(&["spool", "stats", "--json", &dir]).await.json();
    assert_eq!(stats["entries"].as_u64(), Some(of("kept")), "{stats}");
}
