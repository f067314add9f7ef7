//! What a user may get wrong.

use crate::client::NOWHERE;
use crate::support::{Folder, Watched, envoi, run};

/// AU-7: mistakes in the file are told with their line, in one line, and without secrets.
#[tokio::test]
async fn mistakes_are_told_with_file_and_line() {
    let folder = Folder::new();
    for (text, line, part) in [
        ("upstream = \"http://key:topsecret@/1\"\n", 1, "host"),
        ("\nspool_dir = \"x\"\n", 2, "unknown field `spool_dir`"),
        ("upstream = \"http://k@h/1\"\n[limits]\n\nmemory = \"lots\"\n", 4, "not a size"),
        ("[timeouts\n", 1, ""),
    ] {
        let path = folder.path("bad.toml");
        std::fs::write(&path, text).unwrap();
        let refused = run(&["relay", "--config", path.to_str().unwrap()]).await;
        assert_eq!(refused.code, 2, "{refused:?}");
        let error = refused.error_line();
        assert!(error.contains(&format!("bad.toml:{line}: ")) && error.contains(part), "{error}");
        assert!(!error.contains("topsecret"), "{error}");
    }
    let missing = run(&["relay", "--config", &folder.name("none.toml")]).await;
    assert!(missing.code == 2 && missing.error_line().contains("none.toml"), "{missing:?}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_it_listens() {
    for (args, part) in [
        (&["relay"][..], "no upstream"),
        (&["relay", "--upstream", NOWHERE, "--ack", "durable"], "--spool"),
        (&["relay", "--upstream", "sentry.io"], "expected a DSN"),
        (&["relay", "--upstream", NOWHERE, "--upstream-host", "h"], "pass-through"),
        (&["relay", "--upstream", NOWHERE, "--listen", "localhost"], "--listen"),
    ] {
        let refused = run(args).await;
        assert_eq!(refused.code, 2, "{args:?}: {refused:?}");
        assert!(refused.error_line().contains(part), "{args:?}: {refused:?}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = run(&["relay", "--upstream", NOWHERE, "--listen", &address]).await;
    assert!(refused.code == 1 && refused.error_line().contains("127.0.0.1:0"), "{refused:?}");
}

/// It listens on loopback unless it is told otherwise, and then it says what that means.
#[tokio::test]
async fn listening_to_others_is_warned_about() {
    let mut watched =
        Watched::start(envoi(&["relay", "--json", "--listen", "0.0.0.0:0", "--upstream", NOWHERE]));
    let warning = watched.line_with("\"warning\"").await;
    assert!(warning.contains("other machines"), "{warning}");
    watched.signal("TERM").await;
    assert_eq!(watched.end().await.code, 0);
}

#[tokio::test]
async fn the_sample_configuration_is_one() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/relay/relay.toml");
    let folder = Folder::new();
    let spool = folder.name("spool");
    let args = ["relay", "--json", "--config", sample, "--listen", "127.0.0.1:0", "--spool", &spool];
    let mut watched = Watched::start(envoi(&args));
    watched.line_with("\"listening\"").await;
    watched.signal("TERM").await;
    assert_eq!(watched.end().await.code, 0);
}
