//! A circuit breaker as simple as can be, to hold the real one against (BD-4). It knows nothing of atomics or of readiness.

use std::collections::BTreeMap;
use std::time::Duration;

use envoi_core::{Advice, Fault, Kind};

/// So long a caller is asked to wait while nobody knows how long a probe takes.
const WHILE_PROBING: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Circuit {
    Closed { failures: u32 },
    Open { until: u64 },
    Probing { since: u64 },
}

/// Let through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    epoch: u64,
    is_probe: bool,
}

/// What an answer says about the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    Ill,
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Model {
    circuit: Circuit,
    epoch: u64,
    failures: u32,
    cooldown: Duration,
    /// The batches that were let through and are not back: those, and no others, may make requests.
    admitted: BTreeMap<u64, Pass>,
    pub(crate) probes: u64,
    pub(crate) refused: u64,
}

impl Model {
    pub(crate) fn new(failures: u32, cooldown: Duration) -> Self {
        let circuit = Circuit::Closed { failures: 0 };
        Self { circuit, epoch: 0, failures, cooldown, admitted: BTreeMap::new(), probes: 0, refused: 0 }
    }

    /// May this batch leave, so many milliseconds after the beginning? If not, the wait that it should be told.
    pub(crate) fn ask(&mut self, batch: u64, now: u64) -> Result<Pass, Duration> {
        let refusal = match self.circuit {
            Circuit::Closed { .. } => None,
            Circuit::Open { until } if now >= until => {
                self.turn(Circuit::Probing { since: until });
                self.probes += 1;
                let pass = Pass { epoch: self.epoch, is_probe: true };
                self.admitted.insert(batch, pass);
                return Ok(pass);
            }
            Circuit::Open { until } => Some(Duration::from_millis(until - now)),
            Circuit::Probing { .. } => Some(WHILE_PROBING.min(self.cooldown)),
        };
        if let Some(wait) = refusal {
            self.refused += 1;
            return Err(wait);
        }
        let pass = Pass { epoch: self.epoch, is_probe: false };
        self.admitted.insert(batch, pass);
        Ok(pass)
    }

    fn turn(&mut self, circuit: Circuit) {
        self.circuit = circuit;
        self.epoch += 1;
    }

    /// A batch is back; without an answer `health` is `None`.
    pub(crate) fn end(&mut self, batch: u64, pass: Pass, health: Option<Health>, now: u64) {
        self.admitted.remove(&batch);
        if pass.epoch != self.epoch {
            return;
        }
        let until = now + u64::try_from(self.cooldown.as_millis()).unwrap();
        match (self.circuit, health.unwrap_or(Health::Unknown)) {
            (Circuit::Closed { .. }, Health::Well) => self.circuit = Circuit::Closed { failures: 0 },
            (Circuit::Closed { failures }, Health::Ill) if failures + 1 >= self.failures => {
                self.turn(Circuit::Open { until });
            }
            (Circuit::Closed { failures }, Health::Ill) => {
                self.circuit = Circuit::Closed { failures: failures + 1 };
            }
            (Circuit::Probing { .. }, Health::Well) => self.turn(Circuit::Closed { failures: 0 }),
            (Circuit::Probing { .. }, Health::Ill) => self.turn(Circuit::Open { until }),
            // The slot is free.
            (Circuit::Probing { since }, Health::Unknown) => self.turn(Circuit::Open { until: since }),
            (Circuit::Closed { .. } | Circuit::Open { .. }, _) => {}
        }
    }

    /// What is wrong with a request of this batch.
    pub(crate) fn objects_to(&self, batch: u64) -> Option<String> {
        let Some(pass) = self.admitted.get(&batch) else {
            return Some(format!("a request of a batch that was not let through, {:?} (BD-4)", self.circuit));
        };
        let stragglers =
            self.admitted.values().filter(|pass| pass.is_probe && pass.epoch == self.epoch).count();
        let is_new = pass.epoch == self.epoch;
        match self.circuit {
            Circuit::Probing { .. } if stragglers > 1 => Some("two probes at once (BD-4)".to_owned()),
            Circuit::Open { .. } if is_new => {
                Some("a new request while the circuit is open (BD-4)".to_owned())
            }
            _ => None,
        }
    }
}

/// What counts: BD-4 and what the breaker's documentation says about it, written down once more.
pub(crate) fn health_of(fault: &Fault) -> Health {
    let status = fault.status().map(|status| status.as_u16());
    let is_ill = match (fault.kind(), status) {
        (Kind::CircuitOpen | Kind::Halted | Kind::Disabled | Kind::Unauthorized, _) => false,
        (_, Some(408 | 429 | 500..=599)) => true,
        (Kind::Connect | Kind::Proxy | Kind::Tls | Kind::Io | Kind::Reset | Kind::Timeout, _) => true,
        (Kind::Other, None) => fault.advice() != Advice::Drop,
        _ => false,
    };
    if is_ill { Health::Ill } else { Health::Unknown }
}
