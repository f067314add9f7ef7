use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use envoi_core::{DiscardReason, LossSink};

use super::buffer::{Batch, Buffer, Eviction};
use super::container::{Kind, envelope, frame_bytes, opening};
use super::item::{Refused, RefusedKind, check, trace_header, trace_id};
use super::{BatchConfig, BatchLimits};
use crate::{DataCategory, Envelope};

/// Logs and metrics are not told apart by anything: they share one container.
const NO_KEY: u128 = 0;

/// Collects logs, metrics and spans into envelopes; see the [module](super).
///
/// Time is passed in and must not go backwards. After each push, and at [`Batcher::deadline`], call
/// [`Batcher::poll`] until it gives nothing more; at flush and close, [`Batcher::flush`].
///
/// What a batcher still holds when it is dropped is recorded as `queue_overflow` (decision 16).
pub struct Batcher<K: LossSink<DataCategory> = ()> {
    config: BatchConfig,
    /// What every container begins with.
    opening: Bytes,
    logs: Buffer,
    metrics: Buffer,
    spans: Buffer,
    sink: K,
}

impl<K: LossSink<DataCategory>> Batcher<K> {
    /// An empty batcher that records in `sink` what had to make room: logs as `log_item` and `log_byte`, metrics as
    /// `trace_metric` and `trace_metric_byte`, spans as `span`.
    ///
    /// Such items never were in an envelope, so books that balance have to be told that they came, too.
    #[must_use]
    pub fn new(config: BatchConfig, sink: K) -> Self {
        let opening = opening(config.version);
        let frame = frame_bytes(&opening);
        let buffer = |limits: BatchLimits, eviction| Buffer::new(limits, frame, eviction);
        Self {
            logs: buffer(config.logs, Eviction::Item),
            metrics: buffer(config.metrics, Eviction::Item),
            spans: buffer(config.spans, Eviction::Key),
            opening,
            config,
            sink,
        }
    }

    /// Adds a log, serialised as one JSON object.
    ///
    /// # Errors
    /// The log, if it is not one JSON object or does not fit.
    pub fn push_log(&mut self, json: impl Into<Bytes>, now: Instant) -> Result<(), Refused> {
        self.push(Kind::Log, NO_KEY, json.into(), None, now)
    }

    /// Adds a metric, serialised as one JSON object.
    ///
    /// # Errors
    /// The metric, if it is not one JSON object or does not fit.
    pub fn push_metric(&mut self, json: impl Into<Bytes>, now: Instant) -> Result<(), Refused> {
        self.push(Kind::Metric, NO_KEY, json.into(), None, now)
    }

    /// Adds a span of the trace `trace` (32 hexadecimal digits), serialised as one JSON object.
    ///
    /// `trace_header` is the dynamic sampling context of the trace, as a JSON object. The server needs it with every
    /// container, so give it with every span; a container has the last one that came with its spans.
    ///
    /// # Errors
    /// The span, if it is not one JSON object or does not fit, or if the trace id or the trace header is none.
    pub fn push_span(
        &mut self,
        trace: &str,
        json: impl Into<Bytes>,
        trace_header: Option<&str>,
        now: Instant,
    ) -> Result<(), Refused> {
        let json = json.into();
        let Some(key) = trace_id(trace) else {
            return Err(Refused::new(RefusedKind::TraceId, json));
        };
        self.push(Kind::Span, key, json, trace_header, now)
    }

    fn push(
        &mut self,
        kind: Kind,
        key: u128,
        given: Bytes,
        header: Option<&str>,
        now: Instant,
    ) -> Result<(), Refused> {
        let Some(item) = check(&given) else {
            return Err(Refused::new(RefusedKind::NotAnObject, given));
        };
        let header = match header.map(trace_header) {
            Some(None) => return Err(Refused::new(RefusedKind::TraceHeader, given)),
            Some(header) => header,
            None => None,
        };
        let buffer = match kind {
            Kind::Log => &mut self.logs,
            Kind::Metric => &mut self.metrics,
            Kind::Span => &mut self.spans,
        };
        let sink = &self.sink;
        buffer
            .push(key, item, header, now, &mut |items, bytes| {
                count(kind, items, bytes, &mut |category, quantity| {
                    sink.lost(DiscardReason::QueueOverflow, category, quantity);
                });
            })
            .map_err(|_| Refused::new(RefusedKind::TooLarge, given))
    }

    /// The next envelope that is ready at `now`: with a full container, or one whose first item is old enough.
    /// Spans come first, as their lane is more urgent.
    #[must_use]
    pub fn poll(&mut self, now: Instant) -> Option<Envelope> {
        let age = self.config.max_age;
        self.next(|buffer| buffer.poll(now, age))
    }

    /// The next envelope, ready or not; `None` when nothing is held any more.
    #[must_use]
    pub fn flush(&mut self) -> Option<Envelope> {
        self.next(Buffer::flush)
    }

    fn next(&mut self, mut take: impl FnMut(&mut Buffer) -> Option<Batch>) -> Option<Envelope> {
        let buffers =
            [(Kind::Span, &mut self.spans), (Kind::Metric, &mut self.metrics), (Kind::Log, &mut self.logs)];
        let opening = &self.opening;
        buffers.into_iter().find_map(|(kind, buffer)| Some(envelope(kind, opening, &take(buffer)?)))
    }

    /// When [`Batcher::poll`] will have something: `None` if nothing is held, a time in the past if it has now.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let age = self.config.max_age;
        [&self.spans, &self.metrics, &self.logs].into_iter().filter_map(|buffer| buffer.deadline(age)).min()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.spans, &self.metrics, &self.logs].into_iter().all(|buffer| buffer.items() == 0)
    }

    /// Calls `visit` with the quantities that would be lost if the batcher were dropped now.
    pub fn tally(&self, visit: &mut dyn FnMut(&DataCategory, u64)) {
        let buffers = [(Kind::Span, &self.spans), (Kind::Metric, &self.metrics), (Kind::Log, &self.logs)];
        for (kind, buffer) in buffers {
            if buffer.items() > 0 {
                count(kind, buffer.items(), buffer.item_bytes(), visit);
            }
        }
    }
}

/// What items of a kind are counted as (CR-4).
fn count(kind: Kind, items: usize, bytes: usize, visit: &mut dyn FnMut(&DataCategory, u64)) {
    let (item, byte) = match kind {
        Kind::Log => (DataCategory::LogItem, Some(DataCategory::LogByte)),
        Kind::Metric => (DataCategory::TraceMetric, Some(DataCategory::TraceMetricByte)),
        Kind::Span => (DataCategory::Span, None),
    };
    visit(&item, items as u64);
    if let Some(byte) = byte {
        visit(&byte, bytes as u64);
    }
}

impl<K: LossSink<DataCategory>> Drop for Batcher<K> {
    fn drop(&mut self) {
        self.tally(&mut |category, quantity| {
            self.sink.lost(DiscardReason::QueueOverflow, category, quantity);
        });
    }
}

impl<K: LossSink<DataCategory>> fmt::Debug for Batcher<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher")
            .field("logs", &self.logs.items())
            .field("metrics", &self.metrics.items())
            .field("spans", &self.spans.items())
            .finish_non_exhaustive()
    }
}
