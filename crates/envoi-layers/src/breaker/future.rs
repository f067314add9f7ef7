use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use envoi_core::{Deliver, Failure, Parcel, Receipt};
use pin_project_lite::pin_project;

use super::shared::Guard;

pin_project! {
    /// The answer of a [`Breaker`](super::Breaker): that of the inner service, or a refusal.
    ///
    /// Dropping it drops the inner call and says nothing about the receiver; a probe frees its slot.
    pub struct BreakerFuture<S, F, P> {
        #[pin]
        state: State<S, F, P>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, P> {
        Readying {
            service: S,
            parcel: Option<Parcel<P>>,
            guard: Option<Guard>,
        },
        // The call goes before the guard, so that a slot is free only when the probe is gone.
        Calling {
            #[pin]
            call: F,
            guard: Option<Guard>,
        },
        Refused {
            failure: Option<Failure<P>>,
        },
    }
}

impl<S, F, P> BreakerFuture<S, F, P> {
    pub(super) const fn calling(call: F, guard: Guard) -> Self {
        Self { state: State::Calling { call, guard: Some(guard) } }
    }

    pub(super) const fn readying(service: S, parcel: Parcel<P>, guard: Guard) -> Self {
        Self { state: State::Readying { service, parcel: Some(parcel), guard: Some(guard) } }
    }

    pub(super) const fn refused(failure: Failure<P>) -> Self {
        Self { state: State::Refused { failure: Some(failure) } }
    }
}

fn judged<P>(guard: &mut Option<Guard>, answer: Result<Receipt, Failure<P>>) -> Result<Receipt, Failure<P>> {
    if let Some(guard) = guard.take() {
        guard.judge(answer.as_ref().map_err(Failure::fault));
    }
    answer
}

impl<S, F, P> Future for BreakerFuture<S, F, P>
where
    S: Deliver<P, Future = F>,
    F: Future<Output = Result<Receipt, S::Error>>,
{
    type Output = Result<Receipt, Failure<P>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Calling { call, guard } => {
                    let answer = ready!(call.poll(cx)).map_err(Into::into);
                    return Poll::Ready(judged(guard, answer));
                }
                StateProj::Readying { service, parcel, guard } => {
                    let readiness = ready!(service.poll_ready(cx));
                    let Some(parcel) = parcel.take() else {
                        unreachable!("a service becomes ready once for one parcel");
                    };
                    if let Err(error) = readiness {
                        let (fault, _) = error.into().into_parts();
                        return Poll::Ready(judged(guard, Err(Failure::new(fault, parcel))));
                    }
                    let (call, guard) = (service.call(parcel), guard.take());
                    this.state.set(State::Calling { call, guard });
                }
                StateProj::Refused { failure } => match failure.take() {
                    Some(failure) => return Poll::Ready(Err(failure)),
                    None => unreachable!("a refused call is answered once"),
                },
            }
        }
    }
}

impl<S, F, P> fmt::Debug for BreakerFuture<S, F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Readying { .. } => "readying",
            State::Calling { .. } => "calling",
            State::Refused { .. } => "refused",
        };
        f.debug_struct("BreakerFuture").field("state", &state).finish_non_exhaustive()
    }
}
