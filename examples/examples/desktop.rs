//! An offline desktop application: what could not be sent today is sent when it is started again.
//!
//! Two runs over one disk buffer. During the first there is no network; the application is closed, quickly, and nothing is
//! lost. The second delivers what the first had kept, and what is new.
//!
//! Take away: `.disk_buffer(path)` is all there is to it. Envelopes are on disk before the first attempt, and go when their
//! outcome is known. For what must survive even a power failure (a crash report) wait for `send_durable`. And tell the
//! transport when the system says that the network is back: `Transport::online`.
//!
//! ```console
//! $ cargo run -p envoi-examples --example desktop
//! ```

use std::path::Path;
use std::time::Duration;

use envoi::envelope::EventId;
use envoi::{Envelope, Fate, Item, Transport};
use envoi_testkit::ingest::IngestServer;

type Error = Box<dyn std::error::Error + Send + Sync>;

fn start(dsn: &str, folder: &Path) -> Result<Transport, Error> {
    Ok(envoi::sentry(dsn)?.client("desktop/1.0").disk_buffer(folder).build()?)
}

fn event(text: &str) -> Result<Envelope, Error> {
    let id = EventId::random();
    let json = format!(r#"{{"event_id":"{id}","message":"{text}"}}"#);
    Ok(Envelope::new().with_event_id(id).with_item(Item::event(json))?)
}

fn main() -> Result<(), Error> {
    let server = IngestServer::spawn_thread()?;
    let (dsn, folder) = (server.server().dsn(), tempfile::tempdir()?);

    // Monday, on the train.
    server.block_on(server.server().go_down());
    let transport = start(&dsn, folder.path())?;
    transport.send(event("the import failed")?)?;
    let crash = event("panicked at src/main.rs")?;
    let fate = transport.send_durable_blocking(crash, Duration::from_secs(1))?;
    assert_eq!(fate, Fate::Stored, "from here on a power failure takes nothing");
    assert!(!transport.flush_blocking(Duration::from_millis(100)).is_complete());
    let stats = transport.stats().ok_or("there is a DSN")?;
    println!("Monday: {:?}", stats.outbox.last_failure.map(|failure| failure.message));
    let closed = transport.close_blocking(Duration::from_millis(500));
    println!("Monday: {} kept, {} lost", closed.kept, closed.lost);
    assert_eq!((closed.kept, closed.lost), (2, 0));
    drop(transport);

    // Tuesday, in the office. The network comes up a little later than the application.
    let transport = start(&dsn, folder.path())?;
    transport.send(event("all is well")?)?;
    assert!(!transport.flush_blocking(Duration::from_millis(100)).is_complete());
    server.block_on(server.server().come_up())?;
    transport.online();
    // Older ones leave at a pace of their own, 100 ms apart; who closes before that leaves them for Wednesday.
    server.block_on(server.server().wait_for(3, Duration::from_secs(5)))?;
    let closed = transport.close_blocking(Duration::from_secs(5));
    println!("Tuesday: {} at the server, {} kept", server.server().envelopes().len(), closed.kept);
    assert_eq!((closed.is_complete, closed.kept, closed.lost), (true, 0, 0));
    assert!(transport.ledger().is_settled());

    let mut ids: Vec<_> = server.server().envelopes().iter().filter_map(Envelope::event_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each once");
    Ok(())
}
