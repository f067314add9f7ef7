//! Appending, syncing and the change of segments.

use std::io::{self, IoSlice};
use std::path::PathBuf;

use super::acks::AckLog;
use super::names;
use super::open::entry;
use super::plan::Slot;
use super::types::{AppendError, AppendErrorKind, NewRecord, Seq};
use super::{Log, Segment};
use crate::format::{
    AckKind, DATA_OFFSET, FrameHead, MAX_META, SegmentHeader, encode_head, payload_crc, segment_salt,
};
use crate::fs::{Fs, FsFile, write_full};

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct Active<H> {
    pub(crate) id: u64,
    pub(crate) file: H,
    /// Where the next frame goes.
    len: u64,
    /// Where the file ends: zeros may have been written ahead, see [`LogConfig::prewrite`](super::LogConfig::prewrite).
    reach: u64,
    /// Nothing is appended any more: the device failed, or what a failed write left could not be cut off.
    closed: bool,
    /// There is something to sync.
    dirty: bool,
    /// A sync failed: this file is never synced again.
    unsure: bool,
}

/// Zeros that are written ahead at once, at least and at most.
const AHEAD: (u64, u64) = (64 << 10, 1 << 20);
/// More segments than this are not left without a sync: each takes an open file.
const MAX_SEALED: usize = 32;

/// So many records at most in one write: two slices and the pieces of the payload each, and systems take 1024.
const BATCH: usize = 256;

impl<F: Fs> Log<F> {
    pub(crate) fn append_all(&mut self, batch: &[NewRecord<'_>]) -> Result<Vec<Seq>, AppendError> {
        let mut written = Vec::with_capacity(batch.len());
        while let Some(first) = batch.get(written.len()) {
            let done = self
                .admit(first)
                .and_then(|()| self.room_for(first))
                .and_then(|()| self.write(&batch[written.len()..], &mut written));
            if let Err(kind) = done {
                return Err(AppendError { written, kind });
            }
        }
        Ok(written)
    }

    /// Whether the record could ever be written.
    fn admit(&self, record: &NewRecord<'_>) -> Result<(), AppendErrorKind> {
        let bytes = record.bytes_on_disk();
        if record.meta.len() > MAX_META {
            Err(AppendErrorKind::MetaTooLarge(record.meta.len()))
        } else if bytes > self.cfg.max_record {
            Err(AppendErrorKind::TooLarge { bytes, limit: self.cfg.max_record })
        } else if self.next_seq > Seq::MAX.0 {
            Err(AppendErrorKind::Exhausted)
        } else {
            Ok(())
        }
    }

    /// Goes to a new segment if the record does not fit into the one at hand.
    fn room_for(&mut self, record: &NewRecord<'_>) -> Result<(), AppendErrorKind> {
        let fits = self.active.as_ref().is_some_and(|active| {
            let empty = active.len == DATA_OFFSET;
            !active.closed && (empty || active.len + record.bytes_on_disk() <= self.cfg.segment_bytes)
        });
        if fits { Ok(()) } else { self.roll(record.enqueued_ms).map_err(AppendErrorKind::of) }
    }

    /// One write of as many records as go into the segment.
    fn write(&mut self, batch: &[NewRecord<'_>], done: &mut Vec<Seq>) -> Result<(), AppendErrorKind> {
        let Some(active) = &mut self.active else { unreachable!("room was made just before") };
        let seed = segment_salt(self.id.salt, active.id);
        let start = active.len;
        let mut heads = Vec::new();
        // Per record: where its head ends in `heads`, and where its frame ends in the segment.
        let mut ends: Vec<(usize, u64)> = Vec::new();
        let mut end = start;
        for (record, seq) in batch.iter().take(BATCH).zip(self.next_seq..=Seq::MAX.0) {
            let bytes = record.bytes_on_disk();
            let fits = ends.is_empty() || end + bytes <= self.cfg.segment_bytes;
            if !fits || record.meta.len() > MAX_META || bytes > self.cfg.max_record {
                break;
            }
            let head = FrameHead {
                // Fits: `max_record` is at most 1 GiB.
                payload_len: u32::try_from(record.payload_len()).unwrap_or(u32::MAX),
                payload_crc: payload_crc(self.id.salt, record.payload.iter().map(|piece| &piece[..])),
                seq,
                enqueued_ms: record.enqueued_ms,
                meta_len: u16::try_from(record.meta.len()).unwrap_or(u16::MAX),
                kind: record.kind,
                flags: record.flags,
            };
            encode_head(&mut heads, &head, record.meta, seed);
            end += bytes;
            ends.push((heads.len(), end));
        }
        if self.cfg.prewrite && end > active.reach {
            active.prewrite(end, self.cfg.segment_bytes);
        }
        let mut slices = Vec::with_capacity(3 * ends.len());
        let mut from = 0;
        for (record, (to, _)) in batch.iter().zip(&ends) {
            slices.push(IoSlice::new(&heads[from..*to]));
            slices.extend(record.payload.iter().map(|piece| IoSlice::new(piece)));
            let plain = *to - from + record.payload_len();
            slices.push(IoSlice::new(&[0; 8][..plain.next_multiple_of(8) - plain]));
            from = *to;
        }
        let mut written = 0;
        let result = write_full(&mut active.file, &mut slices, start, &mut written);
        // Frames that are whole in the file stand even if what came behind them failed.
        let whole = ends.iter().take_while(|(_, end)| *end - start <= written).count();
        active.dirty |= whole > 0;
        active.len = ends[..whole].last().map_or(start, |(_, end)| *end);
        active.reach = active.reach.max(active.len);
        let (id, reach, mut at) = (active.id, active.reach, start);
        for (_, end) in &ends[..whole] {
            let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
            let slot = Slot { segment: id, at: narrow(at), len: narrow(*end - at), attempts: 0 };
            self.index.insert(self.next_seq, slot);
            done.push(Seq(self.next_seq));
            self.next_seq += 1;
            at = *end;
        }
        self.unsynced += whole;
        self.timers.appended = true;
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.live += whole as u64;
            segment.len = reach;
        }
        result.map_err(|error| self.write_failed(error, ends.len() - whole, start + written))
    }

    /// Cleans up behind a failed write of `lost` records, of which the file may have something up to `reached`.
    fn write_failed(&mut self, error: io::Error, lost: usize, reached: u64) -> AppendErrorKind {
        self.io_errors += 1;
        let kind = AppendErrorKind::of(error);
        let Some(active) = &mut self.active else { return kind };
        let cut = active.file.set_len(active.len).is_ok();
        if cut {
            active.reach = active.len;
        }
        let full = matches!(kind, AppendErrorKind::Full(_));
        // On a full disk the segment is good for what comes when there is space again; a failing device is not trusted.
        active.closed |= !cut || !full;
        // A full disk that took nothing has seen no number. Any other number is used up (decision 20): should the bytes
        // come back after a power cut, the record was reported as failed.
        if cut && full && reached == active.len {
            if let Some(segment) = self.segments.get_mut(&active.id) {
                segment.len = active.len;
            }
            return kind;
        }
        let (id, len) = (active.id, active.len);
        let voids = self.next_seq..self.next_seq + lost as u64;
        self.next_seq = voids.end;
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.len = if cut { len } else { segment.len.max(reached) };
            segment.acks.pending.extend(voids.map(|seq| entry(seq, AckKind::Void, self.timers.wall_ms)));
        }
        // Soon, lest a crash makes the gap look like a loss. If it cannot be, a tick will.
        let _ = self.flush_acks(false);
        kind
    }

    pub(crate) fn sync_records(&mut self) -> io::Result<()> {
        for id in std::mem::take(&mut self.inherited) {
            let path = self.dir.join(names::segment(id));
            let synced = self.fs.open(&path, true).and_then(|mut file| file.sync_data());
            self.note_sync(synced);
        }
        for (_, mut file) in std::mem::take(&mut self.sealed) {
            let synced = file.sync_data();
            self.note_sync(synced);
        }
        self.sync_active();
        if self.nameless {
            let synced = self.fs.sync_dir(&self.dir);
            self.nameless = synced.is_err();
            self.note_sync(synced);
        }
        self.sync_error.take().map_or(Ok(()), Err)
    }

    fn sync_active(&mut self) {
        let Some(active) = self.active.as_mut().filter(|active| active.dirty && !active.unsure) else {
            return;
        };
        active.dirty = false;
        self.unsynced = 0;
        if let Err(error) = active.file.sync_data() {
            active.unsure = true;
            active.closed = true;
            self.io_errors += 1;
            self.sync_error.get_or_insert(error);
        }
    }

    /// An error is told with the next sync.
    fn note_sync(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.io_errors += 1;
            self.sync_error.get_or_insert(error);
        }
    }

    /// Leaves the segment that was written to.
    fn seal(&mut self, left: Active<F::File>) {
        if left.dirty && !left.unsure {
            self.sealed.push((left.id, left.file));
            if self.sealed.len() > MAX_SEALED {
                let (_, mut oldest) = self.sealed.remove(0);
                let synced = oldest.sync_data();
                self.note_sync(synced);
            }
        }
    }

    /// Zeros that nothing was written over are given back to the disk. If they stay they do no harm.
    fn trim(&mut self) {
        if let Some(active) = self.active.as_mut().filter(|active| active.reach > active.len)
            && active.file.set_len(active.len).is_ok()
        {
            active.reach = active.len;
            if let Some(segment) = self.segments.get_mut(&active.id) {
                segment.len = active.len;
            }
        }
    }

    /// Begins a new segment. Until it is there, whole and for good, the old one stays in use.
    pub(crate) fn roll(&mut self, wall_ms: u64) -> io::Result<()> {
        self.trim();
        if self.cfg.sync_segments {
            self.sync_active();
        }
        let (id, file) = self.create(wall_ms).inspect_err(|_| self.io_errors += 1)?;
        let before = self.segments.keys().next_back().copied();
        self.segments.insert(
            id,
            Segment { len: DATA_OFFSET, live: 0, doomed: false, pinned: false, acks: AckLog::new(false, 0) },
        );
        let (len, reach) = (DATA_OFFSET, DATA_OFFSET);
        let begun = Active { id, file, len, reach, closed: false, dirty: false, unsure: false };
        if let Some(left) = self.active.replace(begun) {
            self.seal(left);
        }
        // It was kept only because it was the newest.
        if let Some(before) = before {
            self.remove_if_settled(before);
        }
        Ok(())
    }

    fn create(&mut self, wall_ms: u64) -> io::Result<(u64, F::File)> {
        let (path, mut file) = self.new_file()?;
        let id = self.next_id;
        let header = SegmentHeader {
            features: 0,
            id,
            base_seq: self.next_seq,
            created_ms: wall_ms,
            salt: self.id.salt,
            uuid: self.id.uuid,
        }
        .encode();
        let mut slices = [IoSlice::new(&header), IoSlice::new(&header)];
        let made = write_full(&mut file, &mut slices, 0, &mut 0);
        let made = match self.cfg.sync_segments {
            true => made.and_then(|()| file.sync_data()).and_then(|()| self.fs.sync_dir(&self.dir)),
            false => made,
        };
        match made {
            Ok(()) => {
                if self.cfg.sync_segments {
                    self.unlinked = false;
                } else {
                    self.nameless = true;
                }
                self.next_id += 1;
                Ok((id, file))
            }
            Err(error) => {
                drop(file);
                // A name that could not be freed is not used again. The id after it is left out, too: so no neighbour
                // says where the numbers end that the useless file lays claim to.
                if self.fs.unlink(&path).is_err() {
                    self.next_id += 2;
                }
                Err(error)
            }
        }
    }

    /// A file under the next free id.
    fn new_file(&mut self) -> io::Result<(PathBuf, F::File)> {
        let mut tries = 0;
        loop {
            let path = self.dir.join(names::segment(self.next_id));
            tries += 1;
            match self.fs.create_new(&path) {
                Ok(file) => return Ok((path, file)),
                // Somebody put a file there.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 16 => self.next_id += 1,
                // The directory was taken away under us: a new one will do.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 2 => {
                    self.fs.create_dir(&self.dir)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl<H: FsFile> Active<H> {
    /// Writes zeros up to `end` and beyond, but not over the end of the segment. A disk that takes none is found out by
    /// the record itself.
    fn prewrite(&mut self, end: u64, segment: u64) {
        let ahead = self.len.clamp(AHEAD.0, AHEAD.1);
        let to = (end + ahead).min(segment.max(end));
        let from = self.reach.max(self.len);
        let zeros = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        let mut written = 0;
        let done = write_full(&mut self.file, &mut [IoSlice::new(&zeros)], from, &mut written);
        self.reach = from + written;
        if done.is_err() && self.file.set_len(self.len).is_ok() {
            self.reach = self.len;
        }
    }
}
