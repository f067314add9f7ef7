//! A process that is killed right after it has captured something: this test program starts itself as that process.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use envoi_sentry::EnvoiTransportFactory;
use sentry::{Client, ClientOptions, Hub, Scope};

use crate::support::{PATIENCE, messages, options, server};

const DIR: &str = "ENVOI_TEST_SENTRY_DIR";
const DSN: &str = "ENVOI_TEST_SENTRY_DSN";
const EVENTS: u64 = 10;

/// The process that is killed.
fn work(dir: &str, dsn: &str) -> ! {
    let factory = EnvoiTransportFactory::new().disk_buffer(dir).wait_for_disk(PATIENCE);
    let client = Arc::new(Client::from(ClientOptions::new().dsn(dsn).transport(factory)));
    let hub = Arc::new(Hub::new(Some(client), Arc::new(Scope::default())));
    Hub::run(hub, || {
        for number in 0..EVENTS {
            sentry::capture_message(&format!("number {number}"), sentry::Level::Fatal);
        }
    });
    println!("captured");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

/// OC-1, OC-9: killed while the server is away. Of the transports of the `sentry` crate none delivers any of it; ours
/// delivers all of it when the program runs the next time.
#[test]
fn what_was_captured_survives_a_kill() {
    if let (Ok(dir), Ok(dsn)) = (std::env::var(DIR), std::env::var(DSN)) {
        work(&dir, &dsn);
    }
    let dir = tempfile::tempdir().unwrap();
    // A port that is taken, so that nobody else listens there, and where nobody answers.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::what_was_captured_survives_a_kill", "--nocapture", "--test-threads=1"])
        .env(DIR, dir.path())
        .env(DSN, format!("http://public@{}/42", nobody.local_addr().unwrap()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let captured = lines.map_while(Result::ok).any(|line| line.ends_with("captured"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(captured);

    let thread = server();
    let factory = EnvoiTransportFactory::build_with(|builder| builder.replay_pace(Duration::ZERO).build())
        .disk_buffer(dir.path());
    let client = Client::from(options(thread.server()).transport(factory));
    thread.block_on(thread.server().wait_for(EVENTS, PATIENCE)).unwrap();
    assert!(client.close(Some(PATIENCE)));
    let expected: Vec<_> = (0..EVENTS).map(|number| format!("number {number}")).collect();
    assert_eq!(messages(thread.server()), expected);
}
