use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use envoi_core::{Failure, Receipt};
use pin_project_lite::pin_project;

use super::LatchLayer;

pin_project! {
    /// The answer of a [`Latch`](super::Latch): that of the inner service, or that the transport is disabled.
    ///
    /// Dropping it drops the inner call, and trips nothing.
    pub struct LatchFuture<F, P> {
        #[pin]
        state: State<F, P>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, P> {
        Called {
            #[pin]
            call: F,
            latch: LatchLayer,
        },
        Refused {
            failure: Option<Failure<P>>,
        },
    }
}

impl<F, P> LatchFuture<F, P> {
    pub(super) const fn called(call: F, latch: LatchLayer) -> Self {
        Self { state: State::Called { call, latch } }
    }

    pub(super) const fn refused(failure: Failure<P>) -> Self {
        Self { state: State::Refused { failure: Some(failure) } }
    }
}

impl<F, E, P> Future for LatchFuture<F, P>
where
    F: Future<Output = Result<Receipt, E>>,
    E: Into<Failure<P>>,
{
    type Output = Result<Receipt, Failure<P>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Called { call, latch } => {
                let answer = ready!(call.poll(cx));
                Poll::Ready(answer.map_err(|error| latch.inspect(error.into())))
            }
            StateProj::Refused { failure } => match failure.take() {
                Some(failure) => Poll::Ready(Err(failure)),
                None => unreachable!("a refused call is answered once"),
            },
        }
    }
}

impl<F, P> fmt::Debug for LatchFuture<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LatchFuture")
            .field("refused", &matches!(self.state, State::Refused { .. }))
            .finish_non_exhaustive()
    }
}
