//! Which envelopes to read, and how: files, directories and standard input, with bounds.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::CliError;
use crate::text;

/// The most that an envelope may have (EN-7).
pub(crate) const MAX_BYTES: u64 = 200 << 20;

/// What files in directories must end in to be taken.
pub(crate) const SUFFIX: &str = "envelope";

/// Where an envelope comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// One envelope from standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// A directory that could not be listed, and why.
    Unlisted(PathBuf, String),
}

impl Source {
    /// How it is called in results.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "-".to_owned(),
            Self::File(path) | Self::Unlisted(path, _) => path.display().to_string(),
        }
    }

    /// Reads all of it, but never more than `most` bytes. Blocks.
    pub(crate) fn read(&self, most: u64) -> Result<Bytes, String> {
        match self {
            Self::Stdin => bounded(io::stdin().lock(), 0, most),
            Self::File(path) => {
                let file = File::open(path).map_err(|error| error.to_string())?;
                let size = file.metadata().map_err(|error| error.to_string())?.len();
                if size > most { Err(too_large(size, most)) } else { bounded(file, size, most) }
            }
            Self::Unlisted(_, cause) => Err(cause.clone()),
        }
    }
}

fn bounded(reader: impl Read, expected: u64, most: u64) -> Result<Bytes, String> {
    let mut content = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    reader.take(most + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    if content.len() as u64 > most { Err(too_large(content.len() as u64, most)) } else { Ok(content.into()) }
}

fn too_large(size: u64, most: u64) -> String {
    format!(
        "more than the {} bytes that an envelope may have (at least {})",
        text::grouped(most),
        text::grouped(size)
    )
}

/// What was found on the command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// In the order of the command line; within a directory sorted by path.
    pub(crate) sources: Vec<Source>,
    /// How many files in directories were passed over because of their name.
    pub(crate) passed_over: u64,
}

/// Finds the envelopes that `paths` name.
///
/// A path that is named is taken as it is, whatever its suffix, and through a symbolic link. A directory is searched
/// recursively for files that end in `.envelope`; symbolic links in it are passed over, so that the search neither
/// leaves the directory nor runs in circles.
///
/// # Errors
/// If a path does not exist, or standard input is named twice.
pub(crate) fn discover(paths: &[PathBuf]) -> Result<Found, CliError> {
    let mut found = Found::default();
    for path in paths {
        if path.as_os_str() == "-" {
            if found.sources.contains(&Source::Stdin) {
                return Err(CliError::usage("standard input (`-`) is named twice; it holds one envelope"));
            }
            found.sources.push(Source::Stdin);
            continue;
        }
        let kind = fs::metadata(path).map_err(|error| {
            CliError::usage(format_args!("cannot read {}: {error}; nothing was sent", path.display()))
        })?;
        if kind.is_dir() {
            let start = found.sources.len();
            search(path, &mut found);
            if let Some(new) = found.sources.get_mut(start..) {
                new.sort_by_cached_key(Source::name);
            }
        } else {
            found.sources.push(Source::File(path.clone()));
        }
    }
    Ok(found)
}

fn search(root: &Path, found: &mut Found) {
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        if let Err(error) = list(&directory, &mut pending, found) {
            found.sources.push(Source::Unlisted(directory, error.to_string()));
        }
    }
}

fn list(directory: &Path, pending: &mut Vec<PathBuf>, found: &mut Found) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            pending.push(path);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == SUFFIX) {
            found.sources.push(Source::File(path));
        } else {
            found.passed_over += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_searched_in_order_and_links_in_them_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("b/c")).unwrap();
        for name in ["z.envelope", "b/c/y.envelope", "a.envelope", "notes.txt"] {
            fs::write(path(name), "{}\n").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.path(), path("b/loop")).unwrap();

        let found = discover(&[root.path().to_owned(), path("notes.txt")]).unwrap();
        let expected = ["a.envelope", "b/c/y.envelope", "z.envelope", "notes.txt"];
        assert_eq!(found.sources, expected.map(|name| Source::File(path(name))));
        assert_eq!(found.passed_over, if cfg!(unix) { 2 } else { 1 });
    }

    #[test]
    fn a_missing_path_and_a_second_stdin_are_usage_errors() {
        assert!(discover(&["no/such/file".into()]).unwrap_err().to_string().contains("no/such/file"));
        assert!(discover(&["-".into(), "-".into()]).unwrap_err().to_string().contains("twice"));
    }

    /// EN-7: a file that is too large is refused before it is read.
    #[test]
    fn reading_is_bounded() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("large");
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        let error = Source::File(path).read(MAX_BYTES).unwrap_err();
        assert!(error.contains("209,715,200"), "{error}");
        assert!(bounded(io::repeat(b'x'), 0, 100).is_err());
        assert_eq!(bounded(io::repeat(b'x').take(100), 0, 100).unwrap().len(), 100);
    }
}
