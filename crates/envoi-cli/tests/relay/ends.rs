//! How a relay ends, and what the next one finds.

use envoi_testkit::ingest::{IngestServer, Step};

use crate::client::{NOWHERE, Relay, STUCK, config, event};
use crate::support::{Folder, Watched, envoi, run};

/// TR-2: SIGTERM delivers what is queued, and the balance adds up.
#[tokio::test]
async fn sigterm_delivers_what_is_queued() {
    let server = IngestServer::start().await.unwrap();
    server.otherwise(Step::judge().after(std::time::Duration::from_millis(20)));
    let relay = Relay::start(&["--upstream", &server.dsn()]).await;
    for number in 0..20 {
        assert_eq!(relay.post(event(number)).await.status, 200);
    }
    let (run, summary) = relay.stop().await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!((&summary["accepted"], &summary["forwarded"]), (&20.into(), &20.into()), "{summary}");
    assert_eq!(summary["balances"], true);
    assert_eq!(server.shutdown().await.accepted, 20);
}

/// TR-2: without a disk, what cannot be delivered in time is lost, and that is said; a hung upstream does not hold the
/// end up.
#[tokio::test]
async fn what_is_lost_at_the_end_is_told() {
    let server = IngestServer::start().await.unwrap();
    server.otherwise(Step::stall());
    let folder = Folder::new();
    let config = config(&folder, "[timeouts]\nshutdown = \"400ms\"");
    let relay = Relay::start(&["--upstream", &server.dsn(), "--config", &config]).await;
    assert_eq!(relay.post(event(1)).await.status, 200);
    let (run, summary) = relay.stop().await;
    assert_eq!((run.code, &summary["lost_at_stop"]), (1, &1.into()), "{summary}");
    assert_eq!(summary["balances"], true);
    assert_eq!(summary["ledger"][0]["lost"], serde_json::json!([["network_error", 1]]), "{summary}");
}

/// OC-1, OC-4: with a disk it is kept, and the next relay delivers it, whatever its own upstream is.
#[tokio::test]
async fn what_is_kept_at_the_end_is_delivered_by_the_next() {
    let server = IngestServer::start().await.unwrap();
    let folder = Folder::new();
    let (spool, config) = (folder.name("spool"), config(&folder, ""));
    server.go_down().await;
    let args = ["--upstream", &server.dsn(), "--spool", &spool, "--config", &config];
    let relay = Relay::start(&args).await;
    for number in 0..5 {
        assert_eq!(relay.post(event(number)).await.status, 200);
    }
    let (run, summary) = relay.stop().await;
    assert_eq!(
        (run.code, &summary["kept"], &summary["lost_at_stop"]),
        (0, &5.into(), &0.into()),
        "{summary}"
    );
    server.come_up().await.unwrap();
    let mut other = Relay::start(&["--upstream", NOWHERE, "--spool", &spool, "--config", &config]).await;
    let arrived = server.wait_for(5, STUCK).await.unwrap();
    assert_eq!(arrived.len(), 5);
    other.watched.child.start_kill().unwrap();
}

/// OC-9: what was acknowledged as durable survives SIGKILL, and arrives.
#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let server = IngestServer::start().await.unwrap();
    let folder = Folder::new();
    let (spool, config) = (folder.name("spool"), config(&folder, ""));
    server.go_down().await;
    let args = ["--upstream", &server.dsn(), "--spool", &spool, "--ack", "durable", "--config", &config];
    for round in 0..3 {
        let relay = Relay::start(&args).await;
        for number in 0..10 {
            assert_eq!(relay.post(event(10 * round + number)).await.status, 200);
        }
        // Reports of an SDK are goods like any other.
        let report = format!("{{}}\n{{\"type\":\"client_report\"}}\n{{\"round\":{round}}}");
        assert_eq!(relay.post(report).await.status, 200);
        relay.kill().await;
    }
    server.come_up().await.unwrap();
    let relay = Relay::start(&args).await;
    server.wait_for(33, STUCK).await.unwrap();
    relay.until(|status| status["destinations"][0]["disk"]["entries"] == 0).await;
    let (run, summary) = relay.stop().await;
    assert_eq!((run.code, &summary["forwarded"]), (0, &33.into()), "{summary}");
    let arrived = server.envelopes();
    let mut ids: Vec<_> = arrived.iter().filter_map(|one| Some(one.event_id()?.to_string())).collect();
    ids.sort_unstable();
    let all: Vec<_> = (0..30).map(|number| format!("9ec79c33ec9942ab8353589f{number:08x}")).collect();
    assert_eq!(ids, all, "each once");
}

/// OC-10: two relays do not share a directory; the second is told.
#[tokio::test]
async fn a_spool_has_one_relay() {
    let folder = Folder::new();
    let spool = folder.name("spool");
    let _relay = Relay::start(&["--upstream", NOWHERE, "--spool", &spool]).await;
    let second = run(&["relay", "--listen", "127.0.0.1:0", "--upstream", NOWHERE, "--spool", &spool]).await;
    assert_eq!(second.code, 1, "{second:?}");
    let line = second.error_line();
    assert!(line.contains("another relay") && line.contains(&spool), "{line}");
}

/// A second signal does not wait for anybody.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let server = IngestServer::start().await.unwrap();
    server.otherwise(Step::stall());
    let folder = Folder::new();
    let config = config(&folder, "[timeouts]\nshutdown = \"1h\"");
    let mut relay = Relay::start(&["--upstream", &server.dsn(), "--config", &config]).await;
    assert_eq!(relay.post(event(1)).await.status, 200);
    relay.watched.signal("INT").await;
    relay.watched.line_with("\"stopping\"").await;
    relay.watched.signal("TERM").await;
    let run = relay.watched.end().await;
    assert_eq!(run.code, 1, "{run:?}");
}

/// SIGHUP reads the file again: new envelopes go to the new upstream, the old ones to where they were accepted for. A
/// file with a mistake changes nothing.
#[tokio::test]
async fn sighup_reads_the_configuration_again() {
    let (old, new) = (IngestServer::start().await.unwrap(), IngestServer::start().await.unwrap());
    old.go_down().await;
    let folder = Folder::new();
    let path = config(&folder, &format!("upstream = \"{}\"", old.dsn()));
    let mut relay = Relay::start(&["--config", &path]).await;
    assert_eq!(relay.post(event(1)).await.status, 200);

    config(&folder, "upstream = \"http://broken\"\nnonsense = 1");
    relay.watched.signal("HUP").await;
    let warning = relay.watched.line_with("\"warning\"").await;
    assert!(warning.contains("relay.toml:2") && warning.contains("nonsense"), "{warning}");

    config(&folder, &format!("upstream = \"{}\"\n[limits]\nmemory = \"1 GiB\"", new.dsn()));
    relay.watched.signal("HUP").await;
    let reloaded = relay.watched.line_with("\"reloaded\"").await;
    assert!(
        reloaded.contains(&new.address().to_string()) && reloaded.contains("limits.memory"),
        "{reloaded}"
    );
    assert_eq!(relay.post(event(2)).await.status, 200);
    assert_eq!(new.wait_for(1, STUCK).await.unwrap().len(), 1);
    old.come_up().await.unwrap();
    assert_eq!(old.wait_for(1, STUCK).await.unwrap().len(), 1);
    let (run, _) = relay.stop().await;
    assert_eq!(run.code, 0, "{run:?}");
}

/// People read lines.
#[tokio::test]
async fn for_people_it_says_what_to_do_and_ends_with_a_table() {
    let server = IngestServer::start().await.unwrap();
    let mut watched =
        Watched::start(envoi(&["relay", "--listen", "127.0.0.1:0", "--upstream", &server.dsn()]));
    let line = watched.line_with("listening on").await;
    assert!(line.contains("/42"), "{line}");
    let line = watched.line_with("use the DSN").await;
    assert!(line.contains("http://127.0.0.1:"), "{line}");
    watched.signal("TERM").await;
    let run = watched.end().await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("the books balance"), "{run:?}");
    assert!(run.stderr.contains("--spool"), "{run:?}");
}
