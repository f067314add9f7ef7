//! A file system in memory that does what disks do on a bad day.
//!
//! It keeps apart what programs see (the page cache) and what the disk holds. A write reaches the disk with
//! [`FsFile::sync_data`](super::FsFile::sync_data), a name with [`Fs::sync_dir`](super::Fs::sync_dir). A
//! [power cut](Snapshot::power_cut) leaves of the rest what chance leaves: per page of 4 KiB the old bytes, the new
//! ones, an earlier version, part of a write, and, where the file had nothing before, zeros or junk; per name the old
//! or the new state; any length that the file had. A sector of 512 bytes is written whole or not at all. After a failed sync the pages count as clean, as Linux has it, and are never written: who syncs again is
//! told "done" and is lied to.
//!
//! ```
//! use envoi_spool::fs::{Fs, FsFile, SimFs};
//! use std::io::IoSlice;
//! use std::path::Path;
//!
//! let fs = SimFs::new();
//! fs.create_dir(Path::new("/dir"))?;
//! let mut file = fs.create_new(Path::new("/dir/a"))?;
//! file.write_at(&[IoSlice::new(b"bytes")], 0)?;
//! file.sync_data()?;
//! // The bytes are safe, the name is not.
//! let outcomes = fs.snapshot().power_cuts(100, 0);
//! assert!(outcomes.iter().any(|fs| fs.content(Path::new("/dir/a")).is_none()));
//! fs.sync_dir(Path::new("/dir"))?;
//! let outcomes = fs.snapshot().power_cuts(100, 0);
//! assert!(outcomes.iter().all(|fs| fs.content(Path::new("/dir/a")).as_deref() == Some(b"bytes")));
//! # Ok::<(), std::io::Error>(())
//! ```

mod chance;
mod faults;
mod fs;
mod image;

pub use chance::Chance;
pub use faults::{Faults, Op};
pub use fs::{SimFile, SimFs};
pub use image::Snapshot;

#[cfg(test)]
mod tests;
