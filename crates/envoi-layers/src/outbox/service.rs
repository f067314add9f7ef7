use std::future::{Ready, ready};
use std::task::{Context, Poll};

use envoi_core::{Failure, Itemized, Parcel, Receipt};
use tower_service::Service;

use super::Outbox;

/// [`Outbox::try_post`] as a service, so that an outbox may stand anywhere in a stack. Always ready; the answer is
/// there at once.
impl<P: Itemized> Service<Parcel<P>> for Outbox<P> {
    type Response = Receipt;
    type Error = Failure<P>;
    type Future = Ready<Result<Receipt, Failure<P>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, parcel: Parcel<P>) -> Self::Future {
        ready(self.try_post(parcel))
    }
}
