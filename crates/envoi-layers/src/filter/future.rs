use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_core::{Failure, Fate, Itemized, Limits, Receipt};
use pin_project_lite::pin_project;

use super::rules::Rules;

pin_project! {
    /// The answer of a [`Filter`](super::Filter): that of the inner service, or that nothing was left to send.
    ///
    /// Dropping it drops the inner call, and teaches nothing.
    pub struct FilterFuture<F, P, L, K> {
        #[pin]
        state: State<F, L, K>,
        payload: PhantomData<fn() -> P>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, L, K> {
        Called {
            #[pin]
            call: F,
            rules: Arc<Rules<L, K>>,
        },
        Spent,
    }
}

impl<F, P, L, K> FilterFuture<F, P, L, K> {
    pub(super) fn called(call: F, rules: Arc<Rules<L, K>>) -> Self {
        Self { state: State::Called { call, rules }, payload: PhantomData }
    }

    pub(super) fn spent() -> Self {
        Self { state: State::Spent, payload: PhantomData }
    }
}

impl<F, E, P, L, K> Future for FilterFuture<F, P, L, K>
where
    F: Future<Output = Result<Receipt, E>>,
    E: Into<Failure<P>>,
    P: Itemized,
    L: Limits<P::Category>,
{
    type Output = Result<Receipt, Failure<P>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Spent => Poll::Ready(Ok(Receipt::new(Fate::Spent))),
            StateProj::Called { call, rules } => {
                let answer = std::task::ready!(call.poll(cx)).map_err(Into::into);
                rules.learn(match &answer {
                    Ok(receipt) => receipt.reply(),
                    Err(failure) => failure.fault().reply(),
                });
                Poll::Ready(answer)
            }
        }
    }
}

impl<F, P, L, K> fmt::Debug for FilterFuture<F, P, L, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterFuture")
            .field("spent", &matches!(self.state, State::Spent))
            .finish_non_exhaustive()
    }
}
