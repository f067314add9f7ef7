use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tower::limit::ConcurrencyLimit;
use tower_service::Service;

use super::future::{Call, State};
use super::handle::Shared;
use super::{Answers, ProbeFuture, ProbeHandle};

/// The readiness of one instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Fresh,
    Ready,
    Spent,
}

/// A service that answers as it is told and counts what is done to it. See the [module](super).
pub struct Probe<Q, R, E> {
    limited: ConcurrencyLimit<Core<Q, R, E>>,
    turn: Turn,
}

impl<Q, R, E> Probe<Q, R, E> {
    /// A probe and its handle. At most `capacity` instances are ready or in flight at once.
    #[must_use]
    pub fn new(answers: Answers<Q, R, E>, capacity: usize) -> (Self, ProbeHandle) {
        let shared = Shared::new(capacity);
        let permits = Arc::clone(&shared.permits);
        let core = Core { answers, shared: Arc::clone(&shared) };
        let limited = ConcurrencyLimit::with_semaphore(core, permits);
        (Self { limited, turn: Turn::Fresh }, ProbeHandle { shared })
    }
}

/// Shares what the handle controls; readiness begins anew.
impl<Q, R, E> Clone for Probe<Q, R, E> {
    fn clone(&self) -> Self {
        Self { limited: self.limited.clone(), turn: Turn::Fresh }
    }
}

impl<Q, R, E> Service<Q> for Probe<Q, R, E> {
    type Response = R;
    type Error = E;
    type Future = ProbeFuture<Q, R, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        if self.turn != Turn::Ready {
            ready!(self.limited.poll_ready(cx))?;
            self.turn = Turn::Ready;
            self.limited.get_ref().shared.count(|counts| counts.readied += 1);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let core = self.limited.get_mut();
        let state = match std::mem::replace(&mut self.turn, Turn::Spent) {
            Turn::Ready => State::Proper { future: self.limited.call(request) },
            Turn::Fresh => {
                core.shared.count(|counts| counts.unready_calls += 1);
                State::Breach { future: core.call(request) }
            }
            Turn::Spent => {
                core.shared.count(|counts| counts.repeated_calls += 1);
                State::Breach { future: core.call(request) }
            }
        };
        ProbeFuture { state }
    }
}

impl<Q, R, E> fmt::Debug for Probe<Q, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("turn", &self.turn).finish_non_exhaustive()
    }
}

/// What stands below the concurrency limit.
struct Core<Q, R, E> {
    answers: Answers<Q, R, E>,
    shared: Arc<Shared>,
}

impl<Q, R, E> Clone for Core<Q, R, E> {
    fn clone(&self) -> Self {
        Self { answers: self.answers.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<Q, R, E> Service<Q> for Core<Q, R, E> {
    type Response = R;
    type Error = E;
    type Future = Call<Q, R, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        if ready!(self.shared.poll_gate(cx)) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err((self.answers.down)()))
        }
    }

    fn call(&mut self, request: Q) -> Self::Future {
        Call::new(request, self.answers.clone(), Arc::clone(&self.shared))
    }
}
