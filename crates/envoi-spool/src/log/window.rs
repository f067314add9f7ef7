use std::io;

use crate::fs::{FsFile, read_full};

/// One large read while searching.
pub(crate) const WIDE: usize = 64 * 1024;
/// One read while going from header to header: what most headers need, with their meta.
const NARROW: usize = 256;
/// From here on it takes less to read the header alone than all that is in between.
const FAR: u64 = 4096;

/// A file seen through a buffer of bounded size.
#[derive(Debug)]
pub(crate) struct Window<'a, F> {
    file: &'a F,
    len: u64,
    start: u64,
    buf: Vec<u8>,
    /// Bytes to fetch at once: many while frames are small or there is something to search for.
    chunk: usize,
}

impl<'a, F: FsFile> Window<'a, F> {
    pub(crate) fn new(file: &'a F, len: u64) -> Self {
        Self { file, len, start: 0, buf: Vec::new(), chunk: WIDE }
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Says how far the reader is going to jump.
    pub(crate) fn stride(&mut self, bytes: u64) {
        self.chunk = if bytes > FAR { NARROW } else { WIDE };
    }

    /// `want` bytes at `at`, fewer at the end of the file.
    pub(crate) fn get(&mut self, at: u64, want: usize) -> io::Result<&[u8]> {
        let want = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX).min(want);
        let have = at >= self.start && at + want as u64 <= self.start + self.buf.len() as u64;
        if !have {
            let fetch =
                usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX).min(want.max(self.chunk));
            self.buf.resize(fetch, 0);
            self.start = at;
            let read = read_full(self.file, &mut self.buf, at);
            self.buf.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX).min(self.buf.len());
        let to = from.saturating_add(want).min(self.buf.len());
        Ok(&self.buf[from..to])
    }

    /// The rest of the buffer, at least `want` bytes of it where the file has them.
    pub(crate) fn run(&mut self, at: u64, want: usize) -> io::Result<&[u8]> {
        self.chunk = WIDE;
        self.get(at, want)?;
        let from = usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.buf.len());
        Ok(&self.buf[from..])
    }
}
