use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::names;
use super::window::{WIDE, Window};
use crate::fs::{EntryKind, Fs, write_full};

/// Copies of damaged ranges, bounded, for a human to look at; never read back (decision 20). What does not fit is
/// not copied: the first pieces say most about what went wrong.
#[derive(Debug)]
pub(crate) struct Quarantine {
    dir: PathBuf,
    bytes: u64,
    limit: u64,
}

impl Quarantine {
    pub(crate) fn new<F: Fs>(fs: &F, lane: &Path, limit: u64) -> Self {
        let dir = lane.join(names::QUARANTINE);
        // A directory that is missing or cannot be listed is empty: the copies will tell.
        let bytes = fs.list(&dir).map_or(0, |entries| {
            entries.iter().filter(|entry| entry.kind == EntryKind::File).map(|entry| entry.len).sum()
        });
        Self { dir, bytes, limit }
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Copies `from..to` of segment `id`. Answers the bytes that were added: 0 if the copy is there already or if it
    /// does not fit.
    pub(crate) fn copy<F: Fs>(
        &mut self,
        fs: &F,
        file: &F::File,
        id: u64,
        from: u64,
        to: u64,
    ) -> io::Result<u64> {
        let len = to.saturating_sub(from);
        if len == 0 || self.bytes.saturating_add(len) > self.limit {
            return Ok(0);
        }
        fs.create_dir(&self.dir)?;
        let path = self.dir.join(names::damaged(id, from, to));
        let mut copy = match fs.create_new(&path) {
            Ok(copy) => copy,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut window = Window::new(file, to);
        let mut at = from;
        let copied = loop {
            let bytes = match window.get(at, WIDE) {
                Ok([]) => break Ok(()),
                Ok(bytes) => bytes,
                Err(error) => break Err(error),
            };
            let slices = &mut [IoSlice::new(bytes)];
            if let Err(error) = write_full(&mut copy, slices, at - from, &mut 0) {
                break Err(error);
            }
            at += bytes.len() as u64;
        };
        drop(copy);
        match copied {
            Ok(()) => {
                self.bytes += at - from;
                Ok(at - from)
            }
            Err(error) => {
                // Half a copy would keep the whole one away. If it cannot be removed, it is half a copy.
                let _ = fs.unlink(&path);
                Err(error)
            }
        }
    }
}
