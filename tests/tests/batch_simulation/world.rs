//! What the parts of one run share: the time, and the books that are not the transport's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use envoi_core::Clock;
use fastrand::Rng;

use crate::clock::SimClock;
use crate::model::Model;
use crate::plan::Setup;
use crate::weather::{Manners, Weather};

/// What the server knows of a batch. It goes by its first event.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) events: Vec<u64>,
    /// Requests that had an end: an answer, an error, a timeout. What was interrupted is none (decision 16).
    pub(crate) attempts: u32,
    /// Those that the store knows of: what is cut off in the middle has the others again.
    pub(crate) stored_attempts: u32,
    pub(crate) is_underway: bool,
    /// The server has it.
    pub(crate) is_accepted: bool,
    /// It had an answer after which it must not come again.
    pub(crate) is_final: bool,
    /// When the last attempt of this run failed, and the wait that was asked for.
    pub(crate) failed: Option<(Instant, Option<Duration>)>,
}

/// What a handler is told, or should be: the name of the error, and the items.
pub(crate) type Report = (&'static str, u64);

pub(crate) struct State {
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    pub(crate) batches: BTreeMap<u64, Batch>,
    pub(crate) model: Model,
    /// The server has refused the key in this run of the program.
    pub(crate) latched: bool,
    /// Numbers of events that were handed over; the next one is this.
    pub(crate) next: u64,
    /// Handed over, whether they were taken on or not.
    pub(crate) posted: u64,
    /// Not taken on, and whoever handed them over was told: because the queue was closed or full, and for other reasons.
    pub(crate) closed_door: u64,
    pub(crate) shut_door: u64,
    /// What the handler heard.
    pub(crate) told: Vec<Report>,
    /// What it has to hear, overflows excepted.
    pub(crate) due: Vec<Report>,
    /// How often a layer failed to become ready, which costs a batch that is due then, if there is one.
    pub(crate) unready: u64,
    /// Events that the stack gave up without having to tell.
    pub(crate) untold: u64,
    pub(crate) delivered: u64,
    pub(crate) requests: u64,
    pub(crate) retries: u64,
    /// Of earlier runs of the program: probes, refusals by the breaker, and how often the key was refused.
    pub(crate) probes: u64,
    pub(crate) refused: u64,
    pub(crate) latches: u64,
}

pub(crate) struct World {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) setup: Setup,
    state: Mutex<State>,
    faults: Mutex<Vec<String>>,
    /// A diary, if somebody wants to read it.
    diary: Option<Mutex<String>>,
}

impl World {
    pub(crate) fn new(setup: &Setup, with_diary: bool) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::new(SimClock::new()),
            setup: setup.clone(),
            state: Mutex::new(State {
                rng: Rng::with_seed(setup.seed),
                weather: Weather::Fine,
                batches: BTreeMap::new(),
                model: Model::new(setup.failures, setup.cooldown),
                latched: false,
                next: 0,
                posted: 0,
                closed_door: 0,
                shut_door: 0,
                told: Vec::new(),
                due: Vec::new(),
                unready: 0,
                untold: 0,
                delivered: 0,
                requests: 0,
                retries: 0,
                probes: 0,
                refused: 0,
                latches: 0,
            }),
            faults: Mutex::default(),
            diary: with_diary.then(Mutex::default),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn manners(&self) -> Manners {
        Manners { loses_replies: self.setup.loses_replies, stalls: self.setup.stalls }
    }

    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap()
    }

    /// The program begins anew: no breaker and no latch remembers anything, and no wait is kept.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        let model = Model::new(self.setup.failures, self.setup.cooldown);
        let before = std::mem::replace(&mut state.model, model);
        state.probes += before.probes;
        state.refused += before.refused;
        state.latches += u64::from(std::mem::take(&mut state.latched));
        for batch in state.batches.values_mut() {
            batch.failed = None;
            batch.attempts = batch.stored_attempts;
        }
        let busy: Vec<u64> =
            state.batches.iter().filter(|(_, batch)| batch.is_underway).map(|(key, _)| *key).collect();
        drop(state);
        self.check(busy.is_empty(), || format!("requests of {busy:?} outlive their driver"));
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

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }
}
