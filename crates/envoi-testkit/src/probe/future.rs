use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::limit::concurrency::future::ResponseFuture;

use super::Answers;
use super::handle::Shared;

/// Counts a call as in flight for as long as it is.
struct Flight {
    shared: Arc<Shared>,
    answered: bool,
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.count(|counts| {
                counts.in_flight -= 1;
                counts.cancelled += 1;
            });
        }
    }
}

/// One call of the service below the concurrency limit.
pub(super) struct Call<Q, R, E> {
    answers: Answers<Q, R, E>,
    // Kept until the answer, as a real service keeps what it is writing.
    request: Option<Box<Q>>,
    flight: Flight,
}

impl<Q, R, E> Call<Q, R, E> {
    pub(super) fn new(request: Q, answers: Answers<Q, R, E>, shared: Arc<Shared>) -> Self {
        shared.count(|counts| {
            counts.calls += 1;
            counts.in_flight += 1;
        });
        Self { answers, request: Some(Box::new(request)), flight: Flight { shared, answered: false } }
    }
}

impl<Q, R, E> Future for Call<Q, R, E> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let refused = ready!(self.flight.shared.poll_answer(cx));
        let Some(request) = self.request.take() else {
            unreachable!("a future is not polled after it is ready");
        };
        self.flight.answered = true;
        self.flight.shared.count(|counts| {
            counts.in_flight -= 1;
            counts.answered += 1;
        });
        Poll::Ready(if refused {
            Err((self.answers.refuse)(*request))
        } else {
            (self.answers.answer)(*request)
        })
    }
}

pin_project! {
    /// The answer of a [`Probe`](super::Probe). It holds its share of the capacity until it is dropped.
    #[must_use = "futures do nothing unless polled"]
    pub struct ProbeFuture<Q, R, E> {
        #[pin]
        pub(super) state: State<Q, R, E>,
    }
}

pin_project! {
    #[project = StateProjection]
    pub(super) enum State<Q, R, E> {
        Proper { #[pin] future: ResponseFuture<Call<Q, R, E>> },
        // A call without readiness has no permit. It is counted, and answered all the same.
        Breach { #[pin] future: Call<Q, R, E> },
    }
}

impl<Q, R, E> Future for ProbeFuture<Q, R, E> {
    type Output = Result<R, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Proper { future } => future.poll(cx),
            StateProjection::Breach { future } => future.poll(cx),
        }
    }
}

impl<Q, R, E> fmt::Debug for ProbeFuture<Q, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeFuture").finish_non_exhaustive()
    }
}
