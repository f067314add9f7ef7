//! Opening: reads what is there, asks the [plan](super::plan), carries it out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::acks::{self, AckLog};
use super::names::{self, Name};
use super::plan::{Input, Plan, SegmentPlan, plan};
use super::quarantine::Quarantine;
use super::scan::{self, Scan};
use super::types::{LogConfig, MAX_SEGMENT, OpenError, Recovery, Seq, SpoolId};
use super::{Log, Segment, Timers};
use crate::format::{AckEntry, AckKind, FRAME_HEAD_LEN, HeaderError, SegmentHeader};
use crate::fs::{EntryKind, Fs, FsFile};

/// The names of a lane.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Segments, oldest first.
    pub(crate) segments: BTreeSet<u64>,
    pub(crate) acks: BTreeSet<u64>,
    /// Bytes of each segment.
    pub(crate) lens: BTreeMap<u64, u64>,
    /// The greatest id in any name.
    pub(crate) greatest: u64,
    pub(crate) notes: Vec<String>,
}

pub(crate) fn listing<F: Fs>(fs: &F, dir: &Path) -> io::Result<Listing> {
    let mut out = Listing::default();
    for entry in fs.list(dir)? {
        if let Some(Name::Segment(id) | Name::Acks(id)) = names::parse(&entry.name) {
            out.greatest = out.greatest.max(id);
        }
        match (names::parse(&entry.name), entry.kind) {
            (Some(Name::Segment(id)), EntryKind::File) => {
                out.segments.insert(id);
                out.lens.insert(id, entry.len);
            }
            (Some(Name::Acks(id)), EntryKind::File) => {
                out.acks.insert(id);
            }
            (None, EntryKind::Dir) if entry.name == names::QUARANTINE => {}
            (Some(_), _) => out.notes.push(format!("{} is no regular file and is left alone", entry.name)),
            (None, _) => out.notes.push(format!("{} is not ours and is left alone", entry.name)),
        }
    }
    Ok(out)
}

/// What a segment file turned out to be.
pub(crate) enum Looked {
    /// Ours.
    Ours(Scan),
    /// Of another spool or of a newer version: not to be touched.
    Alien(String),
    /// It cannot be opened: not to be touched in this run.
    Closed(io::Error),
}

pub(crate) fn look<F: Fs>(fs: &F, dir: &Path, id: u64, spool: SpoolId, check: bool) -> Looked {
    let opened = fs.open(&dir.join(names::segment(id)), false).and_then(|file| Ok((file.len()?, file)));
    let (len, file) = match opened {
        Ok(opened) => opened,
        Err(error) => return Looked::Closed(error),
    };
    // A look at the head first: a segment of a newer version may hold anything behind it.
    match scan::header(&file, len) {
        Ok(Ok(header)) => {
            if let Some(why) = alien(&header, id, spool) {
                return Looked::Alien(why.into());
            }
        }
        Ok(Err(error @ (HeaderError::Version(_) | HeaderError::Features(_)))) => {
            return Looked::Alien(error.to_string());
        }
        Ok(Err(HeaderError::Damaged)) => {}
        Err(error) => return Looked::Closed(error),
    }
    Looked::Ours(scan::scan(&file, len, id, spool.salt, check))
}

fn alien(header: &SegmentHeader, id: u64, spool: SpoolId) -> Option<&'static str> {
    if header.uuid != spool.uuid || header.salt != spool.salt {
        Some("it belongs to another spool")
    } else if header.id != id {
        Some("it was renamed")
    } else {
        None
    }
}

impl<F: Fs> Log<F> {
    pub(crate) fn open_lane(
        fs: F,
        dir: PathBuf,
        spool: SpoolId,
        mut cfg: LogConfig,
        wall_ms: u64,
    ) -> Result<(Self, Recovery), OpenError> {
        cfg.max_record = cfg.max_record.min(MAX_SEGMENT);
        cfg.segment_bytes = cfg.segment_bytes.min(MAX_SEGMENT);
        let failed = |what: &str, source| OpenError::Io { what: format!("{what} {}", dir.display()), source };
        // A disk that is read-only may still hold records; only a directory that is not there has to be made.
        let found = match listing(&fs, &dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs.create_dir(&dir).map_err(|error| failed("make the directory", error))?;
                listing(&fs, &dir)
            }
            found => found,
        };
        let found = found.map_err(|error| failed("list the directory", error))?;
        let mut recovery = Recovery { notes: found.notes, ..Recovery::default() };
        let newest = found.segments.last().copied();
        let mut inputs = Vec::new();
        // Bytes that nobody has read: there may be records in them, and their numbers are not free.
        let mut unseen = 0;
        for &id in &found.segments {
            let len = found.lens.get(&id).copied().unwrap_or(0);
            match look(&fs, &dir, id, spool, Some(id) == newest) {
                Looked::Ours(scan) => {
                    unseen += if scan.failed.is_some() { len } else { 0 };
                    inputs.push(Input {
                        id,
                        scan,
                        acks: acks::read(&fs, &dir.join(names::acks(id)), spool.salt),
                    });
                }
                Looked::Alien(why) => {
                    unseen += len;
                    recovery.notes.push(format!("{} is left alone: {why}", names::segment(id)));
                }
                Looked::Closed(error) => {
                    unseen += len;
                    recovery.notes.push(format!("{} is left alone: {error}", names::segment(id)));
                }
            }
        }
        // A segment without a record may be one that could not be completed, see `Log::create`. After such a one, and
        // after one that was not read, an id is left out, so that nobody takes the gap in the numbers for a loss.
        let gap = unseen > 0 || inputs.last().is_some_and(|newest| newest.scan.frames.is_empty());
        let mut plan = plan(&mut inputs);
        recovery.notes.append(&mut plan.notes);
        let mut log = Self {
            quarantine: Quarantine::new(&fs, &dir, cfg.quarantine_bytes),
            fs,
            dir,
            id: spool,
            cfg,
            index: BTreeMap::new(),
            segments: BTreeMap::new(),
            active: None,
            sealed: Vec::new(),
            inherited: inputs.iter().map(|input| input.id).collect(),
            nameless: true,
            reader: None,
            next_seq: plan.last_seq.saturating_add(unseen / FRAME_HEAD_LEN as u64).min(Seq::MAX.0) + 1,
            next_id: found.greatest + 1 + u64::from(gap),
            graves: found.acks.difference(&found.segments).copied().collect(),
            // A killed process may not have synced what it deleted.
            unlinked: true,
            sync_error: None,
            unsynced: 0,
            waiting: 0,
            io_errors: 0,
            timers: Timers::default(),
        };
        log.carry_out(inputs, plan, &mut recovery, wall_ms);
        Ok((log, recovery))
    }

    /// Nothing in here may fail the opening: what cannot be written now is noted and done, or counted again, later.
    fn carry_out(&mut self, inputs: Vec<Input>, mut plan: Plan, recovery: &mut Recovery, wall_ms: u64) {
        let steps = std::mem::take(&mut plan.segments);
        let mut removable = Vec::new();
        for (input, step) in inputs.into_iter().zip(&steps) {
            let mut acks = AckLog::new(input.acks.exists, input.acks.len);
            acks.pending.extend(step.corrupt.iter().map(|&seq| entry(seq, AckKind::Corrupt, wall_ms)));
            acks.pending.extend(step.copies.iter().map(|&seq| entry(seq, AckKind::Void, wall_ms)));
            let segment =
                Segment { len: input.scan.len, live: step.live, doomed: false, pinned: false, acks };
            self.segments.insert(input.id, segment);
            self.describe(&input, recovery);
            let copied = self.save_damage(step, recovery);
            // Whatever is cut off is kept in the quarantine, or not cut off.
            if copied && let Some(len) = step.truncate {
                self.cut(input.id, len, recovery);
            }
            if step.remove {
                removable.push(input.id);
            }
        }
        self.sync_newest(recovery);
        // Made at once, which packs the index tighter than one by one.
        let records = std::mem::take(&mut plan.records);
        recovery.records.reserve_exact(records.len());
        let indexed = records.into_iter().map(|(seq, (slot, entry))| {
            recovery.records.push(entry);
            (seq, slot)
        });
        self.index = indexed.collect();
        recovery.losses = plan.losses;
        let tidy = steps.iter().any(|step| !step.copies.is_empty())
            || !removable.is_empty()
            || !self.graves.is_empty();
        for id in removable {
            self.remove(id);
        }
        // Before anybody counts the losses: so they are not counted again after a crash.
        let counted = !recovery.losses.is_empty();
        if (counted || tidy)
            && let Err(error) = self.flush_acks(true)
        {
            recovery.notes.push(format!("{}: cannot be tidied up yet: {error}", self.dir.display()));
        }
    }

    /// What a killed process wrote, or cut off, and did not sync is found in the cache of the system: now it is here to
    /// stay, so that none comes back that failed. Older segments are synced with the next [`Log::sync`], which speaks for
    /// all records.
    fn sync_newest(&mut self, recovery: &mut Recovery) {
        let Some((id, _)) = self.segments.last_key_value().filter(|(_, newest)| newest.live > 0) else {
            return;
        };
        let path = self.dir.join(names::segment(*id));
        if let Err(error) = self.fs.open(&path, true).and_then(|mut file| file.sync_data()) {
            self.io_errors += 1;
            recovery.notes.push(format!("{}: cannot be synced: {error}", path.display()));
        }
    }

    fn describe(&self, input: &Input, recovery: &mut Recovery) {
        let name = names::segment(input.id);
        if input.scan.header.is_err() && input.scan.len > 0 {
            recovery
                .notes
                .push(format!("{name}: both heads are damaged, {} records found", input.scan.frames.len()));
        }
        for (from, to) in &input.scan.damage {
            recovery.notes.push(format!("{name}: damaged from byte {from} to {to}"));
        }
        if let scan::Tail::Torn(from) = input.scan.tail {
            recovery.notes.push(format!("{name}: torn from byte {from} to the end"));
        }
        if let Some(error) = &input.scan.failed {
            recovery.notes.push(format!("{name}: not all of it can be read, it is kept: {error}"));
        }
        if input.acks.bad > 0 {
            recovery.notes.push(format!("{}: {} entries are damaged", names::acks(input.id), input.acks.bad));
        }
        if let Some(error) = &input.acks.failed {
            recovery.notes.push(format!("{}: cannot be read, it is kept: {error}", names::acks(input.id)));
        }
    }

    fn save_damage(&mut self, step: &SegmentPlan, recovery: &mut Recovery) -> bool {
        if step.quarantine.is_empty() {
            return true;
        }
        let path = self.dir.join(names::segment(step.id));
        let copied = self.fs.open(&path, false).and_then(|file| {
            for (from, to) in &step.quarantine {
                recovery.quarantined += self.quarantine.copy(&self.fs, &file, step.id, *from, *to)?;
            }
            Ok(())
        });
        if let Err(error) = &copied {
            self.io_errors += 1;
            recovery.notes.push(format!("{}: no copy of the damage could be kept: {error}", path.display()));
        }
        copied.is_ok()
    }

    fn cut(&mut self, id: u64, len: u64, recovery: &mut Recovery) {
        let path = self.dir.join(names::segment(id));
        match self.fs.open(&path, true).and_then(|mut file| file.set_len(len)) {
            Ok(()) => {
                if let Some(segment) = self.segments.get_mut(&id) {
                    segment.len = len;
                }
            }
            Err(error) => {
                self.io_errors += 1;
                recovery.notes.push(format!("{}: the torn end cannot be cut off: {error}", path.display()));
            }
        }
    }
}

/// An entry of an ack log.
pub(crate) const fn entry(seq: u64, kind: AckKind, wall_ms: u64) -> AckEntry {
    AckEntry { seq, kind, at: wall_ms / 1000 }
}

/// Finds out whose spool a directory is, from the head of any segment in it: for when the file `SPOOL` is damaged.
///
/// # Errors
/// If the directory cannot be listed.
pub fn find_identity<F: Fs>(fs: &F, dir: &Path) -> io::Result<Option<SpoolId>> {
    for id in listing(fs, dir)?.segments.into_iter().rev() {
        let opened = fs.open(&dir.join(names::segment(id)), false);
        let Ok(file) = opened else { continue };
        let Ok(len) = file.len() else { continue };
        if let Ok(Ok(header)) = scan::header(&file, len)
            && header.id == id
        {
            return Ok(Some(SpoolId { uuid: header.uuid, salt: header.salt }));
        }
    }
    Ok(None)
}
