use self::sync::{AtomicU64, Ordering};

use super::Verdict;
use super::word::{Admission, Limits, Permit, State, Word};

/// The word, and how it is changed by many at once: by compare and exchange, so that of those who see the same word one
/// wins, and there is one probe (BD-4).
#[derive(Debug)]
pub(super) struct Circuit(AtomicU64);

impl Default for Circuit {
    fn default() -> Self {
        Self(AtomicU64::new(Word { state: State::Closed { failures: 0 }, epoch: 0 }.pack()))
    }
}

/// Whether somebody may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Granted(Permit),
    Wait(u64),
    Probing,
}

impl Circuit {
    pub(super) fn word(&self) -> Word {
        // Nothing else is published with the word, but whoever saw a verdict's effect should see what led to it.
        Word::unpack(self.0.load(Ordering::Acquire))
    }

    /// Replaces the word if it still is `old`. Else the present one is the answer.
    fn replace(&self, old: Word, new: Word) -> Result<(), Word> {
        self.0
            .compare_exchange(old.pack(), new.pack(), Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Word::unpack)
    }

    pub(super) fn admit(&self, now: impl Fn() -> u64) -> Passage {
        let mut word = self.word();
        loop {
            match word.admit(&now) {
                Admission::Pass(permit) => return Passage::Granted(permit),
                Admission::Wait(rest) => return Passage::Wait(rest),
                Admission::Probing => return Passage::Probing,
                Admission::Probe(next, permit) => match self.replace(word, next) {
                    Ok(()) => return Passage::Granted(permit),
                    Err(present) => word = present,
                },
            }
        }
    }

    /// Takes a verdict in. Says whether the state changed, which a number of failures is not.
    pub(super) fn conclude(
        &self,
        permit: Permit,
        verdict: Verdict,
        limits: Limits,
        now: impl Fn() -> u64,
    ) -> bool {
        let mut word = self.word();
        while let Some(next) = word.conclude(permit, verdict, limits, &now) {
            match self.replace(word, next) {
                Ok(()) => return next.epoch != word.epoch,
                Err(present) => word = present,
            }
        }
        false
    }

    /// Sets the state, whatever it was. Calls that are underway have no say any more.
    pub(super) fn set(&self, state: State) {
        let mut word = self.word();
        while let Err(present) = self.replace(word, word.turn(state)) {
            word = present;
        }
    }
}

/// The atomics: those of std, or in the models those of loom.
#[cfg(not(all(loom, test)))]
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}

#[cfg(all(loom, test))]
mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
}

#[cfg(all(loom, test))]
mod loom_tests;
