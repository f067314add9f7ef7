use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_core::{Deliver, Failure, Parcel, Receipt};
use tower_service::Service;

use super::RetryFuture;
use super::layer::Rules;

/// Tries deliveries again, see the [module](super). Made by a [`RetryLayer`](super::RetryLayer).
pub struct Retry<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> Retry<S> {
    pub(super) const fn new(inner: S, rules: Arc<Rules>) -> Self {
        Self { inner, rules }
    }
}

impl<S: Clone> Clone for Retry<S> {
    fn clone(&self) -> Self {
        // A retry has no readiness of its own; the inner service resets its own.
        Self { inner: self.inner.clone(), rules: Arc::clone(&self.rules) }
    }
}

impl<S, P> Service<Parcel<P>> for Retry<S>
where
    S: Deliver<P> + Clone,
{
    type Response = Receipt;
    type Error = Failure<P>;
    type Future = RetryFuture<S, S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, parcel: Parcel<P>) -> Self::Future {
        // The readied instance makes the first attempt; the clone becomes ready by itself before each further one.
        let failures = self.rules.begin(parcel.meta().attempt);
        let call = self.inner.call(parcel);
        RetryFuture::new(call, self.inner.clone(), Arc::clone(&self.rules), failures)
    }
}

impl<S: fmt::Debug> fmt::Debug for Retry<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("inner", &self.inner).finish_non_exhaustive()
    }
}
