use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use envoi_core::{Deliver, Failure, Fate, Fault, Kind, Receipt};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::layer::Rules;

pin_project! {
    /// The answer of a [`Retry`](super::Retry): that of the last attempt.
    ///
    /// Dropping it drops the parcel, in an attempt or in a wait. Use the
    /// [halt token](super::RetryLayer::halt_on) to get it back instead. Waits need tokio's timers.
    pub struct RetryFuture<S, F, P> {
        #[pin]
        state: State<F, P>,
        service: S,
        rules: Arc<Rules>,
        failures: u32,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, P> {
        Trying {
            #[pin]
            call: F,
        },
        /// The wait, and after it the one for the readiness of the service.
        Waiting {
            #[pin]
            sleep: Sleep,
            is_over: bool,
            // Made here and not at the start, so that a delivery that succeeds does not pay for it.
            #[pin]
            halted: Option<WaitForCancellationFutureOwned>,
            failure: Option<Failure<P>>,
        },
    }
}

impl<S, F, P> RetryFuture<S, F, P> {
    pub(super) const fn new(call: F, service: S, rules: Arc<Rules>, failures: u32) -> Self {
        Self { state: State::Trying { call }, service, rules, failures }
    }
}

impl<S, F, P> Future for RetryFuture<S, F, P>
where
    S: Deliver<P, Future = F>,
    F: Future<Output = Result<Receipt, S::Error>>,
{
    type Output = Result<Receipt, Failure<P>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Trying { call } => {
                    let mut failure = match ready!(call.poll(cx)) {
                        Ok(receipt) => {
                            if receipt.fate() == Fate::Delivered {
                                this.rules.delivered();
                            }
                            return Poll::Ready(Ok(receipt));
                        }
                        Err(error) => error.into(),
                    };
                    *this.failures = this.failures.saturating_add(1);
                    if failure.parcel().is_none() {
                        return Poll::Ready(Err(failure));
                    }
                    let Some(wait) = this.rules.next(*this.failures, failure.fault()) else {
                        return Poll::Ready(Err(failure));
                    };
                    // A last failure is counted by whoever tries again after all.
                    if let Some(parcel) = failure.parcel_mut() {
                        let meta = parcel.meta_mut();
                        meta.attempt = meta.attempt.saturating_add(1);
                    }
                    // The call goes now, and with it what it had reserved: nobody waits for us while we wait.
                    this.state.set(State::Waiting {
                        sleep: tokio::time::sleep(wait),
                        is_over: false,
                        halted: this.rules.halt.clone().map(CancellationToken::cancelled_owned),
                        failure: Some(failure),
                    });
                }
                StateProj::Waiting { sleep, is_over, halted, failure } => {
                    if halted.as_pin_mut().is_some_and(|halted| halted.poll(cx).is_ready()) {
                        return Poll::Ready(Err(interrupted(take(failure))));
                    }
                    if !*is_over {
                        ready!(sleep.poll(cx));
                        *is_over = true;
                    }
                    if let Err(error) = ready!(this.service.poll_ready(cx)) {
                        // A service that fails to become ready will not get better; the goods are still here.
                        let (fault, _) = error.into().into_parts();
                        return Poll::Ready(Err(take(failure).map_fault(|_| fault)));
                    }
                    let Some(parcel) = take(failure).into_parcel() else {
                        unreachable!("only a failure with a parcel is waited for");
                    };
                    let call = this.service.call(parcel);
                    this.state.set(State::Trying { call });
                }
            }
        }
    }
}

fn take<P>(failure: &mut Option<Failure<P>>) -> Failure<P> {
    match failure.take() {
        Some(failure) => failure,
        None => unreachable!("a wait ends once"),
    }
}

/// What failed last is the source of the interruption.
fn interrupted<P>(failure: Failure<P>) -> Failure<P> {
    failure.map_fault(|fault| {
        Fault::caused_by(Kind::Halted, fault).with_message("it waited for its next attempt")
    })
}

impl<S, F, P> fmt::Debug for RetryFuture<S, F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture")
            .field("failures", &self.failures)
            .field("waiting", &matches!(self.state, State::Waiting { .. }))
            .finish_non_exhaustive()
    }
}
