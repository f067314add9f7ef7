//! Reading a record.

use std::io;

use bytes::Bytes;

use super::plan::Slot;
use super::types::{ReadError, Record, Seq};
use super::{Log, names};
use crate::format::{AckKind, FrameHead, payload_crc, segment_salt};
use crate::fs::{EntryKind, Fs, FsFile, read_full};

impl<F: Fs> Log<F> {
    pub(crate) fn read_checked(&mut self, seq: Seq, wall_ms: u64) -> Result<Record, ReadError> {
        let slot = *self.index.get(&seq.0).ok_or(ReadError::Unknown(seq))?;
        let io = |source| ReadError::Io { seq, source };
        let gone = match self.fetch(&slot) {
            Ok(bytes) => match self.decode(seq, &slot, bytes) {
                Ok(record) => return Ok(record),
                Err(meta) => meta,
            },
            Err(error) => {
                self.io_errors += 1;
                if error.kind() != io::ErrorKind::NotFound || !self.is_gone(slot.segment).map_err(io)? {
                    return Err(io(error));
                }
                None
            }
        };
        if let Some(file) = self.file(slot.segment)
            && self.quarantine_frame(&file, &slot).is_err()
        {
            // The copy is for a human to look at; that there is none must not keep the record in the way.
            self.io_errors += 1;
        }
        self.settle(seq, AckKind::Corrupt, wall_ms);
        Err(ReadError::Corrupt { seq, meta: gone })
    }

    /// The bytes of a frame, as far as the file has them.
    fn fetch(&mut self, slot: &Slot) -> io::Result<Vec<u8>> {
        // Bounded: the frame was seen whole in the file, and its header was intact.
        let mut bytes = vec![0; slot.len as usize];
        let read = match &self.active {
            Some(active) if active.id == slot.segment => {
                read_full(&active.file, &mut bytes, u64::from(slot.at))
            }
            _ => {
                let (id, file) = match self.reader.take() {
                    Some((id, file)) if id == slot.segment => (id, file),
                    _ => (slot.segment, self.fs.open(&self.dir.join(names::segment(slot.segment)), false)?),
                };
                let read = read_full(&file, &mut bytes, u64::from(slot.at));
                self.reader = Some((id, file));
                read
            }
        }?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// The record; or, if the payload is bad, its meta; or nothing at all.
    fn decode(&self, seq: Seq, slot: &Slot, bytes: Vec<u8>) -> Result<Record, Option<Bytes>> {
        let seed = segment_salt(self.id.salt, slot.segment);
        let bytes = Bytes::from(bytes);
        let (head, meta) =
            FrameHead::decode(&bytes, seed).filter(|(head, _)| head.seq == seq.0).ok_or(None)?;
        let meta = bytes.slice_ref(meta);
        let from = FrameHead::payload_offset(&head);
        let to = from + u64::from(head.payload_len);
        // No more than the length of the frame, which is below 2 GiB.
        let (from, to) =
            (usize::try_from(from).unwrap_or(usize::MAX), usize::try_from(to).unwrap_or(usize::MAX));
        match bytes.get(from..to) {
            Some(payload) if payload_crc(self.id.salt, [payload]) == head.payload_crc => Ok(Record {
                seq,
                enqueued_ms: head.enqueued_ms,
                kind: head.kind,
                flags: head.flags,
                attempts: slot.attempts,
                payload: bytes.slice_ref(payload),
                meta,
            }),
            _ => Err(Some(meta)),
        }
    }

    /// Whether the segment is gone for good: its directory is there, and the segment is not in it.
    fn is_gone(&self, id: u64) -> io::Result<bool> {
        let name = names::segment(id);
        Ok(!self.fs.list(&self.dir)?.iter().any(|entry| entry.kind == EntryKind::File && entry.name == name))
    }

    fn file(&self, id: u64) -> Option<F::File> {
        self.fs.open(&self.dir.join(names::segment(id)), false).ok()
    }

    fn quarantine_frame(&mut self, file: &F::File, slot: &Slot) -> io::Result<()> {
        let from = u64::from(slot.at);
        let to = (from + u64::from(slot.len)).min(file.len()?);
        self.quarantine.copy(&self.fs, file, slot.segment, from, to).map(drop)
    }
}
