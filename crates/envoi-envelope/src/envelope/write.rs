//! Envelopes as bytes: nothing is copied but headers that were made here (EN-8).

use bytes::{BufMut, Bytes, BytesMut};
use envoi_core::Segments;

use super::header::HeaderError;
use super::item::Item;
use super::model::Envelope;

impl Envelope {
    /// The envelope as a request body. Copies no payload byte: what was read is reused, in as few pieces as it
    /// has, and an envelope that was not changed is the one piece that it was read from.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use envoi_envelope::Envelope;
    /// let input = Bytes::from("{}\n{\"type\":\"event\"}\n{}");
    /// let body = Envelope::parse(input.clone())?.to_segments();
    /// assert_eq!(body.chunks().next().unwrap().as_ptr(), input.as_ptr());
    /// assert_eq!(body.to_bytes(), input);
    /// # Ok::<(), envoi_envelope::ParseError>(())
    /// ```
    #[must_use]
    pub fn to_segments(&self) -> Segments {
        self.write(self.items.iter())
    }

    /// The envelope in one piece. Copies only what was changed or built.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.to_segments().to_bytes()
    }

    /// The envelope without the client reports that were attached at send time (decision 14).
    pub(crate) fn to_bytes_without_riders(&self) -> Bytes {
        self.write(self.items.iter().filter(|item| !item.is_rider())).to_bytes()
    }

    /// The envelope with attributes set in its header, given as name and JSON value that were made here. Only the
    /// header is copied.
    pub(crate) fn to_segments_with(&self, attributes: &[(&str, String)]) -> Result<Segments, HeaderError> {
        let header = self.header.raw_with(attributes)?;
        let mut writer = Writer::new(&self.source);
        // The newlines after it, too, so that it is not moved for them.
        writer.glue.reserve(header.len() + 2);
        writer.line(&header, None);
        writer.items(self.items.iter());
        Ok(writer.finish())
    }

    fn write<'a>(&self, items: impl Iterator<Item = &'a Item>) -> Segments {
        let mut writer = Writer::new(&self.source);
        writer.line(self.header.raw(), self.header_at);
        writer.items(items);
        writer.finish()
    }

    /// The size when written, up to a final newline.
    pub(crate) fn written_bytes(&self) -> usize {
        let items = self.items.iter().map(|item| item.header_raw().len() + item.payload().len() + 2);
        self.header_raw().len() + 1 + items.sum::<usize>()
    }
}

/// Joins lines (headers and payloads). Lines that stand next to each other in the source become one piece with
/// the newlines between them; the rest is made of pieces and of glue, which is the only thing that is copied.
struct Writer<'a> {
    source: &'a Bytes,
    pieces: Vec<Bytes>,
    glue: BytesMut,
    /// The part of the source that is to be written next.
    run: Option<std::ops::Range<usize>>,
    is_first: bool,
    /// Whether the last line is the empty payload of a header that the input ended with: there is no newline
    /// between them yet.
    is_cut: bool,
}

impl<'a> Writer<'a> {
    fn new(source: &'a Bytes) -> Self {
        Self { source, pieces: Vec::new(), glue: BytesMut::new(), run: None, is_first: true, is_cut: false }
    }

    fn items<'i>(&mut self, items: impl Iterator<Item = &'i Item>) {
        for item in items {
            self.line(item.header_raw(), item.header_offset());
            self.payload(item.payload(), item.payload_offset());
        }
    }

    fn line(&mut self, bytes: &Bytes, at: Option<usize>) {
        self.separate(at);
        match (&mut self.run, at) {
            (Some(run), _) => run.end += bytes.len(),
            (run, Some(at)) => *run = Some(at..at + bytes.len()),
            (None, None) => self.glue.put_slice(bytes),
        }
    }

    fn payload(&mut self, bytes: &Bytes, at: Option<usize>) {
        if let Some(run) = &self.run
            && at == Some(run.end)
            && run.end == self.source.len()
        {
            self.is_cut = true;
            return;
        }
        self.separate(at);
        match (&mut self.run, at) {
            (Some(run), _) => run.end += bytes.len(),
            (run, Some(at)) => *run = Some(at..at + bytes.len()),
            (None, None) if bytes.is_empty() => {}
            (None, None) => {
                self.flush_glue();
                self.pieces.push(bytes.clone());
            }
        }
    }

    /// Ends the line before. Afterwards there is a run only if the line at `at` continues it.
    fn separate(&mut self, at: Option<usize>) {
        if std::mem::take(&mut self.is_first) {
            return;
        }
        if let Some(run) = &mut self.run
            && at == Some(run.end + 1)
            && self.source.get(run.end) == Some(&b'\n')
        {
            run.end += 1;
            return;
        }
        self.flush_run();
        if std::mem::take(&mut self.is_cut) {
            self.glue.put_u8(b'\n');
        }
        self.glue.put_u8(b'\n');
    }

    fn flush_glue(&mut self) {
        if !self.glue.is_empty() {
            self.pieces.push(self.glue.split().freeze());
        }
    }

    fn flush_run(&mut self) {
        if let Some(run) = self.run.take() {
            self.flush_glue();
            self.pieces.push(self.source.slice(run));
        }
    }

    /// Ends the last line: with a newline, unless it ends the input as it came.
    fn finish(mut self) -> Segments {
        let source = self.source;
        match &mut self.run {
            Some(run) if run.end == source.len() => {}
            Some(run) if source[run.end] == b'\n' => run.end += 1,
            _ => {
                self.flush_run();
                self.glue.put_u8(b'\n');
            }
        }
        // What was not changed is one piece, and needs no list (EN-8).
        if self.pieces.is_empty()
            && self.glue.is_empty()
            && let Some(run) = self.run.take()
        {
            return source.slice(run).into();
        }
        self.flush_run();
        self.flush_glue();
        self.pieces.into()
    }
}
