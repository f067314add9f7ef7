use std::any::Any;
use std::borrow::Cow;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use envoi_core::{DiscardReason, Failure, Itemized, Lane, Lease, Loss, Parcel, Receipt, Settle};
use http::StatusCode;
use pin_project_lite::pin_project;

use super::custody::{Custody, Entry};
use super::outcome::{End, Outcome};
use super::shared::Shared;
use super::stats::Counters;

/// Runs a stranger's code. A panic comes back as its message.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| Panicked::from(panic.as_ref()))
}

/// A layer panicked, with these words.
#[derive(Clone, Debug)]
pub(super) struct Panicked(pub(super) Cow<'static, str>);

impl From<&(dyn Any + Send)> for Panicked {
    fn from(panic: &(dyn Any + Send)) -> Self {
        let words = panic.downcast_ref::<&'static str>().map(|words| Cow::Borrowed(*words));
        let words = words.or_else(|| panic.downcast_ref::<String>().map(|words| Cow::Owned(words.clone())));
        Self(words.unwrap_or(Cow::Borrowed("without words")))
    }
}

/// What the call came to.
pub(super) type Answer<P> = Result<Result<Receipt, Failure<P>>, Panicked>;

/// How a parcel ended, for the books.
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) status: Option<StatusCode>,
    pub(super) attempts: u32,
}

/// The papers of a parcel on its way: its lease, its custody, its place in the flushes. Dropped without an outcome, with
/// the call that was to bring one, they see to it that the parcel is accounted for.
pub(super) struct Ticket<P: Itemized> {
    shared: Arc<Shared<P>>,
    custody: Arc<Custody<P>>,
    lease: envoi_core::LeaseId,
    tag: u64,
    pub(super) lane: Lane,
    pub(super) since: Instant,
    pub(super) attempt: u32,
    id: Option<String>,
    open: bool,
}

impl<P: Itemized> Ticket<P> {
    /// Writes the papers for a lease, and takes the parcel in custody.
    pub(super) fn new(shared: &Arc<Shared<P>>, lane: Lane, lease: Lease<P>) -> (Self, Parcel<P>) {
        let Lease { id: lease, tag, since, mut parcel } = lease;
        let custody = Custody::new(Arc::clone(&shared.core.books), parcel.payload());
        parcel.entrust(Arc::<Custody<P>>::clone(&custody));
        shared.core.counters.in_flight.fetch_add(1, Ordering::Relaxed);
        Counters::add(&shared.core.counters.attempts);
        let heard = shared.core.announcer.is_heard();
        let ticket = Self {
            shared: Arc::clone(shared),
            custody,
            lease,
            tag,
            lane,
            since,
            attempt: parcel.meta().attempt,
            id: if heard { parcel.payload().id().map(Cow::into_owned) } else { None },
            open: true,
        };
        (ticket, parcel)
    }

    /// Whether the store has a copy that outlives the process.
    pub(super) fn is_durable(&self) -> bool {
        self.shared.store.is_durable(self.lease)
    }

    /// Back to the store, to be tried again.
    pub(super) fn give_back(
        mut self,
        parcel: Parcel<P>,
        not_before: Option<Instant>,
        until_server: bool,
        now: Instant,
    ) {
        self.open = false;
        self.shared.store.settle(self.lease, Settle::Return { parcel, not_before, until_server }, now);
        self.custody.judge(Entry::Void);
    }

    /// The end: `entry` is made in the books, then the store lets the entry go, then flushes hear of it.
    pub(super) fn end(mut self, entry: Entry, ended: Ended, now: Instant) {
        self.open = false;
        self.custody.judge(entry);
        self.conclude(ended, now);
    }

    fn conclude(&mut self, ended: Ended, now: Instant) {
        let core = &self.shared.core;
        let (settle, counter) = match ended.end {
            End::Discharged(_) => (Settle::Delivered, &core.counters.discharged),
            End::GivenUp(_) | End::Evicted => (Settle::Discarded, &core.counters.given_up),
        };
        self.shared.store.settle(self.lease, settle, now);
        Counters::add(counter);
        let Ended { end, status, attempts } = ended;
        core.announcer.announce(|| Outcome { id: self.id.take(), end, status, attempts });
        core.watch.settle(self.tag);
    }
}

/// The call was dropped, by a close or with the driver: lost to the network (decision 16), unless the store has a copy.
impl<P: Itemized> Drop for Ticket<P> {
    fn drop(&mut self) {
        if self.open {
            let now = self.shared.clock.now();
            if self.is_durable() {
                self.shared.store.settle(self.lease, Settle::Abandoned, now);
                self.custody.judge(Entry::Abandoned);
            } else {
                let loss = Loss::Lost(DiscardReason::NetworkError);
                self.custody.judge(Entry::Lost(loss.clone()));
                let attempts = self.attempt.saturating_add(1);
                self.conclude(Ended { end: End::GivenUp(loss), status: None, attempts }, now);
            }
        }
        self.shared.core.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project! {
    /// A delivery that runs. A panic inside ends it, and nothing else.
    pub(super) struct InFlight<F, P: Itemized> {
        #[pin]
        call: Option<F>,
        ticket: Option<Ticket<P>>,
    }

    impl<F, P: Itemized> PinnedDrop for InFlight<F, P> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // First the call, with the parcel in it, then the papers; a panic on the way out harms nobody else.
            let _ = guarded(|| this.call.set(None));
            this.ticket.take();
        }
    }
}

impl<F, P: Itemized> InFlight<F, P> {
    pub(super) const fn new(call: F, ticket: Ticket<P>) -> Self {
        Self { call: Some(call), ticket: Some(ticket) }
    }
}

impl<F, E, P> Future for InFlight<F, P>
where
    F: Future<Output = Result<Receipt, E>>,
    E: Into<Failure<P>>,
    P: Itemized,
{
    type Output = (Ticket<P>, Answer<P>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answer = guarded(|| match this.call.as_mut().as_pin_mut() {
            Some(call) => call.poll(cx).map_err(Into::into),
            None => Poll::Pending,
        });
        let answer = match answer {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => Ok(answer),
            Err(panicked) => Err(panicked),
        };
        // Before the outcome is booked the call is gone, and with it the parcel if it still had it.
        let _ = guarded(|| this.call.set(None));
        match this.ticket.take() {
            Some(ticket) => Poll::Ready((ticket, answer)),
            None => Poll::Pending,
        }
    }
}
