//! A look at the records of a lane, from outside: nothing is changed, and no lock is needed.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bytes::Bytes;

use super::acks;
use super::names;
use super::open::{Looked, listing, look};
use super::scan::{Frame, State};
use super::types::{IndexEntry, Record, Seq, SpoolId};
use crate::format::{FrameHead, payload_crc, segment_salt};
use crate::fs::{Fs, read_full};

/// A record that is not settled, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What is known of it without its payload.
    pub entry: IndexEntry,
    /// The segment that it is in.
    pub segment: u64,
    /// Where it begins there.
    pub at: u64,
    /// Whether its payload is what was written.
    pub is_sound: bool,
}

/// The records of a lane that are not settled, oldest first. Reads everything, payloads included, and keeps none.
/// In a lane that is in use, the answer is of some moment between the call and its return.
///
/// # Errors
/// If the directory cannot be listed. Of a file that cannot be read nothing is listed; [`verify`](super::verify)
/// says why.
pub fn records<F: Fs>(fs: &F, dir: &Path, id: SpoolId) -> io::Result<Vec<Listed>> {
    let mut found = BTreeMap::new();
    for segment in listing(fs, dir)?.segments {
        let Looked::Ours(scan) = look(fs, dir, segment, id, true) else { continue };
        let acks = acks::read(fs, &dir.join(names::acks(segment)), id.salt);
        for frame in scan.frames {
            let word = acks.words.get(&frame.head.seq).copied().unwrap_or_default();
            if word.end.is_none() {
                let listed = listed(segment, frame, word.attempts);
                let seq = listed.entry.seq;
                // Of two with one number the sound one counts.
                if listed.is_sound || !found.contains_key(&seq) {
                    found.insert(seq, listed);
                }
            }
        }
    }
    Ok(found.into_values().collect())
}

fn listed(segment: u64, frame: Frame, attempts: u32) -> Listed {
    let entry = IndexEntry {
        seq: Seq(frame.head.seq),
        enqueued_ms: frame.head.enqueued_ms,
        payload_len: frame.head.payload_len,
        attempts,
        kind: frame.head.kind,
        flags: frame.head.flags,
        bytes_on_disk: frame.end() - frame.at,
        meta: frame.meta,
    };
    let is_sound = matches!(frame.state, State::Good | State::Unchecked);
    Listed { entry, segment, at: frame.at, is_sound }
}

/// Reads a record that was listed; `None` if it is not there any more, or damaged.
///
/// # Errors
/// If its segment cannot be read.
pub fn read_listed<F: Fs>(fs: &F, dir: &Path, id: SpoolId, listed: &Listed) -> io::Result<Option<Record>> {
    if !listed.is_sound {
        return Ok(None);
    }
    let file = fs.open(&dir.join(names::segment(listed.segment)), false)?;
    // Bounded: the frame was seen whole in the file.
    let mut bytes = vec![0; usize::try_from(listed.entry.bytes_on_disk).unwrap_or(0)];
    let read = read_full(&file, &mut bytes, listed.at)?;
    bytes.truncate(read);
    Ok(decode(&Bytes::from(bytes), id, listed))
}

fn decode(bytes: &Bytes, id: SpoolId, listed: &Listed) -> Option<Record> {
    let (head, meta) = FrameHead::decode(bytes, segment_salt(id.salt, listed.segment))?;
    let from = usize::try_from(head.payload_offset()).ok()?;
    let payload = bytes.get(from..from.checked_add(head.payload_len as usize)?)?;
    let is_it = head.seq == listed.entry.seq.0 && payload_crc(id.salt, [payload]) == head.payload_crc;
    is_it.then(|| Record {
        seq: listed.entry.seq,
        enqueued_ms: head.enqueued_ms,
        kind: head.kind,
        flags: head.flags,
        attempts: listed.entry.attempts,
        meta: bytes.slice_ref(meta),
        payload: bytes.slice_ref(payload),
    })
}
