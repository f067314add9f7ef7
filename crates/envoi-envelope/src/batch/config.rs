use std::time::Duration;

/// The bounds of a [`Batcher`](super::Batcher). The defaults are those of the specification (TP-4, EN-7).
///
/// ```
/// use std::time::Duration;
/// use envoi_envelope::batch::BatchConfig;
/// let mut config = BatchConfig::default();
/// assert_eq!(config.max_age, Duration::from_secs(5));
/// config.logs.container_items = 50;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchConfig {
    /// How long after its first item a container is ready although it is not full: 5 s.
    pub max_age: Duration,
    /// Logs: 100 in a container, 1000 and 4 MiB in all.
    pub logs: BatchLimits,
    /// Metrics: 100 in a container, 1000 and 4 MiB in all.
    pub metrics: BatchLimits,
    /// Spans: 1000 in a container, 10,000 and 16 MiB in all.
    pub spans: BatchLimits,
    /// The `version` of containers: 2, which tells the server not to take the sender of the request for the user that
    /// the data is about. Without one the container says nothing but its items, as older SDKs do.
    pub version: Option<u32>,
}

/// The bounds for one kind of item.
///
/// Bounds below what one item needs refuse that item; they never make containers that break them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchLimits {
    /// The most items in a container. 0 counts as 1.
    pub container_items: usize,
    /// The most bytes in the payload of a container, 1 MiB. An item that does not fit into one alone is refused.
    pub container_bytes: usize,
    /// The most items that wait, whether in full containers or not. 0 counts as 1.
    pub buffered_items: usize,
    /// The most bytes that wait, counted as the items and trace headers that were given.
    pub buffered_bytes: usize,
}

impl BatchLimits {
    const fn new(container_items: usize, buffered_items: usize, buffered_mib: usize) -> Self {
        Self {
            container_items,
            container_bytes: 1024 * 1024,
            buffered_items,
            buffered_bytes: buffered_mib * 1024 * 1024,
        }
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(5),
            logs: BatchLimits::new(100, 1000, 4),
            metrics: BatchLimits::new(100, 1000, 4),
            spans: BatchLimits::new(1000, 10_000, 16),
            version: Some(2),
        }
    }
}
