//! Where the disk buffers of all destinations are: one directory per DSN, and beside it a file that says which.
//!
//! ```text
//! DIR/relay.lock                         held while a relay runs
//! DIR/{host}-{project}-{hash}/           the disk buffer of one DSN; `envoi spool ls` looks into it
//! DIR/{host}-{project}-{hash}.dsn        its DSN, so that the next run knows where to send what is left
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use envoi::Dsn;
use sha2::{Digest, Sha256};

use crate::error::CliError;
use crate::text;

const LOCK: &str = "relay.lock";
/// What a directory is called that is being taken away.
const GONE: &str = "gone";
/// A DSN is not longer.
const MOST_BYTES: u64 = 8 * 1024;

/// The directory, which is ours as long as this lives (OC-10).
#[derive(Debug)]
pub(super) struct Home {
    dir: PathBuf,
    _lock: File,
}

/// What is in the directory.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// DSNs and their names.
    pub(super) dsns: Vec<(String, Dsn)>,
    /// Files that do not name a DSN.
    pub(super) unreadable: Vec<PathBuf>,
}

/// A name for the directory of a DSN: readable, and different for each.
pub(super) fn name_of(dsn: &Dsn) -> String {
    let digest = Sha256::digest(dsn.to_string_with_secret().as_bytes());
    let hash = text::hex(digest.get(..8).unwrap_or_default());
    let plain = |part: &str, most: usize| -> String {
        part.chars()
            .take(most)
            .map(|letter| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '_' })
            .collect()
    };
    // Begins with a letter: no hidden file, no option.
    format!("to-{}-{}-{hash}", plain(dsn.host(), 64), plain(dsn.project_id(), 32))
}

impl Home {
    /// Makes the directory if it is not there, and takes it.
    ///
    /// # Errors
    /// If it cannot be used, or another relay has it.
    pub(super) fn open(dir: &Path) -> Result<Self, CliError> {
        let wrong = |error: io::Error| {
            CliError::failed(format_args!("cannot use the spool directory {}: {error}", dir.display()))
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(wrong)?;
        let lock = private().create(true).truncate(false).open(dir.join(LOCK)).map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {
                let home = Self { dir: dir.to_owned(), _lock: lock };
                home.tidy();
                Ok(home)
            }
            Err(fs::TryLockError::WouldBlock) => Err(CliError::failed(format_args!(
                "the spool directory {} is in use by another relay; give each its own",
                dir.display()
            ))),
            Err(fs::TryLockError::Error(error)) => Err(wrong(error)),
        }
    }

    /// The directory of a DSN, with the file beside it in place before anything is stored.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn prepare(&self, name: &str, dsn: &Dsn) -> io::Result<PathBuf> {
        let path = self.note(name);
        if read(&path).ok().as_ref() != Some(dsn) {
            // Whole or not at all: a new file in its place.
            let draft = self.dir.join(format!("{name}.tmp"));
            let _ = fs::remove_file(&draft);
            let mut file = private().create_new(true).open(&draft)?;
            file.write_all(dsn.to_string_with_secret().as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.dir)?.sync_all()?;
        }
        Ok(self.dir.join(name))
    }

    fn note(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.dsn"))
    }

    /// Takes away a directory in which nothing is left.
    pub(super) fn forget(&self, name: &str) {
        let gone = self.dir.join(format!("{name}.{GONE}"));
        // Out of the way first: its thread may still be writing its last into it. What stays because of an error is found
        // empty by the next run.
        if fs::rename(self.dir.join(name), &gone).is_ok() {
            let _ = fs::remove_dir_all(&gone);
        }
        let _ = fs::remove_file(self.note(name));
    }

    /// Takes away what a run that was killed had no time for.
    fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|extension| extension == GONE) {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    /// The DSNs for which there is a directory, and the files that cannot be read.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub(super) fn known(&self) -> io::Result<Known> {
        let Known { mut dsns, mut unreadable } = Known::default();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "dsn") {
                continue;
            }
            match read(&path) {
                // Only under the name that is its own: nobody else's goods are sent there.
                Ok(dsn) if path.file_stem().is_some_and(|stem| stem.to_str() == Some(&name_of(&dsn))) => {
                    dsns.push((name_of(&dsn), dsn));
                }
                _ => unreadable.push(path),
            }
        }
        dsns.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Known { dsns, unreadable })
    }
}

/// Readable by the owner only (OC-10).
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn read(path: &Path) -> io::Result<Dsn> {
    let mut text = String::new();
    File::open(path)?.take(MOST_BYTES).read_to_string(&mut text)?;
    Dsn::parse(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dsn(text: &str) -> Dsn {
        Dsn::parse(text).unwrap()
    }

    #[test]
    fn a_directory_remembers_its_dsn_and_has_one_owner() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("deep/er");
        let home = Home::open(&root).unwrap();
        assert!(Home::open(&root).unwrap_err().to_string().contains("another relay"));
        let (one, two) = (dsn("http://k:secret@h/1"), dsn("http://k@h/2"));
        let dir = home.prepare(&name_of(&one), &one).unwrap();
        fs::create_dir(&dir).unwrap();
        home.prepare(&name_of(&two), &two).unwrap();
        home.prepare(&name_of(&two), &two).unwrap();
        fs::write(root.join("broken.dsn"), "nonsense").unwrap();
        fs::copy(root.join(format!("{}.dsn", name_of(&one))), root.join("stolen.dsn")).unwrap();
        let Known { dsns: known, unreadable } = home.known().unwrap();
        let mut expected = vec![(name_of(&one), one.clone()), (name_of(&two), two)];
        expected.sort_by(|(one, _), (other, _)| one.cmp(other));
        assert_eq!(known, expected);
        assert_eq!(unreadable.len(), 2);
        home.forget(&name_of(&one));
        assert_eq!(home.known().unwrap().dsns.len(), 1);
        assert!(!dir.exists());
        drop(home);
        let half = root.join("to-h-1-0.gone");
        fs::create_dir_all(half.join("slot-00")).unwrap();
        Home::open(&root).unwrap();
        assert!(!half.exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_may_hold_a_secret_is_for_the_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("spool");
        let home = Home::open(&root).unwrap();
        let dsn = dsn("http://k:secret@h/1");
        home.prepare(&name_of(&dsn), &dsn).unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(root.clone()), 0o700);
        assert_eq!(mode(root.join(format!("{}.dsn", name_of(&dsn)))), 0o600);
    }

    #[test]
    fn names_are_plain_and_differ() {
        let name = name_of(&dsn("http://k@[::1]:9/..%2f$(x)"));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{name}");
        assert_ne!(name_of(&dsn("http://k@h/1")), name_of(&dsn("http://l@h/1")));
        assert_ne!(name_of(&dsn("http://k@h/1")), name_of(&dsn("http://k:s@h/1")));
    }
}
