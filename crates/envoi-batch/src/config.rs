use std::time::Duration;

/// The bounds of a [`Batcher`](crate::Batcher). The defaults are those of BD-8.
///
/// A bound of 0 counts as 1, an interval of 0 sends every event at once.
///
/// ```
/// use std::time::Duration;
/// use envoi_batch::BatcherConfig;
/// let mut config = BatcherConfig::default();
/// assert_eq!((config.max_events, config.interval, config.capacity), (20, Duration::from_secs(5), 1000));
/// config.max_events = 100;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatcherConfig {
    /// The most events in a batch: 20. As soon as so many wait a batch is due.
    pub max_events: usize,
    /// The most bytes in a batch, as a JSON array: 1 MiB. As soon as so many wait a batch is due. An event that does not
    /// fit into a batch alone is refused.
    pub max_bytes: usize,
    /// How long after the last flush what waits is due, whether it fills a batch or not: 5 s. A flush that finds nothing
    /// counts, too, so an event waits for this long at most; if a full batch leaves without it, once more.
    pub interval: Duration,
    /// The most events that wait: 1000. When there are so many the oldest gives way.
    pub capacity: usize,
    /// The most bytes that wait: 32 MiB. When there are so many the oldest give way.
    pub capacity_bytes: usize,
}

/// Longer intervals are as good as none, and cannot overflow.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl BatcherConfig {
    /// The same, with numbers that make sense together.
    pub(crate) fn sane(mut self) -> Self {
        self.capacity = self.capacity.max(1);
        self.max_events = self.max_events.clamp(1, self.capacity);
        self.max_bytes = self.max_bytes.min(self.capacity_bytes);
        self.interval = self.interval.min(FAR);
        self
    }
}

impl Default for BatcherConfig {
    fn default() -> Self {
        Self {
            max_events: 20,
            max_bytes: 1 << 20,
            interval: Duration::from_secs(5),
            capacity: 1000,
            capacity_bytes: 32 << 20,
        }
    }
}
