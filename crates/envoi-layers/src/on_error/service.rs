use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_core::{Deliver, Failure, Fault, Kind, Parcel, Payload, Receipt};
use tower_service::Service;

use super::OnErrorFuture;
use super::layer::{Rules, Watch};

/// Reports what is lost for good, see the [module](super). Made by an [`OnErrorLayer`](super::OnErrorLayer).
pub struct OnError<S> {
    inner: S,
    rules: Arc<Rules>,
    /// Why the inner service did not become ready: the answer to the next call.
    unready: Option<Fault>,
}

impl<S> OnError<S> {
    pub(super) const fn new(inner: S, rules: Arc<Rules>) -> Self {
        Self { inner, rules, unready: None }
    }

    /// Asks the inner service, and keeps its fault.
    fn poll_at_own_risk<P>(&mut self, cx: &mut Context<'_>) -> Poll<()>
    where
        S: Deliver<P>,
    {
        if self.unready.is_some() {
            return Poll::Ready(());
        }
        // A service that panics here is asked again for the next parcel, as an outbox does it.
        self.unready = match catch_unwind(AssertUnwindSafe(|| self.inner.poll_ready(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(()))) => None,
            Ok(Poll::Ready(Err(error))) => Some(error.into().into_parts().0),
            Err(_) => Some(Fault::new(Kind::Other).with_message("a layer panicked while it became ready")),
        };
        Poll::Ready(())
    }
}

impl<S: Clone> Clone for OnError<S> {
    fn clone(&self) -> Self {
        // Readiness begins anew, and so does the lack of it.
        Self::new(self.inner.clone(), Arc::clone(&self.rules))
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
        if self.rules.takes_unready {
            return self.poll_at_own_risk(cx).map(Ok);
        }
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, parcel: Parcel<P>) -> Self::Future {
        // Made first, so that a call that panics is reported as well.
        let mut watch = Watch::new(&self.rules, parcel.payload());
        match self.unready.take() {
            Some(fault) => OnErrorFuture::refused(Failure::new(fault, parcel), watch),
            None => OnErrorFuture::calling(watch.over(|| self.inner.call(parcel)), watch),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for OnError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnError").field("inner", &self.inner).finish_non_exhaustive()
    }
}
