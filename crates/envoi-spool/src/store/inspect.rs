//! A look at a spool from outside, for tools: nothing is changed, and it may be in use.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use envoi_core::{DiscardReason, Lane};

use crate::format::{KIND_LOSS, SpoolHeader};
use crate::fs::{EntryKind, Fs, FsFile, RealFs, read_small};
use crate::log::{LaneReport, Listed, SpoolId, read_listed, records, verify};

use super::meta::{GlobalId, MetaReader, decode_news};
use super::slot::{LOCK, SPOOL, lane_dir, owner};

/// The directory of a lane that holds copies of damaged ranges.
pub(super) const QUARANTINE: &str = "quarantine";

/// A slot: what one process has written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlotView {
    /// Its name in the directory of the spool.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// Who has it now; `None` if nobody has.
    pub owner: Option<Owner>,
    /// Why it cannot be said who the spool is: the file `SPOOL` is missing, damaged or of a newer version.
    pub trouble: Option<String>,
    /// Its lanes, the most urgent first. A lane that was never written to is left out.
    pub lanes: Vec<LaneView>,
}

/// What the process that has a slot says about itself (OC-10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Owner {
    /// Its process id.
    pub pid: Option<u32>,
    /// Its host.
    pub host: Option<String>,
    /// Its program.
    pub program: Option<String>,
}

/// A lane of a slot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LaneView {
    /// Which.
    pub lane: Lane,
    /// Its segments, and what is wrong with them.
    pub report: LaneReport,
    /// Its records that are not settled, oldest first, damaged ones included.
    pub records: Vec<RecordView>,
    /// Copies of damaged ranges.
    pub quarantine_files: u64,
    /// Their bytes.
    pub quarantine_bytes: u64,
    identity: Option<SpoolId>,
}

/// A record that is not settled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordView {
    /// Its number, unique in its lane.
    pub seq: u64,
    /// The segment that it is in.
    pub segment: u64,
    /// When it was accepted, milliseconds since the Unix epoch.
    pub enqueued_ms: u64,
    /// Attempts at delivery that failed, over all runs.
    pub attempts: u32,
    /// Items.
    pub items: u64,
    /// What is in it, by category.
    pub tally: Vec<(String, u64)>,
    /// Bytes of its payload.
    pub payload_bytes: u64,
    /// Bytes that it takes in its segment.
    pub bytes_on_disk: u64,
    /// It is no payload but a report of losses that is still to be sent: these.
    pub losses: Option<Vec<(DiscardReason, String, u64)>>,
    /// Whether its payload is what was written.
    pub is_sound: bool,
    replaces: Vec<GlobalId>,
    listed: Listed,
}

/// Looks at the spool in the directory `path`: its slots by name. Reads everything in it, payloads included, and keeps
/// what is known of each record, not its payload. Blocks.
///
/// In a spool that is in use, what is being written may look torn, and what is being deleted may be missing.
///
/// # Errors
/// If the directory, or one of its own below it, cannot be listed.
pub fn inspect(path: impl AsRef<Path>) -> io::Result<Vec<SlotView>> {
    let (fs, path) = (RealFs, path.as_ref());
    let views: io::Result<Vec<_>> =
        slots(&fs, path)?.into_iter().map(|name| slot(&fs, path.join(&name), name)).collect();
    let mut views = views?;
    without_replaced(&mut views);
    Ok(views)
}

/// The names of all slots.
pub(super) fn slots<F: Fs>(fs: &F, root: &Path) -> io::Result<Vec<String>> {
    let is_slot =
        |entry: &crate::fs::DirEntry| entry.kind == EntryKind::Dir && entry.name.starts_with("slot-");
    let mut names: Vec<String> = fs.list(root)?.into_iter().filter(is_slot).map(|entry| entry.name).collect();
    names.sort();
    Ok(names)
}

fn slot<F: Fs>(fs: &F, path: PathBuf, name: String) -> io::Result<SlotView> {
    let owner = is_in_use(fs, &path)?.then(|| Owner::parse(&owner(fs, &path)));
    let (id, trouble) = match read_small(fs, &path.join(SPOOL), 4096) {
        Ok(bytes) => match SpoolHeader::decode(&bytes) {
            Ok(header) => (Some(SpoolId { uuid: header.uuid, salt: header.salt }), None),
            Err(error) => (None, Some(error.to_string())),
        },
        Err(error) => (None, Some(error.to_string())),
    };
    let mut lanes = Vec::new();
    for lane in Lane::ALL {
        match look(fs, &lane_dir(&path, lane), lane, id) {
            Ok(view) => lanes.push(view),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    // An empty slot that is just being made has no identity, and needs none.
    let trouble =
        trouble.map(|why| format!("{SPOOL}: {why}")).filter(|_| lanes.iter().any(LaneView::has_files));
    Ok(SlotView { name, path, owner, trouble, lanes })
}

/// Whether a process has the slot. The lock is held for a moment to see.
fn is_in_use<F: Fs>(fs: &F, dir: &Path) -> io::Result<bool> {
    match fs.open(&dir.join(LOCK), false) {
        Ok(file) => Ok(!file.try_lock()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn look<F: Fs>(fs: &F, dir: &Path, lane: Lane, id: Option<SpoolId>) -> io::Result<LaneView> {
    let report = verify(fs, dir, id)?;
    let identity = report.identity;
    let listed = identity.map(|id| records(fs, dir, id)).transpose()?.unwrap_or_default();
    let records = listed.into_iter().map(|listed| view(fs, dir, identity, listed)).collect();
    let quarantine = fs.list(&dir.join(QUARANTINE)).unwrap_or_default();
    let quarantine = quarantine.iter().filter(|entry| entry.kind == EntryKind::File);
    let (quarantine_files, quarantine_bytes) =
        quarantine.fold((0, 0), |(files, bytes), entry| (files + 1, bytes + entry.len));
    Ok(LaneView { lane, report, records, quarantine_files, quarantine_bytes, identity })
}

fn view<F: Fs>(fs: &F, dir: &Path, id: Option<SpoolId>, listed: Listed) -> RecordView {
    let meta = MetaReader::<String>::new().read(&listed.entry.meta);
    let losses = (listed.entry.kind == KIND_LOSS).then(|| {
        let record = id.and_then(|id| read_listed(fs, dir, id, &listed).ok().flatten());
        record.and_then(|record| decode_news(&record.payload)).unwrap_or_default()
    });
    let (attempts, items, tally) = meta.as_ref().map_or((0, 0, Vec::new()), |meta| {
        (meta.attempts, meta.label.items as u64, meta.label.tally.to_vec())
    });
    RecordView {
        seq: listed.entry.seq.0,
        segment: listed.segment,
        enqueued_ms: listed.entry.enqueued_ms,
        attempts: attempts.saturating_add(listed.entry.attempts),
        items,
        tally,
        payload_bytes: u64::from(listed.entry.payload_len),
        bytes_on_disk: listed.entry.bytes_on_disk,
        losses,
        is_sound: listed.is_sound,
        replaces: meta.map(|meta| meta.replaces).unwrap_or_default(),
        listed,
    }
}

/// Takes out what was written anew before its end was noted; recovery does so, too.
fn without_replaced(slots: &mut [SlotView]) {
    let mut replaced = HashSet::new();
    for lane in slots.iter().flat_map(|slot| &slot.lanes) {
        let names = lane.records.iter().flat_map(|record| &record.replaces);
        replaced.extend(names.map(|name| (lane.lane.index(), *name)));
    }
    for lane in slots.iter_mut().flat_map(|slot| &mut slot.lanes) {
        let (Some(id), index) = (lane.identity, lane.lane.index()) else { continue };
        lane.records
            .retain(|record| !replaced.contains(&(index, GlobalId { uuid: id.uuid, seq: record.seq })));
    }
}

/// Reads the payload of a record that [`inspect`] has found; `None` if it is damaged, or not there any more. Blocks.
///
/// # Errors
/// If its segment cannot be read.
pub fn read_payload(slot: &SlotView, lane: &LaneView, record: &RecordView) -> io::Result<Option<Bytes>> {
    let Some(id) = lane.identity else { return Ok(None) };
    let dir = lane_dir(&slot.path, lane.lane);
    Ok(read_listed(&RealFs, &dir, id, &record.listed)?.map(|record| record.payload))
}

impl SlotView {
    /// Whether there is nothing to complain of.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.trouble.is_none() && self.lanes.iter().all(|lane| lane.report.is_sound())
    }
}

impl LaneView {
    fn has_files(&self) -> bool {
        !self.report.segments.is_empty()
    }

    /// Bytes on disk: segments, ack logs, quarantine.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        let segments = self.report.segments.iter().map(|segment| segment.bytes + segment.ack_bytes);
        segments.sum::<u64>() + self.quarantine_bytes
    }
}

impl Owner {
    /// Reads what `introduce` wrote.
    pub(super) fn parse(text: &str) -> Self {
        let of = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            value.filter(|value| *value != "unknown").map(str::to_owned)
        };
        Self { pid: of("pid").and_then(|pid| pid.parse().ok()), host: of("host"), program: of("program") }
    }
}

/// `pid 17, program app, host web-1`, as far as it is known.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {pid}")?,
            None => f.write_str("somebody who did not say")?,
        }
        if let Some(program) = &self.program {
            write!(f, ", program {program}")?;
        }
        if let Some(host) = &self.host {
            write!(f, ", host {host}")?;
        }
        Ok(())
    }
}
