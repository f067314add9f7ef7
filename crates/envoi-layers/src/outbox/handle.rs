use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use envoi_core::{Confirm, Failure, Fate, Fault, Itemized, Kind, Lane, Ledger, Parcel, Receipt};

use tokio::sync::oneshot;

use super::outcome::{End, Outcome, Outcomes};
use super::shared::Shared;
use super::stats::{Closed, Flushed, Stats};
use super::watch::{Drainer, Until};

/// The handle of an outbox: post from any thread, flush, close, look. Clones are cheap and equal.
///
/// When the last handle is dropped the driver goes on for a moment
/// ([`OutboxConfig::linger`](super::OutboxConfig::linger)), delivers what it can and ends (TR-2).
pub struct Outbox<P: Itemized> {
    shared: Arc<Shared<P>>,
    _alive: Arc<Alive<P>>,
}

fn evicted() -> Fault {
    Fault::new(Kind::Storage).with_message("it made room for others before it was stored")
}

/// Dropped with the last handle.
struct Alive<P: Itemized>(Arc<Shared<P>>);

impl<P: Itemized> Drop for Alive<P> {
    fn drop(&mut self) {
        self.0.orphan();
    }
}

impl<P: Itemized> Outbox<P> {
    pub(super) fn new(shared: Arc<Shared<P>>) -> Self {
        let alive = Arc::new(Alive(Arc::clone(&shared)));
        Self { shared, _alive: alive }
    }

    /// Posts a payload, fire and forget: never blocks, needs no runtime (TR-1).
    ///
    /// The answer is [`Fate::Queued`], [`Fate::Stored`], or [`Fate::Spent`] if nothing of the payload was left to deliver
    /// because of known limits (TP-3). Most callers need not look at it.
    ///
    /// It may come as a [`Parcel`], whose extensions then reach the layers below with every attempt, unless a durable
    /// store read it back.
    ///
    /// # Errors
    /// If the payload was not accepted: the queue is full and drops the newest, the payload is larger than its lane,
    /// or the outbox is closed, or its [gate](super::OutboxConfig::gate) is shut. It is recorded as lost already; there is
    /// nothing left to do.
    pub fn post(&self, payload: impl Into<Parcel<P>>) -> Result<Fate, Fault> {
        self.post_with(payload.into(), None)
    }

    /// Posts a payload and waits until it is where it survives a power failure.
    ///
    /// The answer is then [`Fate::Stored`]. It is [`Fate::Queued`] if the store is one in memory, or its disk fails for now:
    /// the payload is taken on all the same. To drop the future once it was polled takes nothing back.
    ///
    /// ```
    /// # use envoi_core::{Failure, Fate, Parcel, Receipt};
    /// # use envoi_testkit::Goods;
    /// # use envoi_layers::outbox::{MemoryStore, OutboxConfig, outbox};
    /// # use tower::service_fn;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// # let service = service_fn(|parcel: Parcel<Goods>| async move { drop(parcel); Ok::<_, Failure<Goods>>(Receipt::delivered()) });
    /// # let (outbox, _driver) = outbox(MemoryStore::new(), OutboxConfig::new(), service);
    /// if outbox.post_durable(Goods::new("error")).await? == Fate::Queued {
    ///     eprintln!("held in memory only");
    /// }
    /// # Ok::<_, envoi_core::Fault>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`Outbox::post`]; and if the payload had to make room for others before it was stored. It is recorded as lost in
    /// any case.
    pub async fn post_durable(&self, payload: impl Into<Parcel<P>>) -> Result<Fate, Fault> {
        let (sender, receiver) = oneshot::channel();
        let confirm = Box::new(move |fate| {
            // Who does not wait any more does not mind.
            let _ = sender.send(fate);
        });
        match self.post_with(payload.into(), Some(confirm))? {
            Fate::Spent => Ok(Fate::Spent),
            _ => receiver.await.map_err(|_| evicted()),
        }
    }

    /// [`Outbox::post_durable`] for threads without a runtime: blocks this one for at most `within`. When that is over the
    /// answer is [`Fate::Queued`]: the payload is taken on, and nobody knows yet whether it is safe.
    ///
    /// # Errors
    /// As [`Outbox::post_durable`].
    pub fn post_durable_blocking(
        &self,
        payload: impl Into<Parcel<P>>,
        within: Duration,
    ) -> Result<Fate, Fault> {
        let (sender, receiver) = sync_channel(1);
        let confirm = Box::new(move |fate| {
            // Who does not wait any more does not mind.
            let _ = sender.send(fate);
        });
        match self.post_with(payload.into(), Some(confirm))? {
            Fate::Spent => Ok(Fate::Spent),
            _ => match receiver.recv_timeout(within) {
                Ok(fate) => Ok(fate),
                Err(RecvTimeoutError::Timeout) => Ok(Fate::Queued),
                Err(RecvTimeoutError::Disconnected) => Err(evicted()),
            },
        }
    }

    fn post_with(&self, parcel: Parcel<P>, confirm: Option<Confirm>) -> Result<Fate, Fault> {
        self.shared.books().posted(parcel.payload());
        self.shared.admit(parcel, confirm).map(|receipt| receipt.fate()).map_err(|failure| {
            let (fault, parcel) = failure.into_parts();
            let loss = fault.loss();
            self.shared.core.announcer.announce(|| Outcome {
                id: parcel.as_ref().and_then(|parcel| parcel.payload().id().map(Cow::into_owned)),
                ..Outcome::new(End::GivenUp(loss.clone()))
            });
            if let Some(parcel) = parcel {
                self.shared.books().destroyed(parcel.payload(), &loss);
            }
            fault
        })
    }

    /// Posts a parcel, or hands it back: the [responsibility rule](envoi_core::Deliver). This is what the
    /// [`Service`](tower_service::Service) of the handle does.
    ///
    /// A parcel that another outbox sends, with the same ledger, is not entered as posted a second time.
    ///
    /// # Errors
    /// As [`Outbox::post`], but nothing is recorded and the failure brings the parcel back.
    pub fn try_post(&self, parcel: Parcel<P>) -> Result<Receipt, Failure<P>> {
        let books = self.shared.books();
        let ledger: &dyn Any = &books.ledger;
        if parcel.custodian().is_some_and(|custodian| custodian.keeps(ledger)) {
            return self.shared.admit(parcel, None);
        }
        books.posted(parcel.payload());
        self.shared.admit(parcel, None).inspect_err(|failure| {
            if let Some(parcel) = failure.parcel() {
                parcel.payload().tally(&mut |category, quantity| books.ledger.withdrawn(category, quantity));
            }
        })
    }

    /// Waits until everything that was posted before has its outcome, at most `within` (TR-2). What an earlier run left in
    /// a durable store was not posted here and is not waited for, see [`Outbox::drain`].
    ///
    /// Pending reports leave as well, and what waits for a back-off is tried at once. Returns at once if the driver is
    /// gone. Cancel safe: to drop the future stops nothing but the waiting.
    ///
    /// Needs a tokio runtime with timers; elsewhere use [`Outbox::flush_blocking`].
    pub async fn flush(&self, within: Duration) -> Flushed {
        let mark = self.shared.begin_flush();
        self.shared.core.watch.wait(Until::Mark(mark), within).await;
        Flushed { left: self.shared.core.watch.left(mark) }
    }

    /// [`Outbox::flush`] for threads without a runtime: blocks this one for at most `within`. On the thread that the
    /// driver runs on it can only wait in vain.
    pub fn flush_blocking(&self, within: Duration) -> Flushed {
        let mark = self.shared.begin_flush();
        self.shared.core.watch.wait_blocking(Until::Mark(mark), within);
        Flushed { left: self.shared.core.watch.left(mark) }
    }

    /// Waits until nothing is queued or in flight, at most `within`: unlike a flush also for what an earlier run left in a
    /// durable store and for what is posted meanwhile. For programs that end when all is delivered, and for tests.
    ///
    /// It sends nothing faster than it would be sent anyway, but for back-offs, which end as with a flush: what an earlier
    /// run left keeps its pace ([`OutboxConfig::replay_pace`](super::OutboxConfig::replay_pace), OC-7), so a thousand take
    /// 100 s unless told otherwise. Returns at once if the driver is gone. Cancel safe.
    ///
    /// Needs a tokio runtime with timers; elsewhere use [`Outbox::drain_blocking`].
    pub async fn drain(&self, within: Duration) -> Flushed {
        let drainer = self.shared.core.watch.drainer();
        self.shared.begin_flush();
        self.shared.core.watch.wait(drainer.until(), within).await;
        self.undelivered(&drainer)
    }

    /// [`Outbox::drain`] for threads without a runtime: blocks this one for at most `within`. On the thread that the
    /// driver runs on it can only wait in vain.
    pub fn drain_blocking(&self, within: Duration) -> Flushed {
        let drainer = self.shared.core.watch.drainer();
        self.shared.begin_flush();
        self.shared.core.watch.wait_blocking(drainer.until(), within);
        self.undelivered(&drainer)
    }

    fn undelivered(&self, drainer: &Drainer<'_>) -> Flushed {
        let left = drainer.left().unwrap_or_else(|| {
            // What the driver is about to take is in neither place for a moment.
            self.outstanding().max(self.shared.undelivered() as u64)
        });
        Flushed { left }
    }

    /// Closes the outbox: accepts nothing more, delivers what it can, and accounts for the rest, at most `within`
    /// (TR-2).
    ///
    /// Shortly before the end (a tenth of the time, at most 250 ms) the
    /// [halt token](super::OutboxConfig::halt_token) is cancelled, so that layers hand their parcels back; then what
    /// still runs is dropped. A durable store keeps its entries. Of the others those in flight are recorded as
    /// `network_error`, those that are queued as `queue_overflow` (decision 16). If nothing can be delivered in
    /// time, because all that is left waits for longer, the close does not wait for it.
    ///
    /// Later posts are refused. Closing again is harmless; of several that run at once the shortest time counts.
    /// Cancel safe: the close goes on without you.
    ///
    /// Needs a tokio runtime with timers; elsewhere use [`Outbox::close_blocking`].
    pub async fn close(&self, within: Duration) -> Closed {
        self.shared.begin_close(within);
        self.shared.core.watch.wait(Until::End, within).await;
        self.closed()
    }

    /// [`Outbox::close`] for threads without a runtime: blocks this one for at most `within`.
    pub fn close_blocking(&self, within: Duration) -> Closed {
        self.shared.begin_close(within);
        self.shared.core.watch.wait_blocking(Until::End, within);
        self.closed()
    }

    fn closed(&self) -> Closed {
        // Usually done. If the driver hangs or never ran, the queue at least is accounted for.
        let kept = self.shared.seal();
        let totals = self.shared.closing_totals();
        Closed {
            is_complete: self.shared.core.watch.ending().is_some_and(|ending| ending.drained),
            discharged: totals.discharged,
            lost: totals.given_up,
            kept,
            in_flight: self.shared.core.counters.in_flight.load(Ordering::Relaxed),
        }
    }

    /// The network is back: what waits for a back-off is tried at once (OC-6). What a server asked to wait for is not.
    pub fn online(&self) {
        self.shared.hurry();
    }

    /// What the outbox is doing.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (shared, counters) = (&self.shared, &self.shared.core.counters);
        Stats {
            lanes: Lane::ALL.map(|lane| shared.store.depth(lane)),
            in_flight: counters.in_flight.load(Ordering::Relaxed),
            attempts: counters.attempts.load(Ordering::Relaxed),
            discharged: counters.discharged.load(Ordering::Relaxed),
            given_up: counters.given_up.load(Ordering::Relaxed),
            last_failure: shared.last_failure(),
            limited_until: shared.limits.all_until(shared.clock.now()),
            is_closed: shared.is_closed(),
        }
    }

    /// How many parcels that were posted in this run have no outcome yet: queued, waiting or in flight. One short lock, so
    /// that whoever feeds a queue may ask it before every parcel; [`Outbox::stats`] tells more.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.shared.core.watch.outstanding()
    }

    /// The books.
    #[must_use]
    pub fn ledger(&self) -> &Ledger<P::Category> {
        &self.shared.books().ledger
    }

    /// The outcome of every parcel from now on. While nobody listens it costs one relaxed load per parcel.
    #[must_use]
    pub fn outcomes(&self) -> Outcomes {
        self.shared.core.announcer.listen()
    }

    /// Visits category and quantity of everything that is queued or in flight, counted in the queue itself and not
    /// taken from the books: when nothing is moving, this is what the ledger says is held (CR-1).
    ///
    /// What is in flight counts as it was when it left the queue. One category may be visited more than once.
    pub fn held(&self, mut visit: impl FnMut(&P::Category, u64)) {
        self.shared.store.held(&mut visit);
        self.shared.books().visit_in_flight(&mut visit);
    }
}

impl<P: Itemized> Clone for Outbox<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), _alive: Arc::clone(&self._alive) }
    }
}

impl<P: Itemized> fmt::Debug for Outbox<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Outbox")
            .field("queued", &stats.queued())
            .field("in_flight", &stats.in_flight)
            .field("is_closed", &stats.is_closed)
            .finish_non_exhaustive()
    }
}
