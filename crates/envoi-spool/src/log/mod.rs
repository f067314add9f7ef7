//! One lane: a segmented append log with a single owner. Blocking calls, no threads, time passed in.
//!
//! State is derived from the segments and their ack logs alone; there is no index, cursor or ledger file that could
//! disagree with the data. The rules:
//!
//! * **Append**: one vectored write. What a failed write may have left is cut off; a number that may have reached the
//!   disk is never used again.
//! * **Sync**: after a failed sync a file is never synced again, because the system may answer "done" for bytes that
//!   it dropped. The segment is closed, and the log goes on in a new one.
//! * **Ack**: in memory at once, on disk with the next [`Log::tick`]. What a crash takes of it is delivered a second
//!   time. In any order; a segment whose records are all settled is deleted, which needs no free space.
//! * **Recovery** ([`Log::open`]) costs one pass over the files and bounded memory, whatever is in them (OC-5, OC-9,
//!   decision 20). A recovered segment is never appended to.
//!
//! The lock on the directory is the caller's business (OC-10).

mod acks;
mod append;
mod evict;
mod names;
mod open;
mod plan;
mod quarantine;
mod read;
mod records;
mod scan;
mod settle;
mod types;
mod verify;
mod window;

pub use open::find_identity;
pub use records::{Listed, read_listed, records};
pub use types::{
    AppendError, AppendErrorKind, IndexEntry, LogConfig, LogStats, LossFound, LossReason, MAX_SEGMENT,
    NewRecord, OpenError, ReadError, Record, Recovery, SegmentInfo, Seq, SpoolId,
};
pub use verify::{LaneReport, SegmentReport, verify};

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::format::AckKind;
use crate::fs::Fs;

use acks::AckLog;
use append::Active;
use plan::Slot;
use quarantine::Quarantine;
use settle::Timers;

/// An open lane.
#[derive(Debug)]
pub struct Log<F: Fs> {
    fs: F,
    dir: PathBuf,
    id: SpoolId,
    cfg: LogConfig,
    /// Every record that is not settled, and where it is.
    index: BTreeMap<u64, Slot>,
    /// By id. The last is the newest: it carries the next number and stays even when it is drained.
    segments: BTreeMap<u64, Segment<F::File>>,
    /// None until the first append: a recovered segment is never appended to.
    active: Option<Active<F::File>>,
    /// Segments that were left without a sync, see [`LogConfig::sync_segments`].
    sealed: Vec<(u64, F::File)>,
    /// Segments of an earlier process, which may have left them without a sync.
    inherited: BTreeSet<u64>,
    /// A segment was begun whose name may not outlive a power cut.
    nameless: bool,
    /// The segment that was read last.
    reader: Option<(u64, F::File)>,
    next_seq: u64,
    next_id: u64,
    /// Ack logs of deleted segments: they go when the directory was synced.
    graves: BTreeSet<u64>,
    /// The directory has changed since it was synced.
    unlinked: bool,
    /// Of a sync that nobody has been told of.
    sync_error: Option<io::Error>,
    unsynced: usize,
    /// Ack entries that are not written.
    waiting: usize,
    io_errors: u64,
    quarantine: Quarantine,
    timers: Timers,
}

/// What is known of a segment.
#[derive(Debug)]
struct Segment<H> {
    len: u64,
    /// Records that are not settled.
    live: u64,
    /// It is settled but could not be deleted.
    doomed: bool,
    /// Not all of it could be read, so it is not deleted in this run.
    pinned: bool,
    acks: AckLog<H>,
}

impl<F: Fs> Log<F> {
    /// Opens the lane in `dir`, which is made if it is missing, and recovers what is there.
    ///
    /// `wall_ms` is the time now, milliseconds since the Unix epoch. Nothing is created but the directory: a disk that
    /// is full or read-only can be opened and consumed.
    ///
    /// # Errors
    /// Only if the directory cannot be made or listed. A file that is damaged, alien or unreadable costs what it holds
    /// and no more, see [`Recovery`].
    pub fn open(
        fs: F,
        dir: PathBuf,
        id: SpoolId,
        cfg: LogConfig,
        wall_ms: u64,
    ) -> Result<(Self, Recovery), OpenError> {
        Self::open_lane(fs, dir, id, cfg, wall_ms)
    }

    /// Appends records in order with one vectored write per segment. Survives a crash of the process as soon as it
    /// returns, power loss after [`Log::sync`].
    ///
    /// # Errors
    /// [`AppendError`] says which records are in the log all the same, and why the rest is not. The log stays usable.
    pub fn append(&mut self, batch: &[NewRecord<'_>]) -> Result<Vec<Seq>, AppendError> {
        self.append_all(batch)
    }

    /// Makes every record that was appended since the last call outlive a power cut. Does nothing if there is none.
    ///
    /// # Errors
    /// Of this call, or of a sync that a change of segments did in between. All records appended since the last
    /// successful call may or may not outlive a power cut, and no later call will tell; a later success speaks only of
    /// records appended after the error.
    pub fn sync(&mut self) -> io::Result<()> {
        self.sync_records()
    }

    /// Reads a record and checks it.
    ///
    /// # Errors
    /// See [`ReadError`]. A damaged record is settled by this call and never found again; one behind an I/O error
    /// stays.
    pub fn read(&mut self, seq: Seq, wall_ms: u64) -> Result<Record, ReadError> {
        self.read_checked(seq, wall_ms)
    }

    /// Settles a record, or notes a failed attempt ([`AckKind::Attempt`]). In memory at once, see [`Log::tick`].
    /// A segment of which the last record is settled is deleted by this call, unless it is the newest.
    ///
    /// Answers `false` if there is no such record.
    pub fn ack(&mut self, seq: Seq, kind: AckKind, wall_ms: u64) -> bool {
        self.settle(seq, kind, wall_ms)
    }

    /// Does what is due: writes and syncs ack entries, gives a drained segment back, deletes again what could not be
    /// deleted. Answers when it wants to be called next, `None` if nothing waits.
    ///
    /// # Errors
    /// The first of the file system. The work is kept and tried at a later tick.
    pub fn tick(&mut self, now: Instant, wall_ms: u64) -> io::Result<Option<Instant>> {
        self.do_tick(now, wall_ms)
    }

    /// Writes all ack entries now and, with `sync`, makes them (and the deletion of segments) outlive a power cut.
    ///
    /// # Errors
    /// The first of the file system; what could not be written is kept.
    pub fn flush_acks(&mut self, sync: bool) -> io::Result<()> {
        self.write_acks(sync)
    }

    /// The oldest records that have to go, so that at least `count` records are gone and at least `bytes` are free on
    /// the disk (which takes whole segments). Records for which `keep` answers `true` (leased ones) are passed over.
    /// Decides only; settle them as [`AckKind::Evicted`] after counting them (OC-2, decision 19).
    pub fn to_evict(&self, count: usize, bytes: u64, mut keep: impl FnMut(Seq) -> bool) -> Vec<Seq> {
        let records = self.index.iter().map(|(seq, slot)| evict::Candidate {
            seq: Seq(*seq),
            segment: slot.segment,
            kept: keep(Seq(*seq)),
        });
        evict::choose(records, count, bytes, |id| self.segments.get(&id).map_or(0, Segment::bytes))
    }

    /// Gives the newest segment back to the disk if all its records are settled. [`Log::tick`] does so by itself when
    /// the lane is idle; this is for when space is needed now. Answers whether there was anything to give.
    ///
    /// # Errors
    /// If the empty segment that takes its place cannot be made; it takes a few hundred bytes.
    pub fn compact(&mut self, wall_ms: u64) -> io::Result<bool> {
        if self.is_drained() { self.roll(wall_ms).map(|()| true) } else { Ok(false) }
    }

    /// Bytes on disk: segments, ack logs, quarantine.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.segments.values().map(Segment::bytes).sum::<u64>() + self.quarantine.bytes()
    }

    /// Records that are not settled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether all records are settled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The oldest record.
    #[must_use]
    pub fn oldest(&self) -> Option<Seq> {
        self.index.keys().next().copied().map(Seq)
    }

    /// Whether there is such a record, and how often its delivery has failed.
    #[must_use]
    pub fn attempts(&self, seq: Seq) -> Option<u32> {
        self.index.get(&seq.0).map(|slot| slot.attempts)
    }

    /// The segments, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let active = self.active.as_ref().map(|active| active.id);
        let info = |(id, segment): (&u64, &Segment<F::File>)| SegmentInfo {
            id: *id,
            bytes: segment.bytes(),
            live: segment.live,
            active: Some(*id) == active,
        };
        self.segments.iter().map(info).collect()
    }

    /// The lane in numbers.
    #[must_use]
    pub fn stats(&self) -> LogStats {
        LogStats {
            records: self.len(),
            disk_bytes: self.disk_bytes(),
            quarantine_bytes: self.quarantine.bytes(),
            segments: self.segments.len(),
            next_seq: self.next_seq,
            unsynced: self.unsynced,
            pending_acks: self.waiting,
            io_errors: self.io_errors,
        }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Syncs the records and writes and syncs the ack entries. Dropping a log without this is like a crash of the
    /// process: no record is lost, some may be delivered again.
    ///
    /// # Errors
    /// The first of the file system; everything that can still be done is done.
    pub fn close(mut self) -> io::Result<()> {
        let synced = self.sync();
        self.flush_acks(true)?;
        synced
    }
}

impl<H> Segment<H> {
    const fn bytes(&self) -> u64 {
        self.len + self.acks.len
    }
}
