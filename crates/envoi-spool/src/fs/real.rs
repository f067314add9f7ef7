use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::path::Path;

use super::{DirEntry, EntryKind, Fs, FsFile};

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

/// An open file of [`RealFs`].
#[derive(Debug)]
pub struct RealFile(File);

fn link_refused(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{} is a symbolic link or no plain file or directory, remove it", path.display()),
    )
}

fn options(write: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(write);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // The system itself refuses a link in the last place, so nobody can slip one in between look and open; and a
        // named pipe in the place of a file does not block the open.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    options
}

impl Fs for RealFs {
    type File = RealFile;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> =
            path.ancestors().take_while(|above| above.symlink_metadata().is_err()).collect();
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        for made in missing {
            let above = made.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
            match self.sync_dir(above) {
                // A directory that we may write to but not read cannot be synced by us.
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
                _ => {}
            }
        }
        if std::fs::symlink_metadata(path)?.is_dir() { Ok(()) } else { Err(link_refused(path)) }
    }

    fn create_new(&self, path: &Path) -> io::Result<RealFile> {
        options(true).create_new(true).open(path).map(RealFile)
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<RealFile> {
        if !std::fs::symlink_metadata(path)?.is_file() {
            return Err(link_refused(path));
        }
        let file = options(write).open(path)?;
        if file.metadata()?.is_file() { Ok(RealFile(file)) } else { Err(link_refused(path)) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        if !std::fs::symlink_metadata(dir)?.is_dir() {
            return Err(link_refused(dir));
        }
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Does not follow links. What is gone again in the meantime (a segment, deleted by its owner) is no entry.
            let about = match entry.metadata() {
                Ok(about) => about,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let kind = match about.file_type() {
                kind if kind.is_file() => EntryKind::File,
                kind if kind.is_dir() => EntryKind::Dir,
                _ => EntryKind::Other,
            };
            let len = if kind == EntryKind::File { about.len() } else { 0 };
            entries.push(DirEntry { name, kind, len });
        }
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    #[cfg(not(unix))]
    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    #[cfg(unix)]
    fn free_space(&self, dir: &Path) -> io::Result<Option<u64>> {
        let about = rustix::fs::statvfs(dir)?;
        Ok(Some(about.f_bavail.saturating_mul(about.f_frsize)))
    }

    #[cfg(not(unix))]
    fn free_space(&self, _dir: &Path) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

impl FsFile for RealFile {
    #[cfg(unix)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, buf, offset)
    }

    // Moves the cursor, which is why writing always seeks.
    #[cfg(windows)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.0, buf, offset)
    }

    fn write_at(&mut self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.0.seek(SeekFrom::Start(offset))?;
        self.0.write_vectored(bufs)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
