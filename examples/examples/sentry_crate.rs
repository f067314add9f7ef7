//! A program that panics while it is offline, and what becomes of the panic: it waits on disk, and the next run of the
//! program reports it.
//!
//! The program is an ordinary one with the `sentry` crate; only the line with the transport is new. It is started twice:
//! first while the server is away, then when it is back.
//!
//! ```console
//! $ cargo run -p envoi-examples --example sentry_crate
//! ```

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitStatus};

use envoi_sentry::EnvoiTransportFactory;
use envoi_testkit::ingest::IngestServer;
use sentry::ClientOptions;

/// The program: it looks up an order, and panics if there is none.
fn program(dsn: &str, buffer: &str, order: usize) {
    // What waits in the buffer leaves while the program runs, and when the guard is dropped at its end.
    let _guard = sentry::init(
        ClientOptions::new()
            .dsn(dsn)
            .release("example@1.0")
            // The one new line.
            .transport(EnvoiTransportFactory::new().disk_buffer(buffer)),
    );
    let orders = ["tea", "bread"];
    println!("order {order}: {}", orders[order]);
}

/// Starts this file as the program.
fn run(dsn: &str, buffer: &Path, order: usize) -> Result<ExitStatus, Box<dyn Error>> {
    Ok(Command::new(std::env::current_exe()?)
        .env("EXAMPLE_DSN", dsn)
        .env("EXAMPLE_BUFFER", buffer)
        .env("EXAMPLE_ORDER", order.to_string())
        .status()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    if let [Ok(dsn), Ok(buffer), Ok(order)] =
        ["EXAMPLE_DSN", "EXAMPLE_BUFFER", "EXAMPLE_ORDER"].map(std::env::var)
    {
        program(&dsn, &buffer, order.parse()?);
        return Ok(());
    }

    let thread = IngestServer::spawn_thread()?;
    let server = thread.server();
    let buffer = tempfile::tempdir()?;

    println!("the server is away, and the program panics:");
    thread.block_on(server.go_down());
    let status = run(&server.dsn(), buffer.path(), 7)?;
    assert_eq!(status.code(), Some(101), "that of a panic");
    assert!(server.envelopes().is_empty());

    println!("the server is back, and the program runs again:");
    thread.block_on(server.come_up())?;
    let status = run(&server.dsn(), buffer.path(), 1)?;
    assert!(status.success());

    let panics: Vec<_> = server
        .envelopes()
        .iter()
        .flat_map(|envelope| envelope.items().to_vec())
        .filter(|item| item.item_type().as_str() == "event")
        .map(|item| serde_json::from_slice::<serde_json::Value>(item.payload()))
        .collect::<Result<_, _>>()?;
    assert_eq!(panics.len(), 1);
    assert_eq!(panics[0]["level"], "fatal");
    let words = &panics[0]["exception"]["values"][0]["value"];
    assert!(words.as_str().is_some_and(|words| words.contains("the index is 7")), "{words}");
    println!("the server was told: {words}");
    Ok(())
}
