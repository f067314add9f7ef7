use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::{Semaphore, watch};

/// What a [`Probe`](super::Probe) says when it is polled for readiness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// Ready, as long as there is capacity.
    #[default]
    Open,
    /// Pending. An instance that was readied before stays ready.
    Pending,
    /// The readiness error.
    Failed,
}

/// What happened to a [`Probe`](super::Probe) and its clones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// How often an instance became ready.
    pub readied: usize,
    /// Calls.
    pub calls: usize,
    /// Calls of an instance that was never ready: a breach of the contract.
    pub unready_calls: usize,
    /// Further calls for one readiness: a breach of the contract.
    pub repeated_calls: usize,
    /// Calls that are neither answered nor cancelled.
    pub in_flight: usize,
    /// Calls that were answered, with a response or an error.
    pub answered: usize,
    /// Calls whose future was dropped before the answer.
    pub cancelled: usize,
}

#[derive(Debug, Default)]
struct State {
    gate: Gate,
    holding: bool,
    refusing: bool,
    wakers: Vec<Waker>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    counts: watch::Sender<Counts>,
    pub(super) permits: Arc<Semaphore>,
    capacity: usize,
}

impl Shared {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            counts: watch::Sender::default(),
            permits: Arc::new(Semaphore::new(capacity)),
            capacity,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let woken = {
            let mut state = self.state();
            change(&mut state);
            std::mem::take(&mut state.wakers)
        };
        for waker in woken {
            waker.wake();
        }
    }

    /// Ready with whether the gate is open.
    pub(super) fn poll_gate(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.state();
        match state.gate {
            Gate::Open => Poll::Ready(true),
            Gate::Failed => Poll::Ready(false),
            Gate::Pending => {
                state.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Ready with whether the call is refused.
    pub(super) fn poll_answer(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.state();
        if state.holding {
            state.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(state.refusing)
    }
}

/// Controls a [`Probe`](super::Probe) and all its clones, and tells what was done to them.
#[derive(Clone, Debug)]
pub struct ProbeHandle {
    pub(super) shared: Arc<Shared>,
}

impl ProbeHandle {
    /// Sets what readiness is, and wakes those who wait for it.
    pub fn set_gate(&self, gate: Gate) {
        self.shared.change(|state| state.gate = gate);
    }

    /// Holds all answers back, from now on.
    pub fn hold(&self) {
        self.shared.change(|state| state.holding = true);
    }

    /// Lets the answers go that were held back, and all later ones.
    pub fn release(&self) {
        self.shared.change(|state| state.holding = false);
    }

    /// Whether answers are refusals: the error of [`Answers::refusing`](super::Answers::refusing).
    pub fn set_refusing(&self, refusing: bool) {
        self.shared.change(|state| state.refusing = refusing);
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// How much of the capacity is taken: by instances that are ready, and by calls whose future is alive.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.shared.capacity - self.shared.permits.available_permits()
    }

    /// Waits until `reached` says so. Cancel safe.
    pub async fn until(&self, mut reached: impl FnMut(&Counts) -> bool) -> Counts {
        let mut counts = self.shared.counts.subscribe();
        match counts.wait_for(|counts| reached(counts)).await {
            Ok(counts) => *counts,
            Err(_) => unreachable!("the sender is in `self`"),
        }
    }
}
