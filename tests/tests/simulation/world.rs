//! What the parts of one run share: the time, the books of the stack, and what the server has seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use envoi_core::{Lane, Ledger};
use envoi_envelope::reports::ClientReports;
use envoi_envelope::{DataCategory as Category, RateLimits};
use fastrand::Rng;

use crate::clock::SimClock;
use crate::freight::{Catalogue, Counts, Losses};
use crate::weather::{Manners, Weather};

/// What the server has seen and done.
pub(crate) struct Server {
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    pub(crate) manners: Manners,
    pub(crate) requests: u64,
    /// Items in requests that were answered with success.
    pub(crate) received: Counts,
    /// Items in requests that were answered otherwise, by status.
    pub(crate) refused: BTreeMap<u16, Counts>,
    /// What reports told of that the server has read: with success or 429 (decision 14).
    pub(crate) reported: Losses,
    /// The limits that are in force, as the server meant them; `None` is everything.
    pub(crate) limits: BTreeMap<Option<Category>, Instant>,
    /// Whether any was ever stated.
    pub(crate) limited: bool,
    /// The last envelope of each lane that came for the first time.
    pub(crate) newest: [Option<usize>; Lane::COUNT],
    /// How many envelopes are of an earlier run: the first ones.
    pub(crate) replayed: usize,
    /// When the last of them came.
    pub(crate) replayed_at: Option<Instant>,
}

pub(crate) struct World {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) ledger: Ledger<Category>,
    pub(crate) reports: ClientReports,
    pub(crate) limits: RateLimits,
    pub(crate) catalogue: Mutex<Catalogue>,
    pub(crate) server: Mutex<Server>,
    faults: Mutex<Vec<String>>,
    /// A diary, if somebody wants to read it.
    diary: Option<Mutex<String>>,
}

impl World {
    pub(crate) fn new(seed: u64, manners: Manners, with_reports: bool, with_diary: bool) -> Arc<Self> {
        let clock = Arc::new(SimClock::new());
        let reports = if with_reports {
            ClientReports::with_clock(Arc::<SimClock>::clone(&clock))
        } else {
            ClientReports::disabled()
        };
        Arc::new(Self {
            clock,
            ledger: Ledger::new(),
            reports,
            limits: RateLimits::default(),
            catalogue: Mutex::default(),
            server: Mutex::new(Server {
                rng: Rng::with_seed(seed),
                weather: Weather::Fine,
                manners,
                requests: 0,
                received: Counts::new(),
                refused: BTreeMap::new(),
                reported: Losses::new(),
                limits: BTreeMap::new(),
                limited: false,
                newest: [None; Lane::COUNT],
                replayed: 0,
                replayed_at: None,
            }),
            faults: Mutex::default(),
            diary: with_diary.then(Mutex::default),
        })
    }

    pub(crate) fn catalogue(&self) -> MutexGuard<'_, Catalogue> {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is not as it must be.
    pub(crate) fn fault(&self, words: impl FnOnce() -> String) {
        let words = words();
        self.note(|| format!("FAULT: {words}"));
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(words);
    }

    pub(crate) fn check(&self, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.fault(words);
        }
    }

    pub(crate) fn first_fault(&self) -> Option<String> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// Writes into the diary.
    pub(crate) fn note(&self, words: impl FnOnce() -> String) {
        if let Some(diary) = &self.diary {
            let mut diary = diary.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(diary, "{:>9.3} s  {}", self.clock.elapsed().as_secs_f64(), words());
        }
    }

    pub(crate) fn diary(&self) -> String {
        let diary =
            self.diary.as_ref().map(|diary| diary.lock().unwrap_or_else(PoisonError::into_inner).clone());
        diary.unwrap_or_default()
    }
}
