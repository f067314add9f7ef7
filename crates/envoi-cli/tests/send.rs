//! `envoi send` against an ingest server in this process.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use envoi::{DataCategory, DiscardReason};
use envoi_testkit::corpus;
use envoi_testkit::ingest::{IngestServer, Step};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use support::{Folder, Run, copies, envoi, event, finish, run, run_with_input};

async fn server() -> IngestServer {
    IngestServer::start().await.unwrap()
}

/// A folder with the whole corpus.
fn all_samples() -> Folder {
    corpus::all().iter().fold(Folder::new(), |folder, sample| folder.with(sample.name, sample.bytes))
}

/// What became of which file, by file name, and the summary.
fn outcomes(run: &Run) -> (Vec<(String, Value)>, Value) {
    let mut lines = run.json_lines();
    let summary = lines.pop().unwrap();
    assert_eq!(summary["type"], "summary", "{run:?}");
    let mut envelopes: Vec<_> = lines
        .into_iter()
        .map(|line| {
            assert_eq!(line["type"], "envelope");
            let name = line["file"].as_str().unwrap().rsplit('/').next().unwrap();
            (name.to_owned(), line)
        })
        .collect();
    envelopes.sort_by(|one, other| one.0.cmp(&other.0));
    (envelopes, summary)
}

fn names(envelopes: &[(String, Value)]) -> Vec<(&str, &str)> {
    envelopes.iter().map(|(name, line)| (name.as_str(), line["outcome"].as_str().unwrap())).collect()
}

/// TR-6, CO-1, AU-3, AU-5: every real envelope arrives in every encoding, and a strict server finds nothing wrong.
#[tokio::test]
async fn the_corpus_is_delivered_in_every_encoding() {
    let folder = all_samples();
    for encoding in ["identity", "gzip", "deflate", "br", "zstd"] {
        let server = server().await;
        let run = run(&["send", "--dsn", &server.dsn(), "--encoding", encoding, folder.root()]).await;
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        let table: Vec<_> = run.stdout.lines().collect();
        assert_eq!(table.len(), 4, "{}", run.stdout);
        assert!(table[1].starts_with("delivered") && table[1].ends_with("200 OK"), "{}", run.stdout);
        assert!(!run.stdout.contains('\u{1b}') && !run.stdout.contains('\r'), "no colours, no progress");
        let requests = server.requests();
        let encoded = requests.iter().filter(|request| request.encoding.is_some()).count();
        assert_eq!(encoded > 0, encoding != "identity", "{encoding}");
        assert!(requests.iter().all(|request| request.encoding.is_none_or(|used| used.as_str() == encoding)));
        let summary = server.shutdown().await;
        assert_eq!((summary.accepted, summary.problems), (35, 0), "{summary:?}");
    }
}

/// EN-3: a bad file in the middle is located and stops nobody.
#[tokio::test]
async fn a_bad_file_does_not_stop_the_others() {
    let server = server().await;
    let folder = Folder::new()
        .with("a.envelope", event(10))
        .with("b.envelope", "{}\n{\"type\":\"event\",\"length\":100}\n{}")
        .with("c.envelope", event(20));
    let args = ["send", "--dsn", &server.dsn(), folder.root(), "--json"];
    let json_run = run(&args).await;
    assert_eq!((json_run.code, json_run.stderr.as_str()), (1, ""));
    let (envelopes, summary) = outcomes(&json_run);
    let expected = [("a.envelope", "delivered"), ("b.envelope", "malformed"), ("c.envelope", "delivered")];
    assert_eq!(names(&envelopes), expected);
    let error = &envelopes[1].1["error"];
    assert_eq!((&error["kind"], &error["item"]), (&json!("truncated_payload"), &json!(0)));
    assert_eq!((&error["stage"], &error["offset"]), (&json!("payload"), &json!(33)));
    assert_eq!(
        (&summary["delivered"]["envelopes"], &summary["malformed"]["envelopes"]),
        (&json!(2), &json!(1))
    );
    assert_eq!((&summary["envelopes"], &summary["all_delivered"]), (&json!(3), &json!(false)));

    let plain = run(&args[..4]).await;
    assert_eq!(plain.code, 1);
    let line = plain.error_line();
    assert!(line.contains("b.envelope: malformed: item 0, payload, byte 33"), "{line}");
    assert!(plain.stdout.contains("truncated_payload"), "{}", plain.stdout);
    assert_eq!(server.shutdown().await.accepted, 4);
}

#[tokio::test]
async fn one_envelope_comes_from_standard_input() {
    let server = server().await;
    let sample = corpus::get("rust-panic.event.envelope").unwrap();
    let run = run_with_input(&["send", "--dsn", &server.dsn(), "--json", "-"], sample.bytes).await;
    assert_eq!(run.code, 0, "{run:?}");
    let (envelopes, _) = outcomes(&run);
    let line = &envelopes[0].1;
    assert_eq!(
        (&line["file"], &line["outcome"], &line["status"]),
        (&json!("-"), &json!("delivered"), &json!(200))
    );
    assert_eq!(line["event_id"], line["id"], "the server answers with the id of the event");
    assert_eq!(server.envelopes()[0].items().len(), 1);
}

#[tokio::test]
async fn the_environment_names_the_destination_and_an_option_wins() {
    let (by_environment, by_option) = (server().await, server().await);
    let folder = Folder::new().with("a.envelope", event(10));
    let mut command = envoi(&["send", folder.root()]);
    command.env("SENTRY_DSN", by_environment.dsn());
    assert_eq!(finish(command).await.code, 0);
    let mut command = envoi(&["send", folder.root(), "--dsn", &by_option.dsn()]);
    command.env("SENTRY_DSN", by_environment.dsn());
    assert_eq!(finish(command).await.code, 0);
    assert_eq!((by_environment.summary().accepted, by_option.summary().accepted), (1, 1));
}

/// TR-7: the server's words are in the table and in the JSON, and cannot steer the terminal.
#[tokio::test]
async fn refusals_are_told_with_the_words_of_the_server() {
    let server = server().await;
    let step = Step::reply(StatusCode::PAYLOAD_TOO_LARGE)
        .header(HeaderName::from_static("x-sentry-error"), HeaderValue::from_static("too much of it"))
        .body(r#"{"detail":"the \u001b[31mevent\u001b[0m is large","causes":["a cause"]}"#);
    server.script([step.clone()]);
    let folder = Folder::new().with("a.envelope", event(10));
    let json_run = run(&["send", "--dsn", &server.dsn(), "--json", folder.root()]).await;
    assert_eq!(json_run.code, 1);
    let (envelopes, summary) = outcomes(&json_run);
    let line = &envelopes[0].1;
    assert_eq!((&line["outcome"], &line["status"]), (&json!("refused"), &json!(413)));
    assert_eq!((&line["server_error"], &line["causes"]), (&json!("too much of it"), &json!(["a cause"])));
    assert_eq!(summary["refused"]["envelopes"], 1);

    server.script([step]);
    let plain = run(&["send", "--dsn", &server.dsn(), folder.root()]).await;
    assert_eq!(plain.code, 1);
    for text in [plain.error_line(), &plain.stdout] {
        for part in ["413 Payload Too Large", "too much of it", "a cause"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

/// How many items other than client reports were accepted.
fn goods(server: &IngestServer) -> usize {
    let is_report = |item: &&envoi::Item| item.item_type().as_str() == "client_report";
    server
        .envelopes()
        .iter()
        .flat_map(|envelope| envelope.items().iter().filter(|item| !is_report(item)))
        .count()
}

/// RL-1, RL-8, CR-5: what the server has announced is not sent and reported as held back; the rest of an envelope is
/// sent.
#[tokio::test]
async fn announced_limits_hold_items_back() {
    let server = server().await;
    let limit = HeaderValue::from_static("60:session:organization");
    let limits = HeaderName::from_static("x-sentry-rate-limits");
    server.otherwise(Step::judge().header(limits, limit));
    let folder = copies(20, corpus::get("rust-session.event+session.envelope").unwrap().bytes);
    let run = run(&["send", "--dsn", &server.dsn(), "--concurrency", "1", "--json", folder.root()]).await;
    assert_eq!(run.code, 1);
    let (envelopes, summary) = outcomes(&run);
    assert!(envelopes.iter().all(|(_, line)| line["outcome"] == "delivered"), "the events are");
    let held = envelopes.iter().filter(|(_, line)| line["held_items"] == 1).count();
    assert_eq!(held, 19, "all but the first: {}", run.stdout);
    assert_eq!((&summary["delivered"]["items"], &summary["limited"]["items"]), (&json!(21), &json!(19)));
    assert_eq!(goods(&server), 21);
    assert_eq!(server.reported_losses()[&(DiscardReason::RatelimitBackoff, DataCategory::Session)], 19);
    assert_eq!(summary["all_delivered"], false);
}

/// RL-2, CR-5, OC-8: a 429 is told as a limit, nothing more is sent, reports neither, and nobody waits for its end.
#[tokio::test]
async fn after_a_429_the_rest_is_limited() {
    for concurrency in [1, 4] {
        let server = server().await;
        server.otherwise(StatusCode::TOO_MANY_REQUESTS);
        let folder = copies(20, event(10));
        let width = concurrency.to_string();
        let run =
            run(&["send", "--dsn", &server.dsn(), "--concurrency", &width, "--json", folder.root()]).await;
        assert_eq!(run.code, 1);
        let (envelopes, summary) = outcomes(&run);
        assert_eq!(summary["limited"]["envelopes"], 20);
        let asked = envelopes.iter().filter(|(_, line)| line["status"] == 429).count() as u64;
        assert!((1..=concurrency).contains(&asked), "{run:?}");
        assert_eq!(server.summary().requests, asked);
    }
}

/// CR-3, CR-5: a loss is reported, by the next envelope or alone at the end.
#[tokio::test]
async fn a_refusal_is_reported_to_the_server() {
    let server = server().await;
    let lost = (DiscardReason::SendError, DataCategory::Error);
    for (files, envelopes) in [(1, 1), (3, 2)] {
        let before = server.summary().accepted;
        server.script([Step::reply(StatusCode::BAD_REQUEST)]);
        let folder = copies(files, event(10));
        let run = run(&["send", "--dsn", &server.dsn(), "--concurrency", "1", folder.root()]).await;
        assert_eq!(run.code, 1, "{run:?}");
        assert!(server.summary().accepted - before >= envelopes);
    }
    assert_eq!(server.reported_losses()[&lost], 2, "each once");
    assert_eq!(server.received_tally()[&DataCategory::Error], 2);
}

/// TR-6: envelopes without an event id have outcomes of their own as well.
#[tokio::test]
async fn envelopes_without_an_id_are_told_apart() {
    let server = server().await;
    server.script([Step::judge(), Step::reply(StatusCode::BAD_REQUEST), Step::judge()]);
    let folder = copies(3, corpus::get("python-sessions.sessions.envelope").unwrap().bytes);
    let run = run(&["send", "--dsn", &server.dsn(), "--concurrency", "1", "--json", folder.root()]).await;
    let (envelopes, _) = outcomes(&run);
    let mut ends: Vec<_> = names(&envelopes).into_iter().map(|(_, outcome)| outcome).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["delivered", "delivered", "refused"]);
    assert!(envelopes.iter().all(|(_, line)| line["event_id"].is_null() && line["attempts"] == 1));
}

/// OC-4, TR-8: network errors are retried if asked for, refusals never are.
#[tokio::test]
async fn retries_are_for_the_network_and_only_if_asked_for() {
    let server = server().await;
    let folder = copies(1, event(10));
    let dsn = server.dsn();
    let args = ["send", "--dsn", &dsn, "--json", folder.root(), "--retries", "2"];
    let cases: [(_, _, _, &[_]); 4] = [
        (&args[..5], "failed", 1, &[Step::reset()]),
        (&args[..7], "delivered", 2, &[Step::reset()]),
        (&args[..7], "failed", 3, &[Step::reset(), Step::close(), Step::reset()]),
        (&args[..7], "refused", 1, &[Step::reply(StatusCode::BAD_GATEWAY)]),
    ];
    for (args, outcome, attempts, steps) in cases {
        server.script(steps.iter().cloned());
        let (envelopes, _) = outcomes(&run(args).await);
        let line = &envelopes[0].1;
        assert_eq!((&line["outcome"], &line["attempts"]), (&json!(outcome), &json!(attempts)), "{line}");
    }
    // The one that was delivered is no loss, whatever its first attempt came to.
    assert_eq!(server.reported_losses()[&(DiscardReason::NetworkError, DataCategory::Error)], 2);
    assert_eq!(server.reported_losses()[&(DiscardReason::SendError, DataCategory::Error)], 1);
}

/// TP-1: however many files there are, two for each request at once are in memory.
#[tokio::test]
async fn files_are_not_read_before_their_time() {
    let server = server().await;
    server.script([Step::judge().after(Duration::from_secs(1))]);
    let folder = copies(3, event(10));
    let args = ["send", "--dsn", &server.dsn(), "--concurrency", "1", "--json", folder.root()];
    let watched = support::Watched::start(envoi(&args));
    server.wait_until(|summary| summary.begun == 1, Duration::from_secs(60)).await.unwrap();
    std::fs::remove_file(folder.path("002.envelope")).unwrap();
    let run = watched.end().await;
    let (envelopes, _) = outcomes(&run);
    let expected =
        [("000.envelope", "delivered"), ("001.envelope", "delivered"), ("002.envelope", "unreadable")];
    assert_eq!(names(&envelopes), expected);
}

/// EN-6: an envelope without items makes no request, and is told.
#[tokio::test]
async fn an_envelope_without_items_is_not_sent() {
    let server = server().await;
    let run = run_with_input(&["send", "--dsn", &server.dsn(), "--json", "-"], b"{}\n").await;
    assert_eq!(run.code, 1);
    assert_eq!(outcomes(&run).1["empty"]["envelopes"], 1);
    assert_eq!(server.summary().requests, 0);
}

/// EN-7: a file that is too large is refused unread.
#[tokio::test]
async fn a_file_that_is_too_large_is_unreadable() {
    let server = server().await;
    let folder = Folder::new().with("a.envelope", event(10)).with("large.envelope", "");
    std::fs::File::options()
        .write(true)
        .open(folder.path("large.envelope"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let run = run(&["send", "--dsn", &server.dsn(), folder.root()]).await;
    assert_eq!(run.code, 1);
    assert!(
        run.error_line().contains("large.envelope: unreadable: more than the 209,715,200 bytes"),
        "{run:?}"
    );
    assert_eq!(server.summary().accepted, 1);
}

#[tokio::test]
async fn an_empty_directory_is_all_delivered_and_said() {
    let folder = Folder::new().with("notes.txt", "x");
    let run = run(&["send", "--dsn", "http://key@127.0.0.1:9/1", "--json", folder.root()]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(outcomes(&run).1["envelopes"], 0);
    assert!(run.error_line().contains("1 file"), "{run:?}");
}

/// TR-9: nobody listens.
#[tokio::test]
async fn an_unreachable_server_is_a_failure_with_its_cause() {
    let gone = server().await;
    let dsn = gone.dsn();
    gone.shutdown().await;
    let folder = Folder::new().with("a.envelope", event(10)).with("b.envelope", event(10));
    let json_run = run(&["send", "--dsn", &dsn, "--json", folder.root()]).await;
    assert_eq!(json_run.code, 1);
    let (envelopes, summary) = outcomes(&json_run);
    assert_eq!(names(&envelopes), [("a.envelope", "failed"), ("b.envelope", "failed")]);
    assert_eq!(envelopes[0].1["kind"], "connect");
    assert_eq!((&summary["failed"]["envelopes"], &summary["failed"]["items"]), (&json!(2), &json!(2)));
    let plain = run(&["send", "--dsn", &dsn, folder.root()]).await;
    assert!(plain.stdout.contains("could not connect"), "{plain:?}");
}

/// TR-9: an attempt has a deadline.
#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let server = server().await;
    server.otherwise(Step::stall());
    let folder = Folder::new().with("a.envelope", event(10));
    let run = run(&["send", "--dsn", &server.dsn(), "--timeout", "50ms", "--json", folder.root()]).await;
    assert_eq!(run.code, 1);
    assert_eq!(outcomes(&run).0[0].1["kind"], "timeout");
}

/// AU-7: neither results nor traces show credentials.
#[tokio::test]
async fn no_secret_is_shown_however_much_is_told() {
    let server = server().await;
    let dsn = server.dsn().replacen('@', ":s3cr3t@", 1);
    let folder = Folder::new().with("a.envelope", event(10));
    for args in
        [["send", "--dsn", &dsn, "-vv", folder.root()], ["send", "--dsn", &dsn, "--json", folder.root()]]
    {
        let run = run(&args).await;
        assert_eq!(run.code, 0, "{run:?}");
        assert!(!run.both().contains("s3cr3t"), "{run:?}");
    }
    let auth = server.requests()[0].head.headers["x-sentry-auth"].clone();
    assert!(auth.to_str().unwrap().contains("sentry_secret=s3cr3t"), "it was sent");
}

#[tokio::test]
async fn verbose_traces_requests_on_standard_error() {
    let server = server().await;
    let folder = Folder::new().with("a.envelope", event(10));
    let run = run(&["send", "--dsn", &server.dsn(), "-v", folder.root()]).await;
    assert_eq!(run.code, 0);
    assert!(run.stderr.contains("started processing request"), "{run:?}");
    assert!(run.stderr.contains("a.envelope: delivered: 200 OK"), "{run:?}");
    assert!(!run.stderr.contains('\u{1b}'), "no colours in a pipe");
}

/// Ctrl-C: no more are begun, what is on its way is waited for, and the balance is printed.
#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_ends_with_the_balance_so_far() {
    let server = server().await;
    server.script([Step::judge()]);
    server.otherwise(Step::stall());
    let folder = copies(50, event(10));
    let args = ["send", "--dsn", &server.dsn(), "--concurrency", "2", "--json", folder.root()];
    let mut watched = support::Watched::start(envoi(&args));
    let first = watched.line().await;
    assert!(first.contains("delivered"), "{first}");
    server.wait_until(|summary| summary.begun >= 3, Duration::from_secs(60)).await.unwrap();
    watched.signal("INT").await;
    // The second does not wait for the server, which would never answer.
    watched.signal("INT").await;
    let run = watched.end().await;
    assert_eq!(run.code, 1, "{run:?}");
    let summary = run.json_lines().pop().unwrap();
    assert_eq!(summary["envelopes"], 50, "every one is accounted for: {summary}");
    assert_eq!(summary["delivered"]["envelopes"], 1);
    assert_eq!(summary["failed"]["envelopes"], 2, "on their way: {}", run.stdout);
    assert_eq!(summary["unsent"]["envelopes"], 47, "{}", run.stdout);
}
