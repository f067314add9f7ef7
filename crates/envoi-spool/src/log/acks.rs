//! The ack log of a segment.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::path::Path;

use super::window::{WIDE, Window};
use crate::format::{ACK_LEN, AckEntry, AckKind};
use crate::fs::{Fs, FsFile, write_full};

/// What an ack log says of one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// The first word that ends it.
    pub(crate) end: Option<AckKind>,
    /// Failed attempts.
    pub(crate) attempts: u32,
}

/// What is in an ack log.
#[derive(Debug, Default)]
pub(crate) struct AckScan {
    pub(crate) exists: bool,
    pub(crate) words: HashMap<u64, Word>,
    /// Where the next entry goes: a partial one is written over.
    pub(crate) len: u64,
    /// Entries that are damaged or of a kind that this version does not know.
    pub(crate) bad: u64,
    pub(crate) failed: Option<io::Error>,
}

pub(crate) fn read<F: Fs>(fs: &F, path: &Path, salt: u32) -> AckScan {
    let mut scan = AckScan::default();
    match read_into(fs, path, salt, &mut scan) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => scan.failed = Some(error),
    }
    scan
}

fn read_into<F: Fs>(fs: &F, path: &Path, salt: u32, scan: &mut AckScan) -> io::Result<()> {
    let file = fs.open(path, false)?;
    scan.exists = true;
    let len = file.len()?;
    let entry = ACK_LEN as u64;
    scan.len = len - len % entry;
    let mut window = Window::new(&file, scan.len);
    let mut at = 0;
    while at < scan.len {
        let bytes = window.get(at, WIDE)?;
        let whole = bytes.len() - bytes.len() % ACK_LEN;
        if whole == 0 {
            break;
        }
        for bytes in bytes[..whole].chunks_exact(ACK_LEN) {
            let Some(entry) = AckEntry::decode(bytes, salt) else {
                scan.bad += 1;
                continue;
            };
            let word = scan.words.entry(entry.seq).or_default();
            if entry.kind.is_final() {
                word.end.get_or_insert(entry.kind);
            } else {
                word.attempts = word.attempts.saturating_add(1);
            }
        }
        at += whole as u64;
    }
    Ok(())
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct AckLog<F> {
    /// Bytes that are written.
    pub(crate) len: u64,
    /// Whether there is a file.
    pub(crate) exists: bool,
    /// The file was made since somebody last asked: the directory must be synced.
    pub(crate) created: bool,
    /// Not written yet.
    pub(crate) pending: Vec<AckEntry>,
    /// Kept open while there is something to sync.
    file: Option<F>,
    /// Something was written and not synced.
    dirty: bool,
    /// A sync failed: this file is never synced again.
    unsure: bool,
}

impl<F> AckLog<F> {
    /// What an earlier process wrote may not be synced either, so a file that is there counts as dirty.
    pub(crate) const fn new(exists: bool, len: u64) -> Self {
        Self { len, exists, created: false, pending: Vec::new(), file: None, dirty: exists, unsure: false }
    }

    pub(crate) const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Closes the file without syncing it.
    pub(crate) fn release(&mut self) {
        self.file = None;
    }
}

impl<F: FsFile> AckLog<F> {
    /// Writes what is pending. On an error the rest stays pending.
    pub(crate) fn flush<S: Fs<File = F>>(&mut self, fs: &S, path: &Path, salt: u32) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.open(fs, path)?,
        };
        let bytes: Vec<u8> = self.pending.iter().flat_map(|entry| entry.encode(salt)).collect();
        let mut written = 0;
        let result = write_full(&mut file, &mut [IoSlice::new(&bytes)], self.len, &mut written);
        self.file = Some(file);
        // Whole entries in front of an error stand; the next flush writes over the rest.
        let whole = written - written % ACK_LEN as u64;
        self.len += whole;
        self.dirty |= whole > 0;
        self.pending.drain(..usize::try_from(whole).unwrap_or(0) / ACK_LEN);
        result
    }

    fn open<S: Fs<File = F>>(&mut self, fs: &S, path: &Path) -> io::Result<F> {
        match fs.open(path, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = fs.create_new(path)?;
                // One that comes in the place of a file that vanished begins anew.
                self.len = 0;
                self.exists = true;
                self.created = true;
                Ok(file)
            }
            opened => opened,
        }
    }

    /// Makes what was written outlive a power cut. A file of which a sync failed is left alone from then on: what it
    /// tells may be forgotten, and then a record is delivered again.
    pub(crate) fn sync<S: Fs<File = F>>(&mut self, fs: &S, path: &Path) -> io::Result<()> {
        if !std::mem::take(&mut self.dirty) || self.unsure {
            self.file = None;
            return Ok(());
        }
        let synced = match self.file.take() {
            Some(mut file) => file.sync_data(),
            None => fs.open(path, true).and_then(|mut file| file.sync_data()),
        };
        synced.inspect_err(|_| self.unsure = true)
    }
}
