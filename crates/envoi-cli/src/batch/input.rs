//! Lines from files and standard input, read ahead by a thread, with bounds.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::CliError;

/// So much is handed over at once, and read from the system at once.
const CHUNK: usize = 64 * 1024;
/// So many chunks wait.
const AHEAD: usize = 4;

/// One line, or what was wrong with it.
#[derive(Debug)]
pub(super) struct Line {
    /// The file, `-` for standard input.
    pub(super) file: Arc<str>,
    /// From 1.
    pub(super) number: u64,
    /// The bytes that it takes in the file, its end included.
    pub(super) size: u64,
    pub(super) content: Content,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(Bytes),
    /// Longer than allowed; it was passed over.
    TooLong,
    /// The file cannot be read from here on.
    Unreadable(String),
}

/// Where lines come from, checked before anything is sent.
#[derive(Debug)]
pub(super) struct Input {
    sources: Vec<PathBuf>,
    /// The bytes of all files, if all are files.
    pub(super) size: Option<u64>,
}

impl Input {
    /// # Errors
    /// If a path does not exist, is a directory, or standard input is named twice.
    pub(super) fn check(paths: &[PathBuf]) -> Result<Self, CliError> {
        let mut size = Some(0);
        let mut stdin = false;
        for path in paths {
            if path.as_os_str() == "-" {
                if std::mem::replace(&mut stdin, true) {
                    return Err(CliError::usage("standard input (`-`) is named twice"));
                }
                size = None;
                continue;
            }
            let file = fs::metadata(path).map_err(|error| {
                CliError::usage(format_args!("cannot read {}: {error}; nothing was sent", path.display()))
            })?;
            if file.is_dir() {
                return Err(CliError::usage(format_args!(
                    "{} is a directory; with --batch name the files of JSON lines",
                    path.display()
                )));
            }
            // A pipe with a name has no size.
            size = if file.is_file() { size.map(|size| size + file.len()) } else { None };
        }
        Ok(Self { sources: paths.to_vec(), size })
    }

    /// Begins to read, line by line, none longer than `most` bytes. Ends when the receiver is dropped.
    pub(super) fn read(self, most: usize) -> Result<mpsc::Receiver<Vec<Line>>, CliError> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let reader = move || {
            for path in self.sources {
                if read_source(&path, most, &sender).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(reader)
            .map_err(|error| CliError::failed(format_args!("cannot start a thread: {error}")))?;
        Ok(receiver)
    }
}

/// Nobody wants more.
struct Unwanted;

fn read_source(path: &Path, most: usize, sender: &mpsc::Sender<Vec<Line>>) -> Result<(), Unwanted> {
    let file: Arc<str> = path.display().to_string().into();
    if path.as_os_str() == "-" {
        return read_lines(io::stdin().lock(), &file, most, sender);
    }
    match File::open(path) {
        Ok(reader) => read_lines(reader, &file, most, sender),
        Err(error) => {
            let content = Content::Unreadable(error.to_string());
            send(vec![Line { file, number: 1, size: 0, content }], sender)
        }
    }
}

fn send(chunk: Vec<Line>, sender: &mpsc::Sender<Vec<Line>>) -> Result<(), Unwanted> {
    sender.blocking_send(chunk).map_err(|_| Unwanted)
}

fn read_lines(
    reader: impl Read,
    file: &Arc<str>,
    most: usize,
    sender: &mpsc::Sender<Vec<Line>>,
) -> Result<(), Unwanted> {
    let mut reader = BufReader::with_capacity(CHUNK, reader);
    let (mut chunk, mut bytes, mut number) = (Vec::new(), 0, 0);
    loop {
        number += 1;
        let (content, size) = match next_line(&mut reader, most) {
            Ok(Some(read)) => read,
            Ok(None) => return send(chunk, sender),
            Err(error) => (Content::Unreadable(error.to_string()), 0),
        };
        let is_last = matches!(content, Content::Unreadable(_));
        bytes += size;
        chunk.push(Line { file: Arc::clone(file), number, size, content });
        // The next read may wait for somebody to write: what is here is not kept waiting for that.
        let would_wait = !reader.buffer().contains(&b'\n');
        if is_last || would_wait || bytes >= CHUNK as u64 {
            send(std::mem::take(&mut chunk), sender)?;
            bytes = 0;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// The next line without its end, and how many bytes were read; `None` at the end.
fn next_line(reader: &mut impl BufRead, most: usize) -> io::Result<Option<(Content, u64)>> {
    let (mut text, mut size, mut is_too_long) = (Vec::new(), 0, false);
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() && size == 0 {
            return Ok(None);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = end.map_or(buffer, |end| &buffer[..end]);
        is_too_long |= part.len() > most.saturating_sub(text.len());
        if !is_too_long {
            text.extend_from_slice(part);
        }
        let used = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(used);
        size += used as u64;
        if end.is_some() || used == 0 {
            let content = if is_too_long { Content::TooLong } else { Content::Text(text.into()) };
            return Ok(Some((content, size)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, most: usize) -> Vec<(u64, Content)> {
        let (sender, mut receiver) = mpsc::channel(1000);
        assert!(read_lines(text.as_bytes(), &"a".into(), most, &sender).is_ok());
        drop(sender);
        let mut lines = Vec::new();
        while let Ok(chunk) = receiver.try_recv() {
            lines.extend(chunk);
        }
        assert_eq!(lines.iter().map(|line| line.size).sum::<u64>(), text.len() as u64);
        lines.into_iter().map(|line| (line.number, line.content)).collect()
    }

    fn text(content: &'static str) -> Content {
        Content::Text(Bytes::from_static(content.as_bytes()))
    }

    #[test]
    fn lines_are_numbered_and_the_last_needs_no_end() {
        assert_eq!(lines("a\n\nbc", 10), [(1, text("a")), (2, text("")), (3, text("bc"))]);
        assert_eq!(lines("a\n", 10), [(1, text("a"))]);
        assert_eq!(lines("", 10), []);
    }

    #[test]
    fn long_lines_are_passed_over_and_not_kept() {
        assert_eq!(
            lines("abcd\nabc\nabcdefgh", 3),
            [(1, Content::TooLong), (2, text("abc")), (3, Content::TooLong)]
        );
        let long = "x".repeat(3 * CHUNK);
        assert_eq!(lines(&format!("{long}\nb\n"), CHUNK), [(1, Content::TooLong), (2, text("b"))]);
    }

    #[test]
    fn what_cannot_be_read_as_lines_is_a_usage_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        fs::write(&file, "{}\n").unwrap();
        let check = |paths: &[&Path]| Input::check(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(check(&[&file, &file]).unwrap().size, Some(6));
        assert_eq!(check(&[&file, Path::new("-")]).unwrap().size, None);
        assert!(check(&[folder.path()]).unwrap_err().to_string().contains("directory"));
        assert!(check(&[Path::new("-"), Path::new("-")]).unwrap_err().to_string().contains("twice"));
        assert!(check(&[Path::new("no/such/file")]).unwrap_err().to_string().contains("no/such/file"));
    }
}
