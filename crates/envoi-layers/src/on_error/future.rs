use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use envoi_core::{Failure, Payload, Receipt};
use pin_project_lite::pin_project;

use super::layer::Watch;

pin_project! {
    /// The answer of an [`OnError`](super::OnError): that of the inner service, with the advice to drop what was reported.
    ///
    /// Dropping it drops the inner call and its parcel with it, and reports that; see
    /// [`OnErrorLayer::cancelled_are_kept`](super::OnErrorLayer::cancelled_are_kept).
    pub struct OnErrorFuture<F, P> {
        // Dropped in this order: the parcel is gone when its loss is told.
        #[pin]
        state: State<F, P>,
        watch: Watch,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, P> {
        Calling {
            #[pin]
            call: F,
        },
        /// What is below did not become ready.
        Refused {
            failure: Option<Failure<P>>,
        },
    }
}

impl<F, P> OnErrorFuture<F, P> {
    pub(super) const fn calling(call: F, watch: Watch) -> Self {
        Self { state: State::Calling { call }, watch }
    }

    pub(super) const fn refused(failure: Failure<P>, watch: Watch) -> Self {
        Self { state: State::Refused { failure: Some(failure) }, watch }
    }
}

impl<F, E, P> Future for OnErrorFuture<F, P>
where
    F: Future<Output = Result<Receipt, E>>,
    E: Into<Failure<P>>,
    P: Payload,
{
    type Output = Result<Receipt, Failure<P>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = match this.state.project() {
            StateProj::Calling { call } => ready!(this.watch.over(|| call.poll(cx))).map_err(Into::into),
            StateProj::Refused { failure } => match failure.take() {
                Some(failure) => Err(failure),
                None => unreachable!("a refused call is answered once"),
            },
        };
        Poll::Ready(match answer {
            Ok(receipt) => {
                this.watch.delivered();
                Ok(receipt)
            }
            Err(failure) => Err(this.watch.failed(failure)),
        })
    }
}

impl<F, P> fmt::Debug for OnErrorFuture<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnErrorFuture").finish_non_exhaustive()
    }
}
