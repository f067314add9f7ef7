use std::sync::Arc;
use std::time::Duration;

use envoi_core::{SharedClock, SystemClock};

/// What an entry survives once the store has answered for it, and what that costs.
///
/// Whatever the level, an entry is on its way to the disk at once and is never sent before the operating system has
/// it (OC-1); the levels differ in when the device is told to keep it. [`Store::append_durable`] asks for
/// [`Durability::Group`] for one entry.
///
/// [`Store::append_durable`]: envoi_core::Store::append_durable
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Survives the end of the process, however violent. After a power cut what the operating system had not written
    /// by itself (30 s, on many) is gone.
    Os,
    /// As `Os`, and the device is told every so often: a power cut costs at most what was posted in the interval.
    Interval(Duration),
    /// The device is told after every batch; whoever posts while it works shares the next one. A power cut costs what
    /// was not confirmed yet.
    Group,
    /// The device is told after every single entry. Slower than `Group` and no safer for who waits for the confirmation.
    PerRecord,
}

/// 50 ms between syncs.
impl Default for Durability {
    fn default() -> Self {
        Self::Interval(Duration::from_millis(50))
    }
}

/// What to do if another process has the directory (OC-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnBusy {
    /// Fail, and name the owner.
    Error,
    /// Take a slot of one's own in the same directory: at most this many processes share it.
    NextSlot(u8),
    /// Work from memory until the other process is gone, see [`SpoolState`](super::SpoolState).
    Memory,
}

/// Eight slots.
impl Default for OnBusy {
    fn default() -> Self {
        Self::NextSlot(8)
    }
}

/// The settings of a spool. Decision 19.
///
/// ```
/// use std::time::Duration;
/// use envoi_spool::{Durability, SpoolConfig};
/// let config = SpoolConfig::new()
///     .max_count(10_000)
///     .max_bytes(256 << 20)
///     .max_age(Duration::from_secs(7 * 24 * 60 * 60))
///     .durability(Durability::Group);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SpoolConfig {
    pub(crate) durability: Durability,
    pub(crate) on_busy: OnBusy,
    pub(crate) max_count: usize,
    pub(crate) max_bytes: u64,
    pub(crate) max_age: Duration,
    pub(crate) min_free: u64,
    pub(crate) queue_bytes: usize,
    pub(crate) cache_bytes: usize,
    pub(crate) close_timeout: Duration,
    pub(crate) prewrite: bool,
    pub(crate) clock: SharedClock,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl SpoolConfig {
    /// The defaults, each named at its setter.
    pub fn new() -> Self {
        Self {
            durability: Durability::default(),
            on_busy: OnBusy::default(),
            max_count: 1000,
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            min_free: 16 << 20,
            queue_bytes: 8 << 20,
            cache_bytes: 16 << 20,
            close_timeout: Duration::from_secs(2),
            prewrite: false,
            clock: Arc::new(SystemClock),
        }
    }

    /// What an entry survives: a sync every 50 ms unless told otherwise.
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// What to do if another process has the directory: the next of eight slots unless told otherwise.
    pub const fn on_busy(mut self, on_busy: OnBusy) -> Self {
        self.on_busy = on_busy;
        self
    }

    /// How many entries are kept: 1000 unless told otherwise (OC-2).
    pub fn max_count(mut self, entries: usize) -> Self {
        self.max_count = entries.max(1);
        self
    }

    /// How many bytes are kept, as they are on disk: 64 MiB unless told otherwise (OC-2).
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long an entry is kept: 30 days unless told otherwise (OC-2).
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// How many bytes are left free on the device, where the system tells: 16 MiB unless told otherwise.
    pub const fn min_free(mut self, bytes: u64) -> Self {
        self.min_free = bytes;
        self
    }

    /// How many bytes may wait for the disk: 8 MiB unless told otherwise. Beyond it less urgent entries that wait give
    /// way, or the newcomer is refused.
    pub const fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// How many bytes of payloads stay in memory besides the disk, so that they need not be read back: 16 MiB unless
    /// told otherwise. It also bounds what is held in memory while the disk fails.
    pub const fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// How long a close may wait for the disk: 2 s unless told otherwise.
    pub const fn close_timeout(mut self, limit: Duration) -> Self {
        self.close_timeout = limit;
        self
    }

    /// Whether zeros are written ahead of the entries: no unless told otherwise. Overwriting them makes a sync about twice
    /// as fast ([`Durability::PerRecord`], less with [`Durability::Group`]), for it changes no metadata of the file; and
    /// it doubles what is written. With the other levels it only costs.
    pub const fn prewrite(mut self, prewrite: bool) -> Self {
        self.prewrite = prewrite;
        self
    }

    /// Where the ages of entries come from. Give it the clock of the queue above.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }
}
