use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use envoi_core::{Failure, Fault, Receipt, Reporter};
use http::StatusCode;
use pin_project_lite::pin_project;

pin_project! {
    /// The answer of a [`Report`](super::Report): that of the inner service, without the report in what comes back.
    ///
    /// Dropping it drops the inner call and with it the carrier; see the [module](super) for who answers for the
    /// report then.
    pub struct ReportFuture<F, P, R> {
        #[pin]
        call: F,
        // Set while a report of this reporter is on the parcel.
        attached: Option<R>,
        payload: PhantomData<fn() -> P>,
    }
}

impl<F, P, R> ReportFuture<F, P, R> {
    pub(super) const fn new(call: F, attached: Option<R>) -> Self {
        Self { call, attached, payload: PhantomData }
    }
}

/// Whether the server has read the body although the delivery failed: 2xx, and 429 (decision 14).
fn was_read(fault: &Fault) -> bool {
    fault.status().is_some_and(|status| status.is_success() || status == StatusCode::TOO_MANY_REQUESTS)
}

impl<F, E, P, R> Future for ReportFuture<F, P, R>
where
    F: Future<Output = Result<Receipt, E>>,
    E: Into<Failure<P>>,
    R: Reporter<P>,
{
    type Output = Result<Receipt, Failure<P>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = std::task::ready!(this.call.poll(cx)).map_err(Into::into);
        let attached = this.attached.take();
        Poll::Ready(answer.map_err(|mut failure: Failure<P>| {
            let restore = !was_read(failure.fault());
            if let (Some(reporter), Some(parcel)) = (attached, failure.parcel_mut()) {
                reporter.detach(parcel.payload_mut(), restore);
            }
            failure
        }))
    }
}

impl<F, P, R> fmt::Debug for ReportFuture<F, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportFuture").field("attached", &self.attached.is_some()).finish_non_exhaustive()
    }
}
