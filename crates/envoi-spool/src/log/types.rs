use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;

use crate::format::MAX_META;

/// The number of a record: unique for the life of the lane, ascending in the order of appending, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(
    /// 56 bits are used.
    pub u64,
);

impl Seq {
    /// The greatest.
    pub const MAX: Self = Self((1 << 56) - 1);
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who the spool of a slot is: what the file `SPOOL` says, see [`SpoolHeader`](crate::format::SpoolHeader).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolId {
    /// Random; in every segment.
    pub uuid: [u8; 16],
    /// Random; seeds the check sums.
    pub salt: u32,
}

/// What a lane does.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Bytes of a segment; a greater record gets one of its own. Default 8 MiB, at most 1 GiB.
    pub segment_bytes: u64,
    /// The greatest record, header and meta included. Default 64 MiB, at most 1 GiB.
    pub max_record: u64,
    /// Bytes of damaged ranges that are kept in `quarantine/` for inspection (decision 20). Default 16 MiB.
    pub quarantine_bytes: u64,
    /// How often [`Log::tick`](super::Log::tick) writes what was settled. Default 100 ms.
    pub ack_flush: Duration,
    /// With this many waiting entries it does so at once. Default 256.
    pub ack_batch: usize,
    /// How often `tick` makes that outlive a power cut; `None` leaves it to the system, and after a power cut also what
    /// was settled long ago may be delivered again. Default 1 s.
    pub ack_sync: Option<Duration>,
    /// Whether a segment is made to outlive a power cut when it is begun and when it is left. Default yes. Without it
    /// that waits for the next [`Log::sync`](super::Log::sync); a segment that was settled before is then never written
    /// to the device at all.
    pub sync_segments: bool,
    /// Whether zeros are written ahead of the records, as many bytes as the segment has and at most 1 MiB at a time: what
    /// overwrites them is synced without a change of the file's metadata, which takes about half the time. It doubles
    /// what is written. Default no.
    pub prewrite: bool,
    /// After this long without an append a drained segment is given back to the disk. Default 1 s.
    pub idle: Duration,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            max_record: 64 << 20,
            quarantine_bytes: 16 << 20,
            ack_flush: Duration::from_millis(100),
            ack_batch: 256,
            ack_sync: Some(Duration::from_secs(1)),
            sync_segments: true,
            prewrite: false,
            idle: Duration::from_secs(1),
        }
    }
}

/// The limit of [`LogConfig::segment_bytes`] and [`LogConfig::max_record`]: offsets and lengths take 32 bits each in
/// the index.
pub const MAX_SEGMENT: u64 = 1 << 30;

/// A record to append.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// What must be known without reading the payload: at most [`MAX_META`] bytes.
    pub meta: &'a [u8],
    /// The payload in pieces; nothing is copied.
    pub payload: &'a [Bytes],
    /// When it was accepted, milliseconds since the Unix epoch.
    pub enqueued_ms: u64,
    /// [`KIND_DATA`](crate::format::KIND_DATA) or [`KIND_LOSS`](crate::format::KIND_LOSS).
    pub kind: u8,
    /// `FLAG_*` of [`format`](crate::format).
    pub flags: u8,
}

impl NewRecord<'_> {
    /// Payload bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.payload.iter().map(Bytes::len).sum()
    }

    /// Bytes that the record takes in a segment.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        crate::format::frame_len(self.meta.len(), self.payload_len())
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub seq: Seq,
    /// As appended.
    pub enqueued_ms: u64,
    /// As appended.
    pub kind: u8,
    /// As appended.
    pub flags: u8,
    /// Failed attempts at delivery so far, over all runs.
    pub attempts: u32,
    /// As appended.
    pub meta: Bytes,
    /// As appended, in one piece.
    pub payload: Bytes,
}

/// What is known of a record without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its number.
    pub seq: Seq,
    /// As appended.
    pub enqueued_ms: u64,
    /// As appended.
    pub meta: Box<[u8]>,
    /// Payload bytes.
    pub payload_len: u32,
    /// Failed attempts at delivery so far, over all runs.
    pub attempts: u32,
    /// As appended.
    pub kind: u8,
    /// As appended.
    pub flags: u8,
    /// Bytes that it takes in its segment.
    pub bytes_on_disk: u64,
}

/// What [`Log::open`](super::Log::open) found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The records that are there, oldest first. The caller keeps the meta, the log does not.
    pub records: Vec<IndexEntry>,
    /// Records that are gone. They are settled as [`AckKind::Corrupt`](crate::format::AckKind::Corrupt) in the same breath, so that the next open does
    /// not report them again; the caller counts them.
    pub losses: Vec<LossFound>,
    /// Bytes that were copied to `quarantine/` by this open.
    pub quarantined: u64,
    /// What an operator might want to know: one line each, with the file.
    pub notes: Vec<String>,
}

/// Records that recovery found missing or damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossFound {
    /// Why.
    pub reason: LossReason,
    /// The meta of the record, if its header is intact: then `count` is 1.
    pub meta: Option<Box<[u8]>>,
    /// The kind of the record, if its header is intact.
    pub kind: Option<u8>,
    /// The first number.
    pub seq: Seq,
    /// How many records in a row.
    pub count: u64,
}

/// Why a record is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossReason {
    /// The header is intact, the payload is not.
    BadPayload,
    /// The header is intact, the file ends before the payload does: the write was cut off.
    Torn,
    /// The number was given to a record, and nothing readable has it.
    Missing,
}

/// Why a log cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be made or listed.
    Io {
        /// What was to be done, and with what.
        what: String,
        /// The error of the system.
        source: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, source } => write!(f, "cannot {what}: {source}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
        }
    }
}

/// An append that stopped.
#[derive(Debug)]
pub struct AppendError {
    /// The records of the batch that were written before it stopped, in order: these are in the log. The one after
    /// them is the first that is not.
    pub written: Vec<Seq>,
    /// Why.
    pub kind: AppendErrorKind,
}

/// Why an append stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppendErrorKind {
    /// The record would never fit; the records behind it may.
    TooLarge {
        /// Its bytes in a segment.
        bytes: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// The meta is longer than a frame can have; the records behind it may fit.
    MetaTooLarge(
        /// Its bytes.
        usize,
    ),
    /// The device or the quota is full (OC-11). Nothing is poisoned: try again when space may be back.
    Full(io::Error),
    /// The device failed (OC-11). Try again later; the log then goes on in a new segment.
    Io(io::Error),
    /// All numbers are used up. Open a new directory.
    Exhausted,
}

impl AppendErrorKind {
    /// Sorts an error of the system.
    #[must_use]
    pub fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full(error)
            }
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            AppendErrorKind::TooLarge { bytes, limit } => {
                write!(f, "a record of {bytes} bytes is beyond the limit of {limit}")
            }
            AppendErrorKind::MetaTooLarge(len) => {
                write!(f, "meta of {len} bytes is beyond the limit of {MAX_META}")
            }
            AppendErrorKind::Full(error) => write!(f, "the device is full, free some space: {error}"),
            AppendErrorKind::Io(error) => write!(f, "the segment cannot be written: {error}"),
            AppendErrorKind::Exhausted => {
                f.write_str("all sequence numbers are used up, use a new directory")
            }
        }
    }
}

impl std::error::Error for AppendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            AppendErrorKind::Full(error) | AppendErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a record cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// It is settled, or never was.
    Unknown(
        /// The number asked for.
        Seq,
    ),
    /// It is damaged. It was copied to `quarantine/` and settled as [`AckKind::Corrupt`](crate::format::AckKind::Corrupt); the caller counts it, once.
    Corrupt {
        /// The number.
        seq: Seq,
        /// The meta, if the header is intact.
        meta: Option<Bytes>,
    },
    /// The device failed. The record stays where it is (decision 20).
    Io {
        /// The number.
        seq: Seq,
        /// The error of the system.
        source: io::Error,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(seq) => write!(f, "there is no record {seq}"),
            Self::Corrupt { seq, .. } => write!(f, "record {seq} is damaged, see the directory quarantine"),
            Self::Io { seq, source } => write!(f, "record {seq} cannot be read: {source}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A segment as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its id.
    pub id: u64,
    /// Bytes of the segment and of its ack log.
    pub bytes: u64,
    /// Records in it that are not settled.
    pub live: u64,
    /// Whether records are appended to it.
    pub active: bool,
}

/// A lane in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Records that are not settled.
    pub records: usize,
    /// Bytes on disk: segments, ack logs, quarantine.
    pub disk_bytes: u64,
    /// Bytes of `quarantine/` among them.
    pub quarantine_bytes: u64,
    /// Segments.
    pub segments: usize,
    /// The next number.
    pub next_seq: u64,
    /// Records that a power cut may take: appended and not synced.
    pub unsynced: usize,
    /// Ack entries that wait to be written.
    pub pending_acks: usize,
    /// Failed calls of the file system since the log was opened.
    pub io_errors: u64,
}
