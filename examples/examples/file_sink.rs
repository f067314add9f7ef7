//! A file instead of HTTP: the core of a stack is any service that takes a parcel.
//!
//! `FileSink` appends envelopes to a file, one after the other with their length in front. The queue, the priorities and
//! the books above it are those of the preset; only what stands at the bottom is another.
//!
//! Take away: a core answers `Ok` when it has the goods *for good* (here: after `sync_data`), and else hands the parcel
//! back with a fault that says whether another attempt makes sense. It never blocks the runtime.
//!
//! ```console
//! $ cargo run -p envoi-examples --example file_sink
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use envoi::core::{Advice, Failure, Fault, Kind, Parcel, Receipt};
use envoi::layers::outbox::{MemoryStore, OutboxConfig, outbox};
use envoi::{DataCategory, Envelope, Item};
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;
use tower::Service;

#[derive(Clone)]
struct FileSink {
    path: Arc<PathBuf>,
    // One writer at a time: envelopes must not mix.
    turn: Arc<Mutex<()>>,
}

impl FileSink {
    fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: Arc::new(path.into()), turn: Arc::default() }
    }

    async fn append(&self, envelope: &Envelope) -> io::Result<()> {
        let _turn = self.turn.lock().await;
        let bytes = envelope.to_bytes();
        let mut record = format!("{}\n", bytes.len()).into_bytes();
        record.extend_from_slice(&bytes);
        let mut file = OpenOptions::new().create(true).append(true).open(&*self.path).await?;
        file.write_all(&record).await?;
        file.sync_data().await
    }
}

impl Service<Parcel<Envelope>> for FileSink {
    type Response = Receipt;
    type Error = Failure<Envelope>;
    // One box per write to a disk is no cost worth a type.
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, Failure<Envelope>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, parcel: Parcel<Envelope>) -> Self::Future {
        let sink = self.clone();
        Box::pin(async move {
            match sink.append(parcel.payload()).await {
                Ok(()) => Ok(Receipt::delivered()),
                // Full, read-only or away: worth another try later.
                Err(error) => {
                    let fault = Fault::caused_by(Kind::Storage, error).with_advice(Advice::Retry);
                    Err(Failure::new(fault, parcel))
                }
            }
        })
    }
}

fn read_back(path: &Path) -> Result<Vec<Envelope>, Box<dyn std::error::Error + Send + Sync>> {
    let bytes = std::fs::read(path)?;
    let (mut rest, mut found) = (&bytes[..], Vec::new());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (length, tail) = rest.split_at(end);
        let (envelope, tail) = tail[1..].split_at(std::str::from_utf8(length)?.parse()?);
        found.push(Envelope::parse(envelope.to_vec())?);
        rest = tail;
    }
    Ok(found)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("not-there-yet").join("envelopes");

    let (outbox, driver) = outbox(MemoryStore::new(), OutboxConfig::new(), FileSink::new(&path));
    tokio::spawn(driver);
    outbox.post(Envelope::new().with_item(Item::event(r#"{"message":"one"}"#))?)?;
    outbox.post(Envelope::new().with_item(Item::event("{\"message\":\n\"two\"}"))?)?;

    // The folder is missing, so nothing is written, and nothing is lost.
    let flushed = outbox.flush(Duration::from_millis(50)).await;
    println!("before the folder is there: {} left, {:?}", flushed.left, outbox.stats().last_failure);
    assert_eq!(flushed.left, 2);
    std::fs::create_dir(folder.path().join("not-there-yet"))?;
    outbox.online(); // what waits for a back-off is tried at once
    assert!(outbox.close(Duration::from_secs(5)).await.is_complete);

    let written = read_back(&path)?;
    println!("in the file: {} envelopes", written.len());
    assert_eq!(written.len(), 2);
    let books = outbox.ledger().snapshot();
    assert!(
        books.is_settled() && books.get(&DataCategory::Error).is_some_and(|errors| errors.delivered == 2)
    );
    Ok(())
}
