use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_core::{Deliver, Failure, Parcel, Payload, Receipt};
use tower_service::Service;

use super::OnErrorFuture;
use super::layer::{Rules, Watch};

/// Reports what is lost for good, see the [module](super). Made by an [`OnErrorLayer`](super::OnErrorLayer).
pub struct OnError<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> OnError<S> {
    pub(super) const fn new(inner: S, rules: Arc<Rules>) -> Self {
        Self { inner, rules }
    }
}

impl<S: Clone> Clone for OnError<S> {
    fn clone(&self) -> Self {
        // No readiness of its own; the inner service resets its own.
        Self { inner: self.inner.clone(), rules: Arc::clone(&self.rules) }
    }
}

impl<S, P> Service<Parcel<P>> for OnError<S>
where
    S: Deliver<P>,
    P: Payload,
{
    type Response = Receipt;
    type Error = Failure<P>;
    type Future = OnErrorFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, parcel: Parcel<P>) -> Self::Future {
        // Made first, so that a call that panics is reported as well.
        let watch = Watch::new(&self.rules, parcel.payload());
        OnErrorFuture::new(self.inner.call(parcel), watch)
    }
}

impl<S: fmt::Debug> fmt::Debug for OnError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnError").field("inner", &self.inner).finish_non_exhaustive()
    }
}
