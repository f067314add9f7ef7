use std::io;

use super::Chance;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// Making a directory.
    CreateDir,
    /// Making a file.
    Create,
    /// Opening a file.
    Open,
    /// Listing a directory.
    List,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Setting the length.
    SetLen,
    /// Syncing a file.
    Sync,
    /// Syncing a directory.
    SyncDir,
    /// Removing a file.
    Unlink,
    /// Giving another name.
    Rename,
}

impl Op {
    /// Whether it changes what is on the disk or in the cache.
    pub(super) const fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::List | Self::Read)
    }
}

/// What goes wrong: chances in 1024.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Operations that fail with an I/O error, each kind with its chance.
    pub fail: Vec<(Op, u16)>,
    /// Writes that take only part of what they are given.
    pub short_writes: u16,
    /// Bytes that all files together may have; beyond it the disk is full.
    pub space: Option<u64>,
    /// Operations that still work; after them the power is gone and all fail.
    pub power: Option<u64>,
    /// Seed of the chances.
    pub seed: u64,
}

impl Faults {
    /// Whether this operation fails.
    pub(super) fn hit(&self, op: Op, chance: &mut Chance) -> io::Result<()> {
        let rate = self.fail.iter().filter(|(kind, _)| *kind == op).map(|(_, rate)| *rate).max().unwrap_or(0);
        if rate > 0 && chance.hits(rate) {
            Err(io::Error::other(format!("simulated fault of {op:?}")))
        } else {
            Ok(())
        }
    }
}
