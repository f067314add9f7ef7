use std::fmt;
use std::task::{Context, Poll};

use envoi_core::{Deliver, Failure, Parcel, Receipt};
use tower_service::Service;

use super::layer::disabled;
use super::{LatchFuture, LatchLayer};

/// Answers for the inner service once its latch is tripped, see the [module](super). Made by a [`LatchLayer`].
pub struct Latch<S> {
    inner: S,
    latch: LatchLayer,
}

impl<S> Latch<S> {
    pub(super) const fn new(inner: S, latch: LatchLayer) -> Self {
        Self { inner, latch }
    }
}

impl<S: Clone> Clone for Latch<S> {
    fn clone(&self) -> Self {
        // No readiness of its own; the inner service resets its own.
        Self { inner: self.inner.clone(), latch: self.latch.clone() }
    }
}

impl<S, P> Service<Parcel<P>> for Latch<S>
where
    S: Deliver<P>,
{
    type Response = Receipt;
    type Error = Failure<P>;
    type Future = LatchFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, parcel: Parcel<P>) -> Self::Future {
        if self.latch.is_tripped() {
            // What the inner service reserved for this call stays with this instance.
            LatchFuture::refused(Failure::new(disabled(), parcel))
        } else {
            LatchFuture::called(self.inner.call(parcel), self.latch.clone())
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Latch<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch")
            .field("inner", &self.inner)
            .field("is_tripped", &self.latch.is_tripped())
            .finish_non_exhaustive()
    }
}
