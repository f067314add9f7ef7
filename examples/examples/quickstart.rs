//! The shortest way: one transport, one envelope, and what became of it.
//!
//! ```console
//! $ cargo run -p envoi-examples --example quickstart
//! ```

use std::time::Duration;

use envoi::{DataCategory, Envelope, Item};
use envoi_testkit::ingest::IngestServer;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Stands in for Sentry; with a real DSN leave it out.
    let server = IngestServer::spawn_thread()?;
    let dsn = server.server().dsn();

    let transport = envoi::sentry(&dsn)?.client("quickstart/1.0").build()?;
    transport.send(Envelope::new().with_item(Item::event(r#"{"message":"hello from envoi"}"#))?)?;
    transport.send_log(r#"{"level":"info","body":"collected with others into one request"}"#)?;

    let closed = transport.close_blocking(Duration::from_secs(5));
    let ledger = transport.ledger();
    for (category, account) in ledger.iter() {
        println!("{category}: {} posted, {} delivered", account.posted, account.delivered);
    }
    assert!(closed.is_complete && ledger.is_settled());
    assert_eq!(server.server().received_tally()[&DataCategory::Error], 1);
    println!("the server has {} envelopes", server.shutdown().accepted);
    Ok(())
}
