use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use envoi_core::SharedClock;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::Events;
use super::book::Book;
use super::judge::Bounds;
use super::record::Record;
use super::script::Script;
use super::server::Summary;

/// How many requests a slow listener may be behind.
const EVENTS: usize = 1000;

/// What the handle, the acceptor and the connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) script: Script,
    pub(super) bounds: Bounds,
    pub(super) latency: Duration,
    pub(super) clock: SharedClock,
    pub(super) requests_per_connection: u64,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    pub(super) sequence: AtomicU64,
    pub(super) connections: AtomicU64,
    /// Graceful: what is underway may end.
    pub(super) closing: CancellationToken,
    /// Everything ends at once.
    pub(super) dead: CancellationToken,
    book: Mutex<Book>,
    summary: watch::Sender<Summary>,
    // Taken away at the end, which ends the streams.
    events: Mutex<Option<broadcast::Sender<Arc<Record>>>>,
}

impl Shared {
    pub(super) fn new(bounds: Bounds, latency: Duration, clock: SharedClock, book: Book) -> Self {
        Self {
            script: Script::default(),
            bounds,
            latency,
            clock,
            requests_per_connection: u64::MAX,
            #[cfg(feature = "tls")]
            tls: None,
            sequence: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            closing: CancellationToken::new(),
            dead: CancellationToken::new(),
            book: Mutex::new(book),
            summary: watch::Sender::default(),
            events: Mutex::new(Some(broadcast::Sender::new(EVENTS))),
        }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_connection(&self) -> u64 {
        self.summary.send_modify(|summary| summary.connections += 1);
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    #[cfg(feature = "tls")]
    pub(super) fn handshake_failed(&self) {
        self.summary.send_modify(|summary| summary.handshakes_failed += 1);
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.summary.send_modify(|summary| summary.begun += 1);
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn summary(&self) -> watch::Receiver<Summary> {
        self.summary.subscribe()
    }

    /// Books an answered request, then tells who waits for it.
    pub(super) fn enter(&self, record: Record) {
        let record = Arc::new(record);
        self.summary.send_modify(|summary| self.book().enter(&record, summary));
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = &*events {
            // Without listeners there is nobody to tell.
            let _ = events.send(record);
        }
    }

    pub(super) fn events(&self) -> Events {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = match &*events {
            Some(events) => events.subscribe(),
            None => broadcast::Sender::new(1).subscribe(),
        };
        Events { receiver, missed: 0 }
    }

    pub(super) fn end_events(&self) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
