use std::path::PathBuf;
use std::time::Instant;

/// Whether what is posted reaches the disk (OC-11).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpoolState {
    /// It does.
    Healthy,
    /// It does not, for now: sending goes on from memory, and the disk is tried again after 1 s, doubling to 30 s.
    Degraded {
        /// Why.
        cause: Trouble,
        /// In words, with the path.
        message: String,
        /// Since when.
        since: Instant,
    },
}

/// What keeps a spool from its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trouble {
    /// The device is full, or the free space is below the floor.
    Full,
    /// The device or the file system failed, or is read-only.
    Io,
    /// The directory is gone.
    Gone,
    /// Another process has the directory, see [`OnBusy::Memory`](super::OnBusy::Memory).
    Busy,
}

/// A spool in numbers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SpoolStats {
    /// Whether what is posted reaches the disk.
    pub state: SpoolState,
    /// The directory of this process, if it has one.
    pub slot: Option<PathBuf>,
    /// Entries, those on loan included.
    pub entries: usize,
    /// Those among them that are on disk.
    pub on_disk: usize,
    /// Bytes on disk, adopted slots included: segments, ack logs, quarantine.
    pub disk_bytes: u64,
    /// Bytes of payloads in memory.
    pub cached_bytes: usize,
    /// Bytes that wait to be written.
    pub queued_bytes: usize,
    /// Records written by this process.
    pub written: u64,
    /// Payloads read back by this process.
    pub read: u64,
    /// Syncs that succeeded.
    pub syncs: u64,
    /// Calls of the file system that failed.
    pub io_errors: u64,
    /// Entries that made room for others, were too many or too old.
    pub evicted: u64,
    /// Records found damaged or missing. Of some not even the categories are known (decision 20).
    pub corrupt: u64,
    /// Slots of dead owners that this process empties.
    pub adopted: usize,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
}
