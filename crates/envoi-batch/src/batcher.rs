use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::time::Instant;

use crate::batch::array_bytes;
use crate::{Batch, BatcherConfig, Event};

/// A bounded queue of events that says when a batch is due (BD-8).
///
/// A batch is due when enough events or bytes wait, when the [interval](BatcherConfig::interval) since the last flush is
/// over, or when [`Batcher::flush`] asked for it. Time is passed in and should not go backwards. After each push, and at
/// [`Batcher::deadline`], call [`Batcher::poll`] until it gives nothing more, or as far as there is room for batches: what
/// is due and is not fetched waits here, where the bounds reach it, and leaves in fuller batches.
///
/// Nothing is written down here: whoever drops a batcher, or is told of an overflow, does that.
#[derive(Debug)]
pub struct Batcher {
    config: BatcherConfig,
    waiting: VecDeque<Event>,
    /// Of the events, without what an array adds.
    bytes: usize,
    /// How many events have left, by poll or by overflow: the number of the first that waits.
    left: u64,
    /// Events with a number below this are due, however few they are.
    due: u64,
    last_flush: Instant,
}

impl Batcher {
    /// An empty batcher; the first interval begins now.
    #[must_use]
    pub fn new(config: BatcherConfig, now: Instant) -> Self {
        let config = config.sane();
        Self { config, waiting: VecDeque::new(), bytes: 0, left: 0, due: 0, last_flush: now }
    }

    /// Adds an event. If there is no room the oldest give way.
    ///
    /// # Errors
    /// The event, if it does not fit into a batch at all.
    pub fn push(&mut self, event: Event, now: Instant) -> Result<Pushed, TooLarge> {
        let size = array_bytes(1, event.len());
        if size > self.config.max_bytes {
            return Err(TooLarge { event, size, most: self.config.max_bytes });
        }
        self.tick_while_empty(now);
        let mut overflow = 0;
        while !self.has_room(&event) && self.pop().is_some() {
            overflow += 1;
        }
        let (was_empty, was_full) = (self.is_empty(), self.is_full());
        self.bytes += event.len();
        self.waiting.push_back(event);
        Ok(Pushed { overflow, is_news: was_empty || (self.is_full() && !was_full) })
    }

    /// Whether `event` could be pushed without another one giving way.
    #[must_use]
    pub fn has_room(&self, event: &Event) -> bool {
        self.waiting.len() < self.config.capacity
            && self.bytes.saturating_add(event.len()) <= self.config.capacity_bytes
    }

    /// The next batch that is due at `now`.
    #[must_use]
    pub fn poll(&mut self, now: Instant) -> Option<Batch> {
        if !self.is_due(now) {
            return None;
        }
        // What waits when the interval is over is all due, also what does not fit into the first batch.
        if now >= self.last_flush + self.config.interval {
            self.due = self.pushed();
        }
        self.last_flush = now;
        Some(self.take())
    }

    /// Whether [`Batcher::poll`] has something at `now`.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Makes due whatever waits now.
    pub fn flush(&mut self, now: Instant) {
        self.due = self.pushed();
        self.last_flush = now;
    }

    /// When [`Batcher::poll`] will have something: `None` if nothing waits, an instant in the past if it has now.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_empty() {
            return None;
        }
        let is_due = self.is_full() || self.left < self.due;
        Some(if is_due { self.last_flush } else { self.last_flush + self.config.interval })
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no event waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The bytes of the events that wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many events were ever pushed.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.left + self.waiting.len() as u64
    }

    /// How many events have left again, in batches or to make room. They leave in the order in which they came, so the
    /// events of before a certain moment have left when this reaches what [`Batcher::pushed`] was then.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.config.max_events
            || array_bytes(self.waiting.len(), self.bytes) >= self.config.max_bytes
    }

    /// A flush that found nothing counts as one.
    fn tick_while_empty(&mut self, now: Instant) {
        let interval = self.config.interval.as_nanos();
        if !self.is_empty() {
            return;
        }
        let past = now.saturating_duration_since(self.last_flush);
        if let Some(rest) = past.as_nanos().checked_rem(interval) {
            // Less than the interval, which fits by far.
            let since = std::time::Duration::from_nanos_u128(rest);
            self.last_flush = now.checked_sub(since).unwrap_or(now).max(self.last_flush);
        }
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.waiting.pop_front()?;
        self.bytes -= event.len();
        self.left += 1;
        Some(event)
    }

    /// As many as fit into one batch, the oldest first.
    fn take(&mut self) -> Batch {
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.waiting.front()
            && events.len() < self.config.max_events
            && array_bytes(events.len() + 1, bytes + next.len()) <= self.config.max_bytes
            && let Some(event) = self.pop()
        {
            bytes += event.len();
            events.push(event);
        }
        Batch::new(events)
    }
}

/// What a push came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pushed {
    /// How many events gave way. They are gone; write them down as lost.
    pub overflow: u64,
    /// Whether [`Batcher::deadline`] may be earlier than before.
    pub is_news: bool,
}

/// An event that does not fit into a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooLarge {
    /// The event.
    pub event: Event,
    /// The size of a batch of this event alone, in bytes.
    pub size: usize,
    /// The most that a batch may have.
    pub most: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, most, .. } = self;
        write!(
            f,
            "the event makes a batch of {size} bytes, and {most} are allowed: send less of it, or allow more"
        )
    }
}

impl Error for TooLarge {}
