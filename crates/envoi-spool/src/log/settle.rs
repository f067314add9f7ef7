//! Settling, and the disk space that comes back by it.

use std::io;
use std::time::{Duration, Instant};

use super::Log;
use super::names;
use super::open::entry;
use super::types::Seq;
use crate::format::{AckKind, DATA_OFFSET};
use crate::fs::Fs;

/// Ack entries that wait while the disk takes none. Beyond this, notes of attempts are dropped: they are the only ones
/// that are not bounded by the records in the log.
const MAX_WAITING: usize = 1 << 16;
/// How long work that failed waits for the next try.
const AGAIN: Duration = Duration::from_secs(1);

/// What is due when.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// Something was appended since the last tick.
    pub(crate) appended: bool,
    /// The wall time of the last call that told it.
    pub(crate) wall_ms: u64,
    idle_since: Option<Instant>,
    flush_at: Option<Instant>,
    sync_at: Option<Instant>,
    /// After an error nothing is done before this.
    not_before: Option<Instant>,
}

impl<F: Fs> Log<F> {
    pub(crate) fn settle(&mut self, seq: Seq, kind: AckKind, wall_ms: u64) -> bool {
        self.timers.wall_ms = wall_ms;
        let Some(slot) = self.index.get_mut(&seq.0) else { return false };
        let id = slot.segment;
        if kind.is_final() {
            self.index.remove(&seq.0);
        } else {
            slot.attempts = slot.attempts.saturating_add(1);
        }
        if let Some(segment) = self.segments.get_mut(&id) {
            if kind.is_final() {
                segment.live = segment.live.saturating_sub(1);
            }
            if kind.is_final() || self.waiting < MAX_WAITING {
                segment.acks.pending.push(entry(seq.0, kind, wall_ms));
                self.waiting += 1;
            }
        }
        if kind.is_final() {
            self.remove_if_settled(id);
        }
        true
    }

    pub(crate) fn remove_if_settled(&mut self, id: u64) {
        let newest = self.segments.keys().next_back() == Some(&id);
        if !newest && self.segments.get(&id).is_some_and(|segment| segment.live == 0 && !segment.pinned) {
            self.remove(id);
        }
    }

    /// Deletes a segment. The ack log follows when the directory was synced: should the segment come back after
    /// a power cut, it comes back settled.
    pub(crate) fn remove(&mut self, id: u64) {
        if self.reader.as_ref().is_some_and(|(open, _)| *open == id) {
            self.reader = None;
        }
        self.sealed.retain(|(sealed, _)| *sealed != id);
        self.inherited.remove(&id);
        match self.fs.unlink(&self.dir.join(names::segment(id))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.io_errors += 1;
                if let Some(segment) = self.segments.get_mut(&id) {
                    segment.doomed = true;
                }
            }
            _ => {
                self.unlinked = true;
                if let Some(segment) = self.segments.remove(&id) {
                    self.waiting = self.waiting.saturating_sub(segment.acks.pending.len());
                    if segment.acks.exists {
                        self.graves.insert(id);
                    }
                }
                // Nobody is going to sync the directory.
                if self.cfg.ack_sync.is_none() {
                    self.bury();
                }
            }
        }
    }

    fn remove_doomed(&mut self) {
        let doomed: Vec<u64> =
            self.segments.iter().filter(|(_, segment)| segment.doomed).map(|(id, _)| *id).collect();
        for id in doomed {
            self.remove(id);
        }
    }

    pub(crate) fn write_acks(&mut self, sync: bool) -> io::Result<()> {
        let mut first = None;
        let mut note = |error| {
            first.get_or_insert(error);
        };
        for (id, segment) in &mut self.segments {
            let acks = &mut segment.acks;
            if acks.pending.is_empty() && !acks.is_dirty() {
                continue;
            }
            let path = self.dir.join(names::acks(*id));
            let flushed = acks.flush(&self.fs, &path, self.id.salt);
            self.unlinked |= std::mem::take(&mut acks.created);
            let synced = if sync { acks.sync(&self.fs, &path) } else { Ok(()) };
            for error in [flushed, synced].into_iter().filter_map(Result::err) {
                self.io_errors += 1;
                note(error);
            }
            if self.cfg.ack_sync.is_none() {
                acks.release();
            }
        }
        self.waiting = self.segments.values().map(|segment| segment.acks.pending.len()).sum();
        if sync && (self.unlinked || !self.graves.is_empty()) {
            match self.fs.sync_dir(&self.dir) {
                Ok(()) => {
                    self.unlinked = false;
                    self.bury();
                }
                Err(error) => {
                    self.io_errors += 1;
                    note(error);
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Deletes the ack logs of segments that are gone for good. What cannot be deleted is tried again with the next
    /// sync, or at the next open.
    fn bury(&mut self) {
        let (fs, dir) = (&self.fs, &self.dir);
        self.graves.retain(|id| match fs.unlink(&dir.join(names::acks(*id))) {
            Ok(()) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        });
    }

    pub(crate) fn do_tick(&mut self, now: Instant, wall_ms: u64) -> io::Result<Option<Instant>> {
        self.timers.wall_ms = wall_ms;
        if let Some(until) = self.timers.not_before {
            if now < until {
                return Ok(Some(until));
            }
            self.timers.not_before = None;
        }
        self.arm(now);
        self.remove_doomed();
        let done = self.do_due(now, wall_ms);
        if done.is_err() {
            self.timers.not_before = Some(now + AGAIN);
        }
        done?;
        self.arm(now);
        let timers = &self.timers;
        let drained = timers.idle_since.filter(|_| self.is_drained()).map(|since| since + self.cfg.idle);
        let again = self.segments.values().any(|segment| segment.doomed).then(|| now + AGAIN);
        Ok([timers.flush_at, timers.sync_at, drained, again].into_iter().flatten().min())
    }

    /// Starts the clocks of what has come up since the last tick.
    fn arm(&mut self, now: Instant) {
        let dirty = self.unlinked || self.segments.values().any(|segment| segment.acks.is_dirty());
        let pending = self.waiting > 0;
        let timers = &mut self.timers;
        if std::mem::take(&mut timers.appended) || timers.idle_since.is_none() {
            timers.idle_since = Some(now);
        }
        timers.flush_at = if pending { timers.flush_at.or(Some(now + self.cfg.ack_flush)) } else { None };
        timers.sync_at = match self.cfg.ack_sync {
            Some(every) if dirty || pending => timers.sync_at.or(Some(now + every)),
            _ => None,
        };
    }

    fn do_due(&mut self, now: Instant, wall_ms: u64) -> io::Result<()> {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.timers.sync_at) {
            (self.timers.sync_at, self.timers.flush_at) = (None, None);
            self.write_acks(true)?;
        } else if due(self.timers.flush_at) || self.waiting >= self.cfg.ack_batch {
            self.timers.flush_at = None;
            self.write_acks(false)?;
        }
        let idle = self.timers.idle_since.is_some_and(|since| since + self.cfg.idle <= now);
        if idle && self.is_drained() { self.roll(wall_ms) } else { Ok(()) }
    }

    /// Whether a new, empty segment would give disk space back.
    pub(crate) fn is_drained(&self) -> bool {
        self.segments.last_key_value().is_some_and(|(_, newest)| {
            newest.live == 0 && !newest.pinned && newest.len + newest.acks.len > DATA_OFFSET
        })
    }
}
