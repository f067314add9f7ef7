use std::fmt;
use std::task::{Context, Poll};

use envoi_core::{Deliver, Failure, Parcel, Receipt, Reporter};
use tower_service::Service;

use super::ReportFuture;

/// Attaches pending reports to what leaves, see the [module](super). Made by a [`ReportLayer`](super::ReportLayer).
#[derive(Clone)]
pub struct Report<S, R> {
    inner: S,
    reporter: R,
}

impl<S, R> Report<S, R> {
    pub(super) const fn new(inner: S, reporter: R) -> Self {
        Self { inner, reporter }
    }
}

impl<S, R, P> Service<Parcel<P>> for Report<S, R>
where
    S: Deliver<P>,
    R: Reporter<P> + Clone,
{
    type Response = Receipt;
    type Error = Failure<P>;
    type Future = ReportFuture<S::Future, P, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut parcel: Parcel<P>) -> Self::Future {
        let attached = self.reporter.is_pending() && self.reporter.attach(parcel.payload_mut());
        // The handle is only needed to take the report off again, so the common path does not clone it.
        let reporter = attached.then(|| self.reporter.clone());
        ReportFuture::new(self.inner.call(parcel), reporter)
    }
}

impl<S: fmt::Debug, R> fmt::Debug for Report<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("inner", &self.inner).finish_non_exhaustive()
    }
}
