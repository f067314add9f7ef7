//! How far a request has come, as seen from the future that waits for it.
//!
//! A request travels through a pool, a connector and the task of a connection; only the connector and the body know
//! where it is. They note it here. While the future of a request is polled, its progress is the current one of the
//! task, which is how a connector below finds it; a connection that is made in the background has none.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use envoi_core::Phase;
use tokio::time::Instant;

tokio::task_local! {
    static CURRENT: Arc<Progress>;
}

/// Notes, within the poll of a connecting future, what it is waiting for now.
///
/// For connectors of your own: an attempt that runs out of time then says in which phase. Costs next to nothing, and
/// does nothing outside of a request.
pub fn entering(phase: Phase) {
    // Without a request there is nobody to tell.
    let _ = CURRENT.try_with(|progress| progress.note(phase));
}

/// Notes that a connection was made for the current request, whose progress this is.
pub(super) fn connected() -> Option<Arc<Progress>> {
    let noted = CURRENT.try_with(|progress| {
        progress.fresh.store(true, Ordering::Relaxed);
        Arc::clone(progress)
    });
    // A connection that is made in the background is for whoever comes next.
    noted.ok()
}

/// The progress of one request.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    phase: AtomicU8,
    fresh: AtomicBool,
    /// When something last happened, in microseconds since the beginning.
    at: AtomicU64,
    /// When the first byte was taken, in the same unit.
    first: AtomicU64,
    bytes: AtomicU64,
    /// The words for a handshake that the server refused after all.
    refusal: OnceLock<String>,
}

const RESOLVE: u8 = 1;
const CONNECT: u8 = 2;
const PROXY: u8 = 3;
const TLS: u8 = 4;
const WRITE: u8 = 5;
const REPLY: u8 = 6;

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            phase: AtomicU8::new(0),
            fresh: AtomicBool::new(false),
            at: AtomicU64::new(0),
            first: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            refusal: OnceLock::new(),
        })
    }

    /// Runs a poll with this as the current progress.
    pub(super) fn scope<R>(self: &Arc<Self>, poll: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(Arc::clone(self), poll)
    }

    fn note(&self, phase: Phase) {
        let code = match phase {
            Phase::Resolve => RESOLVE,
            Phase::Proxy => PROXY,
            Phase::Tls => TLS,
            Phase::Write => WRITE,
            Phase::Reply => REPLY,
            _ => CONNECT,
        };
        if self.phase.swap(code, Ordering::Relaxed) != code {
            self.touch();
        }
    }

    fn touch(&self) {
        let now = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.at.store(now, Ordering::Relaxed);
    }

    /// The connection takes the request.
    pub(super) fn writing(&self) {
        if self.phase.swap(WRITE, Ordering::Relaxed) < WRITE {
            self.touch();
            self.first.store(self.at.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// The connection took this much of the body.
    pub(super) fn wrote(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.touch();
    }

    /// The connection took the last of it.
    pub(super) fn written(&self) {
        self.note(Phase::Reply);
    }

    /// The connection that was made for the request read that the server refuses the handshake. The library may tell the
    /// request no more than that the connection is gone.
    pub(super) fn refused(&self, words: String) {
        // The first says why.
        let _ = self.refusal.set(words);
    }

    /// The words for it, if it was so.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.get().map(String::as_str)
    }

    /// How far it is.
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            RESOLVE => Phase::Resolve,
            PROXY => Phase::Proxy,
            TLS => Phase::Tls,
            WRITE => Phase::Write,
            REPLY => Phase::Reply,
            _ => Phase::Connect,
        }
    }

    /// Whether a connection was made for it; otherwise it used one of the pool.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh.load(Ordering::Relaxed)
    }

    /// When the request was handed over.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// When something last happened.
    pub(super) fn last(&self) -> Instant {
        self.begun + Duration::from_micros(self.at.load(Ordering::Relaxed))
    }

    /// What was written so far, and since when.
    pub(super) fn body(&self) -> (u64, Instant) {
        let first = Duration::from_micros(self.first.load(Ordering::Relaxed));
        (self.bytes.load(Ordering::Relaxed), self.begun + first)
    }
}
