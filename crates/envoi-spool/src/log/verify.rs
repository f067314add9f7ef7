//! A look at a lane that reads everything and changes nothing.

use std::io;
use std::path::Path;

use super::acks;
use super::names;
use super::open::{Looked, find_identity, listing, look};
use super::scan::{State, Tail};
use super::types::SpoolId;
use crate::fs::{Fs, FsFile};

/// What is in a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneReport {
    /// Whose it is; `None` if no segment tells.
    pub identity: Option<SpoolId>,
    /// Segments, oldest first.
    pub segments: Vec<SegmentReport>,
    /// Ack logs without a segment, which the next open deletes, by segment id.
    pub orphans: Vec<u64>,
    /// Entries of the directory that are not ours.
    pub notes: Vec<String>,
}

/// What is in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its id.
    pub id: u64,
    /// Its length.
    pub bytes: u64,
    /// Whether a copy of its head is intact.
    pub has_head: bool,
    /// Records that can be read.
    pub records: u64,
    /// Those of them that are not settled.
    pub live: u64,
    /// Records that are settled, readable or not.
    pub acked: u64,
    /// Records with an intact header and a bad payload, and not settled.
    pub bad: u64,
    /// Ranges that hold no readable record.
    pub damaged: Vec<(u64, u64)>,
    /// From here on there is something that is no record: a write was cut off, or what was there is damaged.
    pub torn: Option<u64>,
    /// From here on there are zeros.
    pub unused: Option<u64>,
    /// Bytes of the ack log.
    pub ack_bytes: u64,
    /// Entries of the ack log that cannot be read.
    pub bad_acks: u64,
    /// Why it was not read, or not to the end: an error of the system, or it belongs to somebody else.
    pub unread: Option<String>,
}

impl SegmentReport {
    /// Whether there is nothing to complain of.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.has_head
            && self.bad == 0
            && self.damaged.is_empty()
            && self.torn.is_none()
            && self.bad_acks == 0
            && self.unread.is_none()
    }
}

impl LaneReport {
    /// Whether there is nothing to complain of.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.segments.iter().all(SegmentReport::is_sound)
    }

    /// Records that can be read and are not settled.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.segments.iter().map(|segment| segment.live).sum()
    }
}

/// Reads everything in a lane, payloads included, and says what is where. Changes nothing and needs no lock; in
/// a lane that is in use, what is written meanwhile may look torn.
///
/// `id` is what the file `SPOOL` says; without it the heads of the segments are asked.
///
/// # Errors
/// If the directory cannot be listed. A file that cannot be read is in the report.
pub fn verify<F: Fs>(fs: &F, dir: &Path, id: Option<SpoolId>) -> io::Result<LaneReport> {
    let found = listing(fs, dir)?;
    let identity = match id {
        Some(id) => Some(id),
        None => find_identity(fs, dir)?,
    };
    // Without identity no record can be checked; then everything looks damaged, as it is.
    let spool = identity.unwrap_or(SpoolId { uuid: [0; 16], salt: 0 });
    Ok(LaneReport {
        identity,
        segments: found.segments.iter().map(|id| segment(fs, dir, *id, spool)).collect(),
        orphans: found.acks.difference(&found.segments).copied().collect(),
        notes: found.notes,
    })
}

fn segment<F: Fs>(fs: &F, dir: &Path, id: u64, spool: SpoolId) -> SegmentReport {
    let mut report = SegmentReport { id, ..SegmentReport::default() };
    let scan = match look(fs, dir, id, spool, true) {
        Looked::Ours(scan) => scan,
        Looked::Alien(why) => {
            report.bytes =
                fs.open(&dir.join(names::segment(id)), false).and_then(|file| file.len()).unwrap_or(0);
            report.unread = Some(why);
            return report;
        }
        Looked::Closed(error) => {
            report.unread = Some(error.to_string());
            return report;
        }
    };
    let acks = acks::read(fs, &dir.join(names::acks(id)), spool.salt);
    let ended = |seq: u64| acks.words.get(&seq).is_some_and(|word| word.end.is_some());
    for frame in &scan.frames {
        match (frame.state, ended(frame.head.seq)) {
            (State::Good | State::Unchecked, ended) => {
                report.records += 1;
                report.live += u64::from(!ended);
            }
            (State::BadPayload | State::Torn, ended) => report.bad += u64::from(!ended),
        }
    }
    report.acked = acks.words.values().filter(|word| word.end.is_some()).count() as u64;
    report.bytes = scan.len;
    report.has_head = scan.header.is_ok();
    report.damaged = scan.damage;
    (report.torn, report.unused) = match scan.tail {
        Tail::Clean => (None, None),
        Tail::Unused(from) => (None, Some(from)),
        Tail::Torn(from) => (Some(from), None),
    };
    report.ack_bytes = acks.len;
    report.bad_acks = acks.bad;
    report.unread = scan.failed.or(acks.failed).map(|error| error.to_string());
    report
}
