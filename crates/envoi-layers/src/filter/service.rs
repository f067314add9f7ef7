use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_core::{Deliver, Failure, Itemized, Limits, LossSink, Parcel, Receipt};
use tower_service::Service;

use super::FilterFuture;
use super::rules::Rules;

/// Holds back what is under a rate limit, see the [module](super). Made by a [`FilterLayer`](super::FilterLayer).
pub struct Filter<S, L, K = ()> {
    inner: S,
    rules: Arc<Rules<L, K>>,
}

impl<S, L, K> Filter<S, L, K> {
    pub(super) fn new(inner: S, rules: Rules<L, K>) -> Self {
        Self { inner, rules: Arc::new(rules) }
    }
}

impl<S: Clone, L, K> Clone for Filter<S, L, K> {
    fn clone(&self) -> Self {
        // A filter has no readiness of its own; the inner service resets its own.
        Self { inner: self.inner.clone(), rules: Arc::clone(&self.rules) }
    }
}

impl<S, L, K, P> Service<Parcel<P>> for Filter<S, L, K>
where
    S: Deliver<P>,
    P: Itemized,
    L: Limits<P::Category>,
    K: LossSink<P::Category>,
{
    type Response = Receipt;
    type Error = Failure<P>;
    type Future = FilterFuture<S::Future, P, L, K>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut parcel: Parcel<P>) -> Self::Future {
        if self.rules.admit(parcel.payload_mut()) {
            FilterFuture::called(self.inner.call(parcel), Arc::clone(&self.rules))
        } else {
            // What the inner service reserved for this call stays with this instance, for the next one.
            FilterFuture::spent()
        }
    }
}

impl<S: fmt::Debug, L, K> fmt::Debug for Filter<S, L, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("inner", &self.inner).finish_non_exhaustive()
    }
}
