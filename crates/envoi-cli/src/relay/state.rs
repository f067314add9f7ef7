//! What all parts of a running relay share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use envoi::core::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

use super::config::Settings;
use super::destinations::Destinations;
use super::memory::Memory;
use super::status::History;

/// Running totals of requests.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicUsize,
    pub(crate) accepted: AtomicU64,
    pub(crate) accepted_bytes: AtomicU64,
    /// Answered as durable, although the disk had failed.
    pub(crate) not_durable: AtomicU64,
    statuses: Mutex<BTreeMap<u16, u64>>,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
}

fn count<K: Ord>(counts: &Mutex<BTreeMap<K, u64>>, key: K) {
    *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    pub(crate) fn answered(&self, status: http::StatusCode) {
        count(&self.statuses, status.as_u16());
    }

    pub(crate) fn refused(&self, name: &'static str) {
        count(&self.refusals, name);
    }

    pub(crate) fn statuses(&self) -> BTreeMap<u16, u64> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running relay.
#[derive(Debug)]
pub(crate) struct Relay {
    settings: RwLock<Arc<Settings>>,
    /// Where it listens, with the port that it got.
    pub(crate) address: SocketAddr,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) memory: Memory,
    pub(crate) counters: Counters,
    pub(crate) history: Mutex<History>,
    /// Cancelled when the relay is to stop: it takes nothing more.
    pub(crate) stopping: CancellationToken,
    pub(crate) started: Instant,
    /// How many bodies are decoded at once.
    pub(crate) decoders: tokio::sync::Semaphore,
}

impl Relay {
    pub(crate) fn new(settings: Settings, address: SocketAddr, destinations: Destinations) -> Arc<Self> {
        let memory = Memory::new(settings.limits.memory);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            settings: RwLock::new(Arc::new(settings)),
            address,
            destinations: Arc::new(destinations),
            memory,
            counters: Counters::default(),
            history: Mutex::default(),
            stopping: CancellationToken::new(),
            started: SystemClock.now(),
            decoders: tokio::sync::Semaphore::new(cores),
        })
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    pub(crate) fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
