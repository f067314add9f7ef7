use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use envoi_batch::{Category, Event};
use envoi_core::{Fault, Kind, LedgerSnapshot};
use envoi_layers::outbox::Outcomes;
use serde::Serialize;
use tokio::time::Instant;

use super::inner::Inner;
use super::outcome::Sums;
use super::{BatchOutcome, BatchStats};
use crate::guard;

/// The handle that an application keeps. Clones are cheap and equal; use it from any thread, with or without a runtime.
///
/// When the last one is dropped without a shutdown, what was logged is still sent in the background, for the
/// [shutdown timeout](crate::BatchBuilder::shutdown_timeout) at most; a process that ends before that loses it. So shut it
/// down at exit.
#[derive(Clone)]
pub struct BatchTransport {
    inner: Arc<Inner>,
}

impl BatchTransport {
    pub(super) const fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Serialises `value`, here and now, and hands it over as an event. Never blocks on anything but that, needs no runtime
    /// (BD-8).
    ///
    /// If 1000 events wait already the oldest gives way, which is reported.
    ///
    /// # Errors
    /// If the event was not taken on: it cannot be written as JSON or is too large, the transport is shut down, or it is
    /// disabled because the server has refused the credentials (BD-5). The loss is in the books already; there is nothing
    /// left to do.
    pub fn log<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Fault> {
        // Not to serialise in vain.
        self.inner.admits()?;
        let event =
            Event::new(value).map_err(|error| self.inner.refuse(Fault::caused_by(Kind::Encode, error)))?;
        self.send(event)
    }

    /// Hands over an event. Never blocks, needs no runtime.
    ///
    /// # Errors
    /// As [`BatchTransport::log`].
    pub fn send(&self, event: Event) -> Result<(), Fault> {
        self.inner.send(event)
    }

    /// Hands over an event as soon as there is room for it, so that no other has to give way: back-pressure, for whoever
    /// has more to send than the receiver takes. Needs a runtime. Cancel safe: the event is taken on, or not.
    ///
    /// # Errors
    /// As [`BatchTransport::log`], also if the transport is shut down meanwhile.
    pub async fn send_with_room(&self, event: Event) -> Result<(), Fault> {
        self.inner.send_with_room(event).await
    }

    /// Waits until everything that was logged before has its outcome, at most `within` (BD-9). What does not fill a batch is
    /// sent, too; of flushes that run at once the first sends it, and all wait for that. Cancel safe.
    ///
    /// Needs a tokio runtime with timers; elsewhere use [`BatchTransport::flush_blocking`].
    pub async fn flush(&self, within: Duration) -> BatchOutcome {
        let (inner, before, end) = (&self.inner, self.sums(), Instant::now() + within.min(FAR));
        let mark = inner.queue.flush(inner.clock.now());
        let moved = inner.queue.wait(mark, within).await;
        let flushed = inner.outbox.flush(end.saturating_duration_since(Instant::now())).await;
        let is_complete = moved && flushed.is_complete();
        self.sums().outcome_since(before, is_complete, false)
    }

    /// [`BatchTransport::flush`] for threads without a runtime: blocks this one for at most `within`. On a thread that runs the
    /// transport's own code, where it would wait for itself, it does not wait: a panic hook may flush there, because a layer
    /// of yours has panicked.
    pub fn flush_blocking(&self, within: Duration) -> BatchOutcome {
        let within = if guard::is_inside() { Duration::ZERO } else { within };
        let (inner, before, end) = (&self.inner, self.sums(), Instant::now() + within.min(FAR));
        let mark = inner.queue.flush(inner.clock.now());
        let moved = inner.queue.wait_blocking(mark, within);
        let flushed = inner.outbox.flush_blocking(end.saturating_duration_since(Instant::now()));
        let is_complete = moved && flushed.is_complete();
        self.sums().outcome_since(before, is_complete, false)
    }

    /// Waits until nothing is left to send, at most `within`: unlike a flush also for what an earlier run left in the
    /// [disk buffer](crate::BatchBuilder::disk_buffer), ten batches a second, and for what is logged meanwhile. Cancel safe.
    ///
    /// Needs a tokio runtime with timers.
    pub async fn drain(&self, within: Duration) -> BatchOutcome {
        let (inner, before, end) = (&self.inner, self.sums(), Instant::now() + within.min(FAR));
        let mark = inner.queue.flush(inner.clock.now());
        let moved = inner.queue.wait(mark, within).await;
        let drained = inner.outbox.drain(end.saturating_duration_since(Instant::now())).await;
        let is_complete = moved && drained.is_complete();
        self.sums().outcome_since(before, is_complete, false)
    }

    /// Shuts the transport down: accepts nothing more, delivers what it can, at most `within`, drops the rest and reports it,
    /// or leaves it in the disk buffer (BD-9). To do so again is harmless. Cancel safe: the shutdown goes on without you.
    ///
    /// Needs a tokio runtime with timers; elsewhere use [`BatchTransport::shutdown_blocking`].
    pub async fn shutdown(&self, within: Duration) -> BatchOutcome {
        let before = self.begin_shutdown();
        let closed = self.inner.outbox.close(within).await;
        self.end_shutdown(before, closed.is_complete)
    }

    /// [`BatchTransport::shutdown`] for threads without a runtime: blocks this one for at most `within`. For exit hooks.
    pub fn shutdown_blocking(&self, within: Duration) -> BatchOutcome {
        let before = self.begin_shutdown();
        let closed = self.inner.outbox.close_blocking(within);
        self.end_shutdown(before, closed.is_complete)
    }

    fn begin_shutdown(&self) -> Sums {
        let before = self.sums();
        self.inner.queue.close();
        self.inner.feed_all();
        before
    }

    fn end_shutdown(&self, before: Sums, is_complete: bool) -> BatchOutcome {
        self.inner.keep_breaker();
        self.inner.books.losses.report();
        self.sums().outcome_since(before, is_complete, self.inner.is_durable())
    }

    fn sums(&self) -> Sums {
        Sums::of(&self.ledger())
    }

    /// What the transport is doing.
    #[must_use]
    pub fn stats(&self) -> BatchStats {
        let inner = &self.inner;
        let (waiting, waiting_bytes) = inner.queue.depth();
        BatchStats {
            waiting,
            waiting_bytes,
            outbox: inner.outbox.stats(),
            breaker: inner.breaker.state(),
            is_disabled: self.is_disabled(),
            is_closed: inner.queue.is_closed(),
        }
    }

    /// Whether the server has refused the credentials, so that nothing is sent any more in this process (BD-5). Producers
    /// may skip their work then.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.inner.latch.is_tripped()
    }

    /// The books at this moment, in events: `posted = delivered + refused + lost + held`.
    #[must_use]
    pub fn ledger(&self) -> LedgerSnapshot<Category> {
        self.inner.books.ledger.snapshot()
    }

    /// The outcome of every batch from now on. While nobody listens it costs one relaxed load per batch.
    #[must_use]
    pub fn outcomes(&self) -> Outcomes {
        self.inner.outbox.outcomes()
    }

    /// How the disk buffer is doing; `None` if there is none.
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    #[must_use]
    pub fn disk_stats(&self) -> Option<envoi_spool::SpoolStats> {
        self.inner.spool.as_ref().map(|spool| spool.stats())
    }
}

/// Deadlines beyond this are as good as none, and cannot overflow.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl fmt::Debug for BatchTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchTransport")
            .field("queue", &self.inner.queue)
            .field("outbox", &self.inner.outbox)
            .finish_non_exhaustive()
    }
}
