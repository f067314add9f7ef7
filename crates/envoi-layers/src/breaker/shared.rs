use std::sync::Arc;
use std::time::{Duration, Instant};

use envoi_core::{Advice, Failure, Fault, Kind, Parcel, Receipt, SharedClock};
use tokio::sync::watch;

use super::circuit::{Circuit, Passage};
use super::config::Judge;
use super::word::{Limits, Permit, State};
use super::{BreakerConfig, BreakerSnapshot, Verdict};

/// How long to leave a circuit alone that has a probe out. Nobody knows how long it takes.
const WHILE_PROBING: Duration = Duration::from_secs(1);

/// What a circuit does with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// It lets everything through.
    Closed {
        /// So many failures in a row so far.
        failures: u64,
    },
    /// It lets nothing through before `until`; the first call after that is the probe.
    Open {
        /// The end of the cooldown, on the monotonic clock.
        until: Instant,
    },
    /// The probe is out; it lets nothing else through.
    HalfOpen,
}

/// What a layer, its clones and everything made by them share.
#[derive(Debug)]
pub(super) struct Shared {
    circuit: Circuit,
    limits: Limits,
    judge: Judge,
    clock: SharedClock,
    // The milliseconds of the circuit are counted from here.
    origin: Instant,
    changes: watch::Sender<BreakerState>,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl Shared {
    pub(super) fn new(config: BreakerConfig) -> Self {
        let BreakerConfig { failures, cooldown, judge, clock } = config;
        Self {
            circuit: Circuit::default(),
            limits: Limits { failures: u64::from(failures), cooldown: millis(cooldown) },
            judge,
            origin: clock.now(),
            clock,
            changes: watch::Sender::new(BreakerState::Closed { failures: 0 }),
        }
    }

    fn now(&self) -> u64 {
        let passed = self.clock.now().saturating_duration_since(self.origin);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.circuit.word().state {
            State::Closed { failures } => BreakerState::Closed { failures },
            // What no clock can reach is as good as now plus the longest it can.
            State::Open { until } => BreakerState::Open {
                until: self.origin.checked_add(Duration::from_millis(until)).unwrap_or(self.origin),
            },
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<BreakerState> {
        self.changes.subscribe()
    }

    /// Tells those who watch. The state is read under their lock, so that of two who tell at once neither tells an older
    /// one last.
    fn announce(&self) {
        self.changes.send_if_modified(|told| {
            let state = self.state();
            std::mem::replace(told, state) != state
        });
    }

    pub(super) fn refuses_until(&self, now: Instant) -> Option<Instant> {
        match self.state() {
            BreakerState::Closed { .. } => None,
            BreakerState::Open { until } => (until > now).then_some(until),
            BreakerState::HalfOpen => Some(now + self.while_probing()),
        }
    }

    fn while_probing(&self) -> Duration {
        WHILE_PROBING.min(Duration::from_millis(self.limits.cooldown))
    }

    /// Whether a call now would be refused. Decides nothing.
    pub(super) fn refuses(&self) -> bool {
        match self.circuit.word().state {
            State::Closed { .. } => false,
            State::Open { until } => self.now() < until,
            State::HalfOpen { .. } => true,
        }
    }

    pub(super) fn admit<P>(self: &Arc<Self>, parcel: Parcel<P>) -> Result<(Parcel<P>, Guard), Failure<P>> {
        let (wait, why) = match self.circuit.admit(|| self.now()) {
            Passage::Granted(permit) => {
                if permit.is_probe {
                    self.announce();
                }
                return Ok((parcel, Guard { shared: Arc::clone(self), permit, is_open: true }));
            }
            Passage::Wait(rest) => {
                (Duration::from_millis(rest), "nothing is sent before the cooldown is over")
            }
            Passage::Probing => (self.while_probing(), "nothing is sent while a probe is out"),
        };
        let fault = Fault::new(Kind::CircuitOpen).with_advice(Advice::RetryAfter(wait)).with_message(why);
        Err(Failure::new(fault, parcel))
    }

    pub(super) fn snapshot(&self) -> BreakerSnapshot {
        let wall = self.clock.wall();
        match self.circuit.word().state {
            State::Closed { failures } => BreakerSnapshot::closed(failures),
            State::Open { until } => {
                let rest = Duration::from_millis(until.saturating_sub(self.now()));
                BreakerSnapshot::open_until(wall.checked_add(rest).unwrap_or(wall))
            }
            State::HalfOpen { .. } => BreakerSnapshot::open_until(wall),
        }
    }

    pub(super) fn restore(&self, snapshot: &BreakerSnapshot, ceiling: Duration) {
        let state = match snapshot.end() {
            Some(end) => {
                let rest = end.duration_since(self.clock.wall()).unwrap_or(Duration::ZERO);
                let rest = millis(rest.min(ceiling)).min(self.limits.cooldown);
                State::Open { until: self.now().saturating_add(rest) }
            }
            // One failure more may open it, not the restoring.
            None => State::Closed { failures: snapshot.failures().min(self.limits.failures - 1) },
        };
        self.circuit.set(state);
        self.announce();
    }
}

/// A call that was let through. Dropped without an answer, a probe frees its slot.
#[derive(Debug)]
pub(super) struct Guard {
    shared: Arc<Shared>,
    permit: Permit,
    is_open: bool,
}

impl Guard {
    pub(super) fn judge(mut self, answer: Result<&Receipt, &Fault>) {
        let verdict = (self.shared.judge)(answer);
        self.is_open = false;
        self.conclude(verdict);
    }

    fn conclude(&self, verdict: Verdict) {
        let shared = &self.shared;
        if shared.circuit.conclude(self.permit, verdict, shared.limits, || shared.now()) {
            shared.announce();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_open && self.permit.is_probe {
            self.conclude(Verdict::Neutral);
        }
    }
}
