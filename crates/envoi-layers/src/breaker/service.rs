use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use envoi_core::{Deliver, Failure, Parcel, Receipt};
use tower_service::Service;

use super::BreakerFuture;
use super::shared::Shared;

/// Refuses while its circuit is open, see the [module](super). Made by a [`BreakerLayer`](super::BreakerLayer).
pub struct Breaker<S> {
    inner: S,
    shared: Arc<Shared>,
    is_ready: bool,
}

impl<S> Breaker<S> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared, is_ready: false }
    }
}

/// Shares the circuit; readiness begins anew.
impl<S: Clone> Clone for Breaker<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S, P> Service<Parcel<P>> for Breaker<S>
where
    S: Deliver<P> + Clone,
{
    type Response = Receipt;
    type Error = Failure<P>;
    type Future = BreakerFuture<S, S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // A receiver that is left alone is not asked whether it is ready either: the refusal must not wait for it.
        if !self.shared.refuses() {
            ready!(self.inner.poll_ready(cx)).map_err(Into::into)?;
            self.is_ready = true;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, parcel: Parcel<P>) -> Self::Future {
        match self.shared.admit(parcel) {
            Ok((parcel, guard)) if std::mem::take(&mut self.is_ready) => {
                BreakerFuture::calling(self.inner.call(parcel), guard)
            }
            // The circuit was open when readiness was asked for, and is not any more: the call catches up on it.
            Ok((parcel, guard)) => {
                let clone = self.inner.clone();
                BreakerFuture::readying(std::mem::replace(&mut self.inner, clone), parcel, guard)
            }
            // What the inner service reserved, if it did, stays with this instance for the next call.
            Err(failure) => BreakerFuture::refused(failure),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Breaker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("inner", &self.inner)
            .field("state", &self.shared.state())
            .finish_non_exhaustive()
    }
}
