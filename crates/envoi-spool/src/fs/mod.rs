//! The file system behind a seam: [`RealFs`] and, with the feature `sim`, a simulated one on which every fault is a
//! deterministic test.
//!
//! The trait has what an append log needs and no more. All calls block; the log has one owner and runs on a thread
//! of its own.
//!
//! * Files are 0600, directories 0700 (OC-10); on Windows they inherit the access list of the directory above.
//! * Symbolic links are refused, whatever they point at (OC-10).
//! * A file that was created is sure to be found after a power cut only after [`Fs::sync_dir`], its bytes only after
//!   [`FsFile::sync_data`] (OC-9).

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;

mod real;
#[cfg(feature = "sim")]
#[cfg_attr(docsrs, doc(cfg(feature = "sim")))]
pub mod sim;

pub use real::{RealFile, RealFs};
#[cfg(feature = "sim")]
#[cfg_attr(docsrs, doc(cfg(feature = "sim")))]
pub use sim::SimFs;

/// A file system.
pub trait Fs: Clone + Debug + Send + Sync + 'static {
    /// An open file.
    type File: FsFile;

    /// Makes a directory, 0700, and those above it, all of which outlive a power cut at once. One that is there
    /// already is fine.
    ///
    /// # Errors
    /// If it cannot be made, or if a symbolic link or a file is in its place.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a file, 0600, for reading and writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken, by a dangling link too.
    fn create_new(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a regular file, `write` also for writing.
    ///
    /// # Errors
    /// If it is missing, is a link or is not a regular file.
    fn open(&self, path: &Path, write: bool) -> io::Result<Self::File>;

    /// The entries of a directory, in no order. Names that are not Unicode are left out: none of ours is.
    ///
    /// # Errors
    /// If it cannot be read, or is a symbolic link.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Gives a file another name in the same directory; takes the place of what has it.
    ///
    /// # Errors
    /// Of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Of the system.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Of the system.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes what was created, renamed and removed in `dir` outlive a power cut. Does nothing on Windows, where
    /// a directory cannot be synced.
    ///
    /// # Errors
    /// Of the system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that this user may still write on the device of `dir`; `None` if the system does not tell.
    ///
    /// # Errors
    /// Of the system.
    fn free_space(&self, dir: &Path) -> io::Result<Option<u64>>;
}

/// An open file of an [`Fs`].
pub trait FsFile: Debug + Send + 'static {
    /// Reads at `offset`; a short count that is not 0 is no end of file.
    ///
    /// # Errors
    /// Of the system.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of `bufs` at `offset` and says how many bytes. One call of the system.
    ///
    /// # Errors
    /// Of the system; [`io::ErrorKind::StorageFull`] when the device or the quota is full.
    fn write_at(&mut self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Cuts the file, or fills it with zeros.
    ///
    /// # Errors
    /// Of the system.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// The length.
    ///
    /// # Errors
    /// Of the system.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is 0.
    ///
    /// # Errors
    /// Of the system.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Makes the bytes and the length outlive a power cut. After an error never call it again for this file: the
    /// system may have dropped what it could not write, and would answer "done" (research on fsync, rule of the log).
    ///
    /// # Errors
    /// Of the system.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Takes the exclusive lock of the file for as long as it is open. `false`: another process (or another handle)
    /// has it.
    ///
    /// # Errors
    /// Of the system.
    fn try_lock(&self) -> io::Result<bool>;
}

/// What [`Fs::list`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without the directory.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its length in bytes; 0 for what is not a file.
    pub len: u64,
}

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link or something else that we never touch.
    Other,
}

/// Reads until `buf` is full or the file ends.
///
/// # Errors
/// Of the system.
pub fn read_full<F: FsFile>(file: &F, mut buf: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while !buf.is_empty() {
        match file.read_at(buf, offset) {
            Ok(0) => break,
            Ok(n) => {
                read += n;
                offset += n as u64;
                buf = &mut buf[n..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Writes everything. On an error `written` says how many bytes are known to be in the file.
///
/// # Errors
/// Of the system; [`io::ErrorKind::WriteZero`] if it takes no more bytes without saying why.
pub fn write_full<F: FsFile>(
    file: &mut F,
    mut bufs: &mut [IoSlice<'_>],
    offset: u64,
    written: &mut u64,
) -> io::Result<()> {
    *written = 0;
    IoSlice::advance_slices(&mut bufs, 0);
    while !bufs.is_empty() {
        match file.write_at(bufs, offset + *written) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                *written += n as u64;
                IoSlice::advance_slices(&mut bufs, n);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads a small file whole, at most `limit` bytes of it.
///
/// # Errors
/// Of the system.
pub fn read_small<F: Fs>(fs: &F, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = fs.open(path, false)?;
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(limit);
    let mut out = vec![0; len];
    let read = read_full(&file, &mut out, 0)?;
    out.truncate(read);
    Ok(out)
}

/// Replaces a small file in one step: what is found after a crash at any point is the old one or the new one, whole.
///
/// # Errors
/// Of the system; the old file is then still there.
pub fn replace_small<F: Fs>(fs: &F, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    match fs.unlink(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs.create_new(&temporary)?;
    write_full(&mut file, &mut [IoSlice::new(bytes)], 0, &mut 0)?;
    file.sync_data()?;
    drop(file);
    fs.rename(&temporary, &dir.join(name))?;
    fs.sync_dir(dir)
}
