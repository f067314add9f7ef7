use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_core::{Deliver, Itemized, Parcel, Receipt};
use tower_service::Service;

use super::layer::Sinks;

/// Posts copies and delivers the original, see the [module](super). Made by a [`FanOutLayer`](super::FanOutLayer).
///
/// Its future and its errors are those of the inner service: nothing is done after the call.
pub struct FanOut<S, P: Itemized> {
    inner: S,
    sinks: Arc<Sinks<P>>,
}

impl<S, P: Itemized> FanOut<S, P> {
    pub(super) const fn new(inner: S, sinks: Arc<Sinks<P>>) -> Self {
        Self { inner, sinks }
    }
}

impl<S: Clone, P: Itemized> Clone for FanOut<S, P> {
    fn clone(&self) -> Self {
        // No readiness of its own; the inner service resets its own.
        Self { inner: self.inner.clone(), sinks: Arc::clone(&self.sinks) }
    }
}

impl<S, P> Service<Parcel<P>> for FanOut<S, P>
where
    S: Deliver<P>,
    P: Itemized + Clone,
{
    type Response = Receipt;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut parcel: Parcel<P>) -> Self::Future {
        self.sinks.copy(&mut parcel);
        self.inner.call(parcel)
    }
}

impl<S: fmt::Debug, P: Itemized> fmt::Debug for FanOut<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOut").field("inner", &self.inner).finish_non_exhaustive()
    }
}
