//! Emptying a spool from outside.

use std::io;
use std::path::Path;

use envoi_core::Lane;

use crate::fs::{EntryKind, Fs, RealFs};

use super::OpenError;
use super::inspect::{QUARANTINE, slots};
use super::slot::{Claim, claim, lane_dir, owner};

/// What [`purge`] deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Segments, ack logs, and copies of damaged ranges.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Deletes everything that waits in the spool in the directory `path`, and what is in quarantine, in all slots; nothing
/// of it is recorded as lost. Who the spool is, and what was saved as its state, stays. Blocks.
///
/// # Errors
/// [`OpenError::Busy`] if any slot is in use: then nothing was deleted (OC-10). [`OpenError::Io`] if a file cannot be
/// deleted; what was deleted before stays deleted, what is left is a spool still.
pub fn purge(path: impl AsRef<Path>) -> Result<Purged, OpenError> {
    let (fs, path) = (RealFs, path.as_ref());
    let mut locks = Vec::new();
    let names = slots(&fs, path).map_err(OpenError::io("list", path))?;
    for dir in names.iter().map(|name| path.join(name)) {
        match claim(&fs, &dir).map_err(OpenError::io("lock", &dir))? {
            Claim::Mine(lock) => locks.push(lock),
            Claim::Busy => return Err(OpenError::Busy { path: dir.clone(), owner: owner(&fs, &dir) }),
        }
    }
    let mut purged = Purged::default();
    for slot in names.iter().map(|name| path.join(name)) {
        for lane in Lane::ALL {
            let dir = lane_dir(&slot, lane);
            // An ack log without its segment is harmless; a segment without its ack log would be delivered again.
            delete(&fs, &dir, ".seg", &mut purged).map_err(OpenError::io("empty", &dir))?;
            delete(&fs, &dir, ".ack", &mut purged).map_err(OpenError::io("empty", &dir))?;
            let dir = dir.join(QUARANTINE);
            delete(&fs, &dir, ".bin", &mut purged).map_err(OpenError::io("empty", &dir))?;
        }
    }
    drop(locks);
    Ok(purged)
}

fn delete<F: Fs>(fs: &F, dir: &Path, suffix: &str, purged: &mut Purged) -> io::Result<()> {
    let entries = match fs.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        if entry.kind == EntryKind::File && entry.name.ends_with(suffix) {
            fs.unlink(&dir.join(&entry.name))?;
            purged.files += 1;
            purged.bytes += entry.len;
        }
    }
    fs.sync_dir(dir)
}
