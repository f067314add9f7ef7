use super::Verdict;

/// Two bits for the state, twenty for the epoch, the rest for a number.
const EPOCH_BITS: u32 = 20;
const VALUE_BITS: u32 = 64 - 2 - EPOCH_BITS;
const VALUE_MAX: u64 = (1 << VALUE_BITS) - 1;
const EPOCH_MAX: u32 = (1 << EPOCH_BITS) - 1;

/// What the circuit is, as a number of 42 bits goes with it. Milliseconds are those since the breaker was made; they last
/// for 139 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// So many failures in a row.
    Closed { failures: u64 },
    /// Nobody is let through before this time.
    Open { until: u64 },
    /// A probe is out. It stays known when the cooldown ended, for the next probe if this one comes to nothing.
    HalfOpen { since: u64 },
}

/// The whole state of a breaker in one word.
///
/// Each change of state begins a new epoch, and whoever was let through remembers the epoch: a verdict from an earlier
/// one changes nothing. 2^20 changes of state during one call would be needed to mistake one for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) state: State,
    pub(super) epoch: u32,
}

/// Let through: what the epoch was, and whether as the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permit {
    pub(super) epoch: u32,
    pub(super) is_probe: bool,
}

/// The answer to somebody who wants to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Pass(Permit),
    /// Pass as the probe, if the word can be replaced by this one.
    Probe(Word, Permit),
    /// Not before so many milliseconds.
    Wait(u64),
    /// Not while the probe is out.
    Probing,
}

/// When the circuit opens, and for how many milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) failures: u64,
    pub(super) cooldown: u64,
}

impl Word {
    pub(super) const fn pack(self) -> u64 {
        let (tag, value) = match self.state {
            State::Closed { failures } => (0, failures),
            State::Open { until } => (1, until),
            State::HalfOpen { since } => (2, since),
        };
        let value = if value > VALUE_MAX { VALUE_MAX } else { value };
        (tag << 62) | ((self.epoch as u64) << VALUE_BITS) | value
    }

    pub(super) const fn unpack(bits: u64) -> Self {
        let value = bits & VALUE_MAX;
        let epoch = (bits >> VALUE_BITS) as u32 & EPOCH_MAX;
        let state = match bits >> 62 {
            0 => State::Closed { failures: value },
            1 => State::Open { until: value },
            _ => State::HalfOpen { since: value },
        };
        Self { state, epoch }
    }

    /// The same epoch, another number.
    const fn with(self, state: State) -> Self {
        Self { state, epoch: self.epoch }
    }

    /// A change of state.
    pub(super) const fn turn(self, state: State) -> Self {
        Self { state, epoch: self.epoch.wrapping_add(1) & EPOCH_MAX }
    }

    /// May somebody pass? `now` is asked only if it matters.
    pub(super) fn admit(self, now: impl FnOnce() -> u64) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Pass(Permit { epoch: self.epoch, is_probe: false }),
            State::HalfOpen { .. } => Admission::Probing,
            State::Open { until } => match until.checked_sub(now()) {
                None | Some(0) => {
                    let next = self.turn(State::HalfOpen { since: until });
                    Admission::Probe(next, Permit { epoch: next.epoch, is_probe: true })
                }
                Some(rest) => Admission::Wait(rest),
            },
        }
    }

    /// What a verdict changes; `None` is nothing.
    pub(super) fn conclude(
        self,
        permit: Permit,
        verdict: Verdict,
        limits: Limits,
        now: impl FnOnce() -> u64,
    ) -> Option<Self> {
        if self.epoch != permit.epoch {
            return None;
        }
        let reopened = |now: u64| self.turn(State::Open { until: now.saturating_add(limits.cooldown) });
        match (self.state, verdict) {
            (State::Closed { failures: 0 }, Verdict::Success) | (State::Closed { .. }, Verdict::Neutral) => {
                None
            }
            (State::Closed { .. }, Verdict::Success) => Some(self.with(State::Closed { failures: 0 })),
            (State::Closed { failures }, Verdict::Failure) => Some(if failures + 1 >= limits.failures {
                reopened(now())
            } else {
                self.with(State::Closed { failures: failures + 1 })
            }),
            (State::HalfOpen { .. }, Verdict::Success) => Some(self.turn(State::Closed { failures: 0 })),
            (State::HalfOpen { .. }, Verdict::Failure) => Some(reopened(now())),
            // The slot is free again, for the next who comes.
            (State::HalfOpen { since }, Verdict::Neutral) => Some(self.turn(State::Open { until: since })),
            // Nobody has a permit of an epoch in which the circuit is open.
            (State::Open { .. }, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { failures: 5, cooldown: 30_000 };

    fn states() -> impl Strategy<Value = State> {
        (0_u8..3, 0..=VALUE_MAX).prop_map(|(tag, value)| match tag {
            0 => State::Closed { failures: value },
            1 => State::Open { until: value },
            _ => State::HalfOpen { since: value },
        })
    }

    fn verdicts() -> impl Strategy<Value = Verdict> {
        prop::sample::select(vec![Verdict::Success, Verdict::Failure, Verdict::Neutral])
    }

    proptest! {
        /// BD-4: a word is read as it was written.
        #[test]
        fn a_word_survives_packing(state in states(), epoch in 0..=EPOCH_MAX) {
            let word = Word { state, epoch };
            prop_assert_eq!(Word::unpack(word.pack()), word);
        }

        /// BD-4: any 64 bits are some word; nothing panics.
        #[test]
        fn any_bits_are_harmless(bits: u64, now: u64, epoch: u32, probe: bool, verdict in verdicts()) {
            let word = Word::unpack(bits);
            let _ = word.admit(|| now);
            let permit = Permit { epoch: epoch & EPOCH_MAX, is_probe: probe };
            let _ = word.conclude(permit, verdict, LIMITS, || now);
        }

        /// BD-4: a verdict from another epoch changes nothing.
        #[test]
        fn late_verdicts_have_no_say(state in states(), epoch in 0..EPOCH_MAX, verdict in verdicts()) {
            let word = Word { state, epoch: epoch + 1 };
            let permit = Permit { epoch, is_probe: false };
            prop_assert_eq!(word.conclude(permit, verdict, LIMITS, || 0), None);
        }

        /// BD-4: whatever happens in whatever order, there is at most one probe, the circuit opens after exactly five
        /// failures in a row, and nobody passes during a cooldown.
        #[test]
        fn model(steps in prop::collection::vec((0_u64..20_000, 0_usize..4, verdicts()), 1..200)) {
            let mut word = Word { state: State::Closed { failures: 0 }, epoch: 0 };
            let (mut now, mut underway, mut in_a_row) = (0, Vec::new(), 0);
            let mut opened_at = None;
            for (wait, which, verdict) in steps {
                now += wait;
                match word.admit(|| now) {
                    Admission::Pass(permit) => underway.push(permit),
                    Admission::Probe(next, permit) => {
                        prop_assert!(opened_at.is_some_and(|at: u64| now >= at + LIMITS.cooldown));
                        word = next;
                        underway.push(permit);
                    }
                    Admission::Wait(rest) => {
                        prop_assert_eq!(Some(now + rest), opened_at.map(|at| at + LIMITS.cooldown));
                    }
                    Admission::Probing => {
                        prop_assert_eq!(underway.iter().filter(|p| p.is_probe && p.epoch == word.epoch).count(), 1);
                    }
                }
                if underway.is_empty() || which == 0 {
                    continue;
                }
                let permit = underway.remove(which % underway.len());
                let before = word;
                word = word.conclude(permit, verdict, LIMITS, || now).unwrap_or(word);
                if permit.epoch == before.epoch && matches!(before.state, State::Closed { .. }) {
                    in_a_row = match verdict {
                        Verdict::Success => 0,
                        Verdict::Failure => in_a_row + 1,
                        Verdict::Neutral => in_a_row,
                    };
                }
                let is_open = matches!(word.state, State::Open { .. });
                if is_open && matches!(before.state, State::Closed { .. }) {
                    prop_assert_eq!(in_a_row, 5);
                }
                if is_open && verdict == Verdict::Failure && before.epoch != word.epoch {
                    opened_at = Some(now);
                }
                if matches!(word.state, State::Closed { failures: 0 }) && before.epoch != word.epoch {
                    in_a_row = 0;
                }
                if let State::Closed { failures } = word.state {
                    prop_assert_eq!(failures, in_a_row);
                }
            }
        }
    }

    fn permit(epoch: u32, is_probe: bool) -> Permit {
        Permit { epoch, is_probe }
    }

    /// BD-4: the table of the states.
    #[test]
    fn table_of_states() {
        let closed = Word { state: State::Closed { failures: 4 }, epoch: 1 };
        let conclude =
            |word: Word, verdict| word.conclude(permit(word.epoch, false), verdict, LIMITS, || 1000);
        assert_eq!(conclude(closed, Verdict::Neutral), None);
        assert_eq!(
            conclude(closed, Verdict::Success),
            Some(Word { state: State::Closed { failures: 0 }, epoch: 1 })
        );
        let open = Word { state: State::Open { until: 31_000 }, epoch: 2 };
        assert_eq!(conclude(closed, Verdict::Failure), Some(open));
        assert_eq!(open.admit(|| 1000), Admission::Wait(30_000));
        assert_eq!(open.admit(|| 30_999), Admission::Wait(1));
        let probing = Word { state: State::HalfOpen { since: 31_000 }, epoch: 3 };
        assert_eq!(open.admit(|| 31_000), Admission::Probe(probing, permit(3, true)));
        assert_eq!(probing.admit(|| 99_000), Admission::Probing);
        assert_eq!(
            conclude(probing, Verdict::Success),
            Some(Word { state: State::Closed { failures: 0 }, epoch: 4 })
        );
        assert_eq!(
            conclude(probing, Verdict::Failure),
            Some(Word { state: State::Open { until: 31_000 }, epoch: 4 })
        );
        assert_eq!(
            conclude(probing, Verdict::Neutral),
            Some(Word { state: State::Open { until: 31_000 }, epoch: 4 })
        );
    }
}
