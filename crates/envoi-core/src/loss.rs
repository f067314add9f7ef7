use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Why an item was lost: the discard reasons of Sentry's client reports (CR-2), an open set.
///
/// ```
/// use envoi_core::DiscardReason;
/// assert_eq!(DiscardReason::QueueOverflow.as_str(), "queue_overflow");
/// assert_eq!(DiscardReason::from("queue_overflow"), DiscardReason::QueueOverflow);
/// assert_eq!(DiscardReason::from("solar_flare").as_str(), "solar_flare"); // unknown names are kept
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DiscardReason {
    /// A queue in memory was full.
    QueueOverflow,
    /// A store on disk was full or the entry too old.
    CacheOverflow,
    /// Held back under a rate limit.
    RatelimitBackoff,
    /// The network failed and no further attempt is made.
    NetworkError,
    /// Sampled out.
    SampleRate,
    /// A `before_send` hook dropped it.
    BeforeSend,
    /// An event processor dropped it.
    EventProcessor,
    /// The server refused it.
    SendError,
    /// A fault in the SDK or in this library.
    InternalSdkError,
    /// Not enough data to be useful.
    InsufficientData,
    /// Dropped to relieve the system.
    Backpressure,
    /// A buffer in front of the queue was full.
    BufferOverflow,
    /// Filtered by an ignore rule.
    Ignored,
    /// Not valid.
    Invalid,
    /// A reason of a user or of a newer protocol, kept as it is. Make it with `DiscardReason::from(name)`, which
    /// finds the known ones: a known name in here would be another reason to the books.
    Other(Arc<str>),
}

impl DiscardReason {
    /// The reasons that have a name of their own, in declaration order.
    pub const KNOWN: [Self; 14] = [
        Self::QueueOverflow,
        Self::CacheOverflow,
        Self::RatelimitBackoff,
        Self::NetworkError,
        Self::SampleRate,
        Self::BeforeSend,
        Self::EventProcessor,
        Self::SendError,
        Self::InternalSdkError,
        Self::InsufficientData,
        Self::Backpressure,
        Self::BufferOverflow,
        Self::Ignored,
        Self::Invalid,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::QueueOverflow => "queue_overflow",
            Self::CacheOverflow => "cache_overflow",
            Self::RatelimitBackoff => "ratelimit_backoff",
            Self::NetworkError => "network_error",
            Self::SampleRate => "sample_rate",
            Self::BeforeSend => "before_send",
            Self::EventProcessor => "event_processor",
            Self::SendError => "send_error",
            Self::InternalSdkError => "internal_sdk_error",
            Self::InsufficientData => "insufficient_data",
            Self::Backpressure => "backpressure",
            Self::BufferOverflow => "buffer_overflow",
            Self::Ignored => "ignored",
            Self::Invalid => "invalid",
            Self::Other(name) => name,
        }
    }
}

impl<'a> From<Cow<'a, str>> for DiscardReason {
    fn from(name: Cow<'a, str>) -> Self {
        Self::from(name.as_ref())
    }
}

impl From<&str> for DiscardReason {
    fn from(name: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|known| known.as_str() == name)
            .unwrap_or_else(|| Self::Other(Arc::from(name)))
    }
}

impl fmt::Display for DiscardReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where losses are written down at the moment they happen (CR-1).
///
/// Implemented by the [`Ledger`](crate::Ledger), by the client-report aggregator, by `()` (which costs nothing), by
/// a pair of sinks and by an `Arc` of one. Calls come from any thread and must not block.
pub trait LossSink<C>: Send + Sync + 'static {
    /// `quantity` of `category` were destroyed for `reason`.
    fn lost(&self, reason: DiscardReason, category: &C, quantity: u64);

    /// A server refused them with `status`. By default a loss as `send_error`, except for 429, which the server
    /// counts itself (CR-3).
    fn refused(&self, status: http::StatusCode, category: &C, quantity: u64) {
        if status != http::StatusCode::TOO_MANY_REQUESTS {
            self.lost(DiscardReason::SendError, category, quantity);
        }
    }

    /// A report of these losses was destroyed before it arrived: report them again (CR-6). They are not new, so books
    /// ignore this.
    fn restore(&self, reason: DiscardReason, category: &C, quantity: u64) {
        let _ = (reason, category, quantity);
    }
}

impl<C> LossSink<C> for () {
    fn lost(&self, _: DiscardReason, _: &C, _: u64) {}
}

impl<C, A: LossSink<C>, B: LossSink<C>> LossSink<C> for (A, B) {
    fn lost(&self, reason: DiscardReason, category: &C, quantity: u64) {
        self.0.lost(reason.clone(), category, quantity);
        self.1.lost(reason, category, quantity);
    }

    fn refused(&self, status: http::StatusCode, category: &C, quantity: u64) {
        self.0.refused(status, category, quantity);
        self.1.refused(status, category, quantity);
    }

    fn restore(&self, reason: DiscardReason, category: &C, quantity: u64) {
        self.0.restore(reason.clone(), category, quantity);
        self.1.restore(reason, category, quantity);
    }
}

impl<C, S: LossSink<C> + ?Sized> LossSink<C> for Arc<S> {
    fn lost(&self, reason: DiscardReason, category: &C, quantity: u64) {
        (**self).lost(reason, category, quantity);
    }

    fn refused(&self, status: http::StatusCode, category: &C, quantity: u64) {
        (**self).refused(status, category, quantity);
    }

    fn restore(&self, reason: DiscardReason, category: &C, quantity: u64) {
        (**self).restore(reason, category, quantity);
    }
}

#[cfg(test)]
mod tests;
