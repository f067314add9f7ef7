use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
#[cfg(feature = "metrics")]
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use envoi_core::{
    Deliver, DiscardReason, Fate, Fault, Itemized, Kind, Ledger, LedgerSnapshot, Limits, LossSink, Parcel,
    SharedClock,
};
use envoi_envelope::batch::{BatchConfig, Batcher, Refused};
use envoi_envelope::limits::{ActiveLimit, LimitsSnapshot};
use envoi_envelope::{ClientReports, DataCategory, Envelope, RateLimits};
use envoi_layers::outbox::{Closed, Driver, Flushed, Outbox, Outcomes};

use super::batching::{Batching, Unposted};
use super::{TransportDriver, TransportStats};
use crate::guard;
use crate::sentry::Losses;

/// What a preset is assembled from.
pub(crate) struct Parts {
    pub(crate) outbox: Outbox<Envelope>,
    pub(crate) ledger: Ledger<DataCategory>,
    pub(crate) limits: RateLimits,
    pub(crate) reports: ClientReports,
    pub(crate) losses: Losses,
    pub(crate) clock: SharedClock,
    pub(crate) batching: BatchConfig,
    #[cfg(feature = "spool")]
    pub(crate) spool: Option<Arc<envoi_spool::Spool<Envelope>>>,
}

/// The name that rate limits are kept under in the disk buffer.
#[cfg(feature = "spool")]
pub(crate) const LIMITS: &str = "rate-limits";

/// The handle that an application keeps. Clones are cheap and equal; use it from any thread, with or without a runtime.
///
/// When the last one is dropped without a close, what was posted is still sent in the background, for the
/// [shutdown timeout](crate::SentryBuilder::shutdown_timeout) at most; a process that ends before that loses it. So
/// close it at exit.
///
/// ```
/// use std::time::Duration;
/// use envoi::{Envelope, Item};
/// use envoi_testkit::ingest::IngestServer;
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
/// let server = IngestServer::start().await?;
/// let transport = envoi::sentry(&server.dsn())?.build()?;
/// transport.send(Envelope::new().with_item(Item::event(r#"{"message":"hello"}"#))?)?;
/// let flushed = transport.flush(Duration::from_secs(5)).await;
/// assert!(flushed.is_complete());
/// assert_eq!(server.envelopes().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Transport {
    /// `None` without a DSN.
    inner: Option<Arc<Inner>>,
}

pub(super) struct Inner {
    pub(super) outbox: Outbox<Envelope>,
    ledger: Ledger<DataCategory>,
    limits: RateLimits,
    reports: ClientReports,
    unposted: Unposted,
    pub(super) clock: SharedClock,
    pub(super) batching: Batching,
    closed: AtomicBool,
    #[cfg(feature = "spool")]
    spool: Option<Arc<envoi_spool::Spool<Envelope>>>,
}

impl Inner {
    /// Keeps the limits for the next run (RL-12).
    #[cfg(feature = "spool")]
    fn keep_limits(&self) {
        if let Some(spool) = &self.spool {
            let limits = self.limits.save(self.clock.now(), self.clock.wall());
            spool.save_state_soon(LIMITS, limits.to_json().as_bytes());
        }
    }

    fn post(&self, parcel: Parcel<Envelope>) -> Result<Fate, Fault> {
        if guard::is_inside() {
            let envelope = parcel.payload();
            envelope.tally(&mut |category, quantity| {
                self.unposted.lost(DiscardReason::Ignored, category, quantity);
            });
            envelope.carried_losses(&mut |reason, category, quantity| {
                self.reports.restore(reason, category, quantity);
            });
            return Err(Fault::new(Kind::Disabled)
                .with_message("posted from inside the transport itself, which would never end"));
        }
        self.outbox.post(parcel)
    }

    /// Posts what the batcher gives. A refusal is recorded by the outbox.
    pub(super) fn post_all(&self, envelopes: Vec<Envelope>) {
        for envelope in envelopes {
            let _ = self.outbox.post(envelope);
        }
    }

    /// Adds one item to the batcher, unless it is known to be in vain.
    fn collect(
        &self,
        counts: &[(DataCategory, u64)],
        add: impl FnOnce(&mut Batcher<Unposted>, Instant) -> Result<(), Refused>,
    ) -> Result<(), Fault> {
        let now = self.clock.now();
        let refusal = if guard::is_inside() {
            Some((DiscardReason::Ignored, Kind::Disabled))
        } else if self.closed.load(Ordering::Acquire) {
            Some((DiscardReason::QueueOverflow, Kind::Closed))
        } else if counts.iter().any(|(category, _)| self.limits.is_limited(category, now)) {
            Some((DiscardReason::RatelimitBackoff, Kind::RateLimited))
        } else {
            None
        };
        let refuse = |reason: DiscardReason| {
            for (category, quantity) in counts {
                self.unposted.lost(reason.clone(), category, *quantity);
            }
        };
        if let Some((reason, kind)) = refusal {
            refuse(reason);
            return Err(Fault::new(kind));
        }
        let posted = self.batching.push(
            now,
            |batcher| add(batcher, now),
            |envelope| {
                let _ = self.outbox.post(envelope);
            },
        );
        posted.map_err(|refused| {
            refuse(DiscardReason::InternalSdkError);
            Fault::caused_by(Kind::Encode, refused)
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.post_all(self.batching.flush());
        self.batching.bell.notify_one();
        #[cfg(feature = "spool")]
        if !self.closed.load(Ordering::Acquire) {
            self.keep_limits();
        }
    }
}

impl Transport {
    /// A transport that does nothing (AU-6), as one that is built without a DSN.
    #[must_use]
    pub const fn disabled() -> Self {
        Self { inner: None }
    }

    pub(crate) fn assemble<S>(parts: Parts, driver: Driver<S, Envelope>) -> (Self, TransportDriver<S>)
    where
        S: Deliver<Envelope>,
    {
        let unposted = Unposted { ledger: parts.ledger.clone(), losses: parts.losses };
        let inner = Arc::new(Inner {
            outbox: parts.outbox,
            ledger: parts.ledger,
            limits: parts.limits,
            reports: parts.reports,
            batching: Batching::new(parts.batching, unposted.clone()),
            unposted,
            clock: parts.clock,
            closed: AtomicBool::new(false),
            #[cfg(feature = "spool")]
            spool: parts.spool,
        });
        let driver = TransportDriver::new(driver, Arc::downgrade(&inner), Arc::clone(&inner.batching.bell));
        (Self { inner: Some(inner) }, driver)
    }

    #[cfg(feature = "metrics")]
    pub(super) fn upgrade(weak: &Weak<Inner>) -> Option<Self> {
        weak.upgrade().map(|inner| Self { inner: Some(inner) })
    }

    /// Whether there is a DSN, so that anything is sent at all. Producers may skip their work if not.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.inner.is_some()
    }

    fn inner(&self) -> Result<&Inner, Fault> {
        self.inner
            .as_deref()
            .ok_or_else(|| Fault::new(Kind::Disabled).with_message("there is no DSN, so nothing is sent"))
    }

    /// Hands over an envelope. Never blocks, needs no runtime (TR-1).
    ///
    /// The answer is [`Fate::Queued`], or [`Fate::Spent`] if nothing of it was left to send because of known rate limits
    /// (TP-3) or because it was empty (EN-6). What becomes of it after that is in the [ledger](Transport::ledger), and
    /// by event id in the [outcomes](Transport::outcomes).
    ///
    /// It may come as a [`Parcel`]: what you put into its extensions reaches your
    /// [delivery layers](crate::SentryBuilder::delivery_layer) with every attempt, and ceases to exist with the parcel.
    ///
    /// # Errors
    /// If it was not accepted: there is no DSN, the transport is closed, the envelope is larger than its lane, or the
    /// queue is full and drops the newest. The loss is recorded already (without a DSN there is nothing to record);
    /// there is nothing left to do.
    pub fn send(&self, envelope: impl Into<Parcel<Envelope>>) -> Result<Fate, Fault> {
        self.inner()?.post(envelope.into())
    }

    /// [`Transport::send`], and waits until the disk buffer has made the envelope safe from a power failure: the answer is
    /// then [`Fate::Stored`]. It is [`Fate::Queued`] without a disk buffer, or while its disk fails. To drop the future once
    /// it was polled takes nothing back.
    ///
    /// # Errors
    /// As [`Transport::send`]; and if the envelope had to make room for others before it was stored.
    pub async fn send_durable(&self, envelope: impl Into<Parcel<Envelope>>) -> Result<Fate, Fault> {
        let inner = self.inner()?;
        if guard::is_inside() {
            return inner.post(envelope.into());
        }
        inner.outbox.post_durable(envelope).await
    }

    /// [`Transport::send_durable`] for threads without a runtime: blocks this one for at most `within`. When that is over
    /// the answer is [`Fate::Queued`]. For panic hooks.
    ///
    /// # Errors
    /// As [`Transport::send_durable`].
    pub fn send_durable_blocking(
        &self,
        envelope: impl Into<Parcel<Envelope>>,
        within: Duration,
    ) -> Result<Fate, Fault> {
        let inner = self.inner()?;
        if guard::is_inside() {
            return inner.post(envelope.into());
        }
        inner.outbox.post_durable_blocking(envelope, within)
    }

    /// How the disk buffer is doing; `None` if there is none.
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    #[must_use]
    pub fn disk_stats(&self) -> Option<envoi_spool::SpoolStats> {
        self.inner.as_ref()?.spool.as_ref().map(|spool| spool.stats())
    }

    /// Adds a log, serialised as one JSON object, to the next container of logs (TP-4). Never blocks.
    ///
    /// # Errors
    /// As [`Transport::send`], or if the log is not one JSON object or is too large, or logs are under a rate limit. The
    /// loss is recorded already.
    pub fn send_log(&self, json: impl Into<Bytes>) -> Result<(), Fault> {
        let json = json.into();
        let counts = [(DataCategory::LogItem, 1), (DataCategory::LogByte, json.len() as u64)];
        self.inner()?.collect(&counts, |batcher, now| batcher.push_log(json, now))
    }

    /// Adds a metric, serialised as one JSON object, to the next container of metrics (TP-4). Never blocks.
    ///
    /// # Errors
    /// As [`Transport::send_log`].
    pub fn send_metric(&self, json: impl Into<Bytes>) -> Result<(), Fault> {
        let json = json.into();
        let counts = [(DataCategory::TraceMetric, 1), (DataCategory::TraceMetricByte, json.len() as u64)];
        self.inner()?.collect(&counts, |batcher, now| batcher.push_metric(json, now))
    }

    /// Adds a span, serialised as one JSON object, to the next container of its trace (TP-4). Never blocks.
    ///
    /// `trace` is the trace id, 32 hexadecimal digits; `trace_header` is the dynamic sampling context of the trace, a
    /// JSON object, which the server needs with every container.
    ///
    /// # Errors
    /// As [`Transport::send_log`], or if the trace id or the trace header is none.
    pub fn send_span(
        &self,
        trace: &str,
        json: impl Into<Bytes>,
        trace_header: Option<&str>,
    ) -> Result<(), Fault> {
        let json = json.into();
        self.inner()?.collect(&[(DataCategory::Span, 1)], |batcher, now| {
            batcher.push_span(trace, json, trace_header, now)
        })
    }

    /// Records items that the application drops before they become an envelope: sampled out, dropped by a hook. They
    /// appear in the ledger and in the client reports (CR-1). A layer in the stack uses
    /// [`SentryBuilder::books`](crate::SentryBuilder::books) instead: its items were posted.
    ///
    /// ```
    /// use envoi::{DataCategory, DiscardReason};
    /// # let transport = envoi::sentry("http://public@127.0.0.1:9/1").unwrap().build().unwrap();
    /// transport.record_lost(DiscardReason::SampleRate, &DataCategory::Transaction, 1);
    /// ```
    pub fn record_lost(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        if let Some(inner) = &self.inner {
            inner.unposted.lost(reason, category, quantity);
        }
    }

    /// Waits until everything that was handed over before has its outcome, at most `within` (TR-2). Containers that are
    /// not full are sent, too, and so are pending reports. What an earlier run left in the disk buffer is not waited for,
    /// see [`Transport::drain`]. Cancel safe.
    ///
    /// Needs a tokio runtime with timers; elsewhere use [`Transport::flush_blocking`]. Without a DSN it returns at once.
    pub async fn flush(&self, within: Duration) -> Flushed {
        match &self.inner {
            Some(inner) => {
                inner.post_all(inner.batching.flush());
                inner.outbox.flush(within).await
            }
            None => Flushed::default(),
        }
    }

    /// [`Transport::flush`] for threads without a runtime: blocks this one for at most `within`. On a thread that runs the
    /// transport's own code, where it would wait for itself, it does not wait: a panic hook may flush there, because a
    /// layer of yours has panicked.
    pub fn flush_blocking(&self, within: Duration) -> Flushed {
        let within = if guard::is_inside() { Duration::ZERO } else { within };
        self.inner.as_ref().map_or_else(Flushed::default, |inner| {
            inner.post_all(inner.batching.flush());
            inner.outbox.flush_blocking(within)
        })
    }

    /// Waits until nothing is left to send, at most `within`: unlike a flush also for what an earlier run left in the
    /// [disk buffer](crate::SentryBuilder::disk_buffer) and for what is handed over meanwhile. For programs that end when
    /// all is delivered. Cancel safe.
    ///
    /// What an earlier run left keeps its pace, ten a second unless told otherwise (OC-7). After it, whatever the disk
    /// buffer still holds is in [`Flushed::left`].
    ///
    /// Needs a tokio runtime with timers; elsewhere use [`Transport::drain_blocking`]. Without a DSN it returns at once.
    pub async fn drain(&self, within: Duration) -> Flushed {
        match &self.inner {
            Some(inner) => {
                inner.post_all(inner.batching.flush());
                inner.outbox.drain(within).await
            }
            None => Flushed::default(),
        }
    }

    /// [`Transport::drain`] for threads without a runtime: blocks this one for at most `within`.
    pub fn drain_blocking(&self, within: Duration) -> Flushed {
        self.inner.as_ref().map_or_else(Flushed::default, |inner| {
            inner.post_all(inner.batching.flush());
            inner.outbox.drain_blocking(within)
        })
    }

    fn begin_close(&self) {
        if let Some(inner) = &self.inner {
            inner.closed.store(true, Ordering::Release);
            inner.post_all(inner.batching.flush());
        }
    }

    /// Closes the transport: accepts nothing more, delivers what it can, accounts for the rest, at most `within` (TR-2).
    /// Closing again is harmless. Cancel safe: the close goes on without you.
    ///
    /// Needs a tokio runtime with timers; elsewhere use [`Transport::close_blocking`].
    pub async fn close(&self, within: Duration) -> Closed {
        self.begin_close();
        match &self.inner {
            Some(inner) => {
                let closed = inner.outbox.close(within).await;
                #[cfg(feature = "spool")]
                inner.keep_limits();
                closed
            }
            None => Closed::nothing(),
        }
    }

    /// [`Transport::close`] for threads without a runtime: blocks this one for at most `within`. For exit hooks and
    /// panic hooks.
    pub fn close_blocking(&self, within: Duration) -> Closed {
        self.begin_close();
        self.inner.as_ref().map_or_else(Closed::nothing, |inner| {
            let closed = inner.outbox.close_blocking(within);
            #[cfg(feature = "spool")]
            inner.keep_limits();
            closed
        })
    }

    /// The network is back: what waits for a back-off is tried at once (OC-6).
    pub fn online(&self) {
        if let Some(inner) = &self.inner {
            inner.outbox.online();
        }
    }

    /// What the transport is doing; `None` without a DSN.
    #[must_use]
    pub fn stats(&self) -> Option<TransportStats> {
        let inner = self.inner.as_ref()?;
        let mut batching = BTreeMap::new();
        inner.batching.tally(&mut |category, quantity| {
            *batching.entry(category.clone()).or_insert(0) += quantity;
        });
        Some(TransportStats {
            outbox: inner.outbox.stats(),
            limits: inner.limits.snapshot(inner.clock.now()),
            batching,
            has_pending_reports: inner.reports.has_pending(),
        })
    }

    /// The books at this moment: per category `posted = delivered + refused + lost + held`. Empty without a DSN.
    #[must_use]
    pub fn ledger(&self) -> LedgerSnapshot<DataCategory> {
        self.inner.as_ref().map_or_else(|| Ledger::new().snapshot(), |inner| inner.ledger.snapshot())
    }

    /// The outcome of every envelope from now on, by event id; `None` without a DSN. While nobody listens it costs one
    /// relaxed load per envelope.
    #[must_use]
    pub fn outcomes(&self) -> Option<Outcomes> {
        self.inner.as_ref().map(|inner| inner.outbox.outcomes())
    }

    /// Until when `category` is held back by the server, so that producers can skip work (RL-12).
    #[must_use]
    pub fn limited_until(&self, category: &DataCategory) -> Option<Instant> {
        let inner = self.inner.as_ref()?;
        if inner.limits.is_idle() { None } else { inner.limits.until(category, inner.clock.now()) }
    }

    /// The rate limits that are in force, the one on everything first (RL-12). Costs one relaxed load while nothing was
    /// ever limited, so it may be asked for every request of a relay.
    #[must_use]
    pub fn limits(&self) -> Vec<ActiveLimit> {
        match &self.inner {
            Some(inner) if !inner.limits.is_idle() => inner.limits.snapshot(inner.clock.now()),
            _ => Vec::new(),
        }
    }

    /// The rate limits in a form that outlives the process (RL-12), for [`SentryBuilder::restore_limits`].
    ///
    /// [`SentryBuilder::restore_limits`]: crate::SentryBuilder::restore_limits
    #[must_use]
    pub fn save_limits(&self) -> Option<LimitsSnapshot> {
        let inner = self.inner.as_ref()?;
        Some(inner.limits.save(inner.clock.now(), inner.clock.wall()))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Some(inner) => f.debug_struct("Transport").field("outbox", &inner.outbox).finish_non_exhaustive(),
            None => f.write_str("Transport(disabled)"),
        }
    }
}
