//! The layer that notes on tickets what attempts come to.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoi::Envelope;
use envoi::core::{Custodian, Deliver, Failure, Parcel, Receipt};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::Ticket;
use crate::outcome::Verdict;

/// Adds [`Track`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrackLayer;

impl<S> Layer<S> for TrackLayer {
    type Service = Track<S>;

    fn layer(&self, inner: S) -> Track<S> {
        Track { inner }
    }
}

/// Notes on the ticket of a parcel what the attempt came to. Parcels without one, such as reports, pass.
#[derive(Clone, Debug)]
pub(crate) struct Track<S> {
    inner: S,
}

impl<S: Deliver<Envelope>> Service<Parcel<Envelope>> for Track<S> {
    type Response = Receipt;
    type Error = Failure<Envelope>;
    type Future = TrackFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut parcel: Parcel<Envelope>) -> Self::Future {
        let ticket = parcel.meta().extensions.get::<Ticket>().cloned();
        if let Some(ticket) = &ticket {
            ticket.begin();
            let queue = parcel.reclaim();
            parcel.entrust(Arc::new(Witness { ticket: ticket.clone(), queue }));
        }
        TrackFuture { call: self.inner.call(parcel), ticket }
    }
}

pin_project! {
    /// The answer of a [`Track`]: that of the inner service.
    pub(crate) struct TrackFuture<F> {
        #[pin]
        call: F,
        // Held until the answer is noted, so that the end is not told before.
        ticket: Option<Ticket>,
    }
}

impl<F, E> Future for TrackFuture<F>
where
    F: Future<Output = Result<Receipt, E>>,
    E: Into<Failure<Envelope>>,
{
    type Output = Result<Receipt, Failure<Envelope>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = std::task::ready!(this.call.poll(cx)).map_err(Into::into);
        if let Some(ticket) = this.ticket.take() {
            if let Err(failure) = &answer
                && let Some(parcel) = failure.parcel()
            {
                ticket.saw(parcel.payload());
            }
            let may_return = answer.as_ref().is_err_and(|failure| failure.fault().kind().is_network());
            ticket.answered(Verdict::of(&answer), may_return);
        }
        Poll::Ready(answer)
    }
}

/// Sees what is left of an envelope that does not come back, for the queue that has it in custody and for the ticket.
struct Witness {
    ticket: Ticket,
    queue: Option<Arc<dyn Custodian<Envelope>>>,
}

impl Custodian<Envelope> for Witness {
    fn released(&self, envelope: &Envelope) {
        self.ticket.saw(envelope);
        if let Some(queue) = &self.queue {
            queue.released(envelope);
        }
    }

    fn keeps(&self, books: &dyn Any) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.keeps(books))
    }
}
