//! The grammar of envelopes (EN-1 to EN-3, decisions 23 and 24).

use std::fmt;

use bytes::Bytes;

use super::error::{ParseError, ParseErrorKind as Kind, Stage};
use super::header::Header;
use super::item::{Item, Place};
use super::item_header::ItemHeader;
use super::{Envelope, MAX_HEADER_BYTES, MAX_ITEMS};

/// A deviation from the grammar that [`Envelope::parse_lenient`] lets pass (decision 24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Leniency {
    /// A carriage return before a newline.
    CarriageReturn,
    /// A blank line where an item should begin, or at the end.
    BlankLine,
    /// White space around a header or after a payload of explicit length.
    Padding,
}

impl Leniency {
    /// All deviations, in declaration order.
    pub const ALL: [Self; 3] = [Self::CarriageReturn, Self::BlankLine, Self::Padding];

    /// A stable name for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CarriageReturn => "carriage_return",
            Self::BlankLine => "blank_line",
            Self::Padding => "padding",
        }
    }
}

/// Which deviations from the grammar were let pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leniences(u8);

impl Leniences {
    /// Whether there were none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether there was one of this kind.
    #[must_use]
    pub const fn contains(self, leniency: Leniency) -> bool {
        self.0 & (1 << leniency as u8) != 0
    }

    /// Those that there were.
    pub fn iter(self) -> impl Iterator<Item = Leniency> {
        Leniency::ALL.into_iter().filter(move |leniency| self.contains(*leniency))
    }

    const fn note(&mut self, leniency: Leniency) {
        self.0 |= 1 << leniency as u8;
    }
}

impl fmt::Display for Leniences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, leniency) in self.iter().enumerate() {
            write!(f, "{}{}", if position == 0 { "" } else { ", " }, leniency.as_str())?;
        }
        Ok(())
    }
}

/// What [`Envelope::parse_lenient`] read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parsed {
    /// The envelope. It is written by the strict grammar; no payload byte is changed.
    pub envelope: Envelope,
    /// What was let pass.
    pub leniences: Leniences,
}

impl Envelope {
    /// Reads an envelope by the strict grammar. Copies nothing: headers and payloads are slices of `input`.
    ///
    /// ```
    /// use envoi_envelope::{Envelope, ItemType};
    /// let envelope = Envelope::parse("{}\n{\"type\":\"check_in\",\"length\":2}\n{}\n")?;
    /// assert_eq!(envelope.items()[0].item_type(), &ItemType::CheckIn);
    /// # Ok::<(), envoi_envelope::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong and where, see [`ParseError`]. Size limits are not checked here, see
    /// [`SizeLimits`](crate::SizeLimits).
    pub fn parse(input: impl Into<Bytes>) -> Result<Self, ParseError> {
        Reader::new(input.into(), false).read().map(|parsed| parsed.envelope)
    }

    /// Reads an envelope and lets carriage returns, blank lines between items and padding pass, as a relay does for
    /// files that went through an editor (decision 24).
    ///
    /// A carriage return at the end of a payload without `length` belongs to the payload, as in the strict grammar.
    ///
    /// ```
    /// use envoi_envelope::{Envelope, Leniency};
    /// let parsed = Envelope::parse_lenient("{}\r\n{\"type\":\"event\",\"length\":2}\r\n{}\r\n")?;
    /// assert!(parsed.leniences.contains(Leniency::CarriageReturn));
    /// assert_eq!(parsed.envelope.to_bytes(), "{}\n{\"type\":\"event\",\"length\":2}\n{}\n");
    /// # Ok::<(), envoi_envelope::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Envelope::parse`], for everything else.
    pub fn parse_lenient(input: impl Into<Bytes>) -> Result<Parsed, ParseError> {
        Reader::new(input.into(), true).read()
    }
}

/// One line of the input, without its newline.
struct Line {
    start: usize,
    end: usize,
    terminated: bool,
}

impl Line {
    const fn next(&self) -> usize {
        if self.terminated { self.end + 1 } else { self.end }
    }
}

struct Reader {
    input: Bytes,
    at: usize,
    is_lenient: bool,
    leniences: Leniences,
}

impl Reader {
    fn new(input: Bytes, is_lenient: bool) -> Self {
        Self { input, at: 0, is_lenient, leniences: Leniences::default() }
    }

    fn read(mut self) -> Result<Parsed, ParseError> {
        let header = self.envelope_header()?;
        let mut items = Vec::new();
        while self.at < self.input.len() {
            if let Some(item) = self.item(items.len())? {
                items.push(item);
            }
        }
        Ok(Parsed { envelope: Envelope::from_source(header, items, self.input), leniences: self.leniences })
    }

    fn envelope_header(&mut self) -> Result<(Header, usize), ParseError> {
        let stage = Stage::EnvelopeHeader;
        if self.input.starts_with(b"\xef\xbb\xbf") {
            return Err(ParseError::new(Kind::ByteOrderMark, stage, None, 0));
        }
        let line = self.line(stage, None)?;
        let bounds = self.trim(&line, stage, None)?;
        if bounds.0 == bounds.1 {
            return Err(ParseError::new(Kind::MissingHeader, stage, None, 0));
        }
        let text = self.text(bounds, stage, None)?;
        let raw = self.input.slice(bounds.0..bounds.1);
        let header = Header::parse(raw, text).map_err(|fault| fault.at(stage, None, bounds.0))?;
        self.at = line.next();
        Ok((header, bounds.0))
    }

    /// The item that begins here; `None` for a blank line that is let pass.
    fn item(&mut self, index: usize) -> Result<Option<Item>, ParseError> {
        let item = Some(index);
        let stage = Stage::ItemHeader;
        let line = self.line(stage, item)?;
        let bytes = &self.input[line.start..line.end];
        if bytes.iter().all(|byte| is_padding(*byte)) {
            if !self.is_lenient {
                return Err(ParseError::new(Kind::BlankLine, Stage::BetweenItems, item, line.start));
            }
            self.leniences.note(Leniency::BlankLine);
            self.at = line.next();
            return Ok(None);
        }
        if index >= MAX_ITEMS {
            return Err(ParseError::new(Kind::TooManyItems, Stage::BetweenItems, item, line.start));
        }
        let bounds = self.trim(&line, stage, item)?;
        let text = self.text(bounds, stage, item)?;
        let raw = self.input.slice(bounds.0..bounds.1);
        let header = ItemHeader::parse(raw, text).map_err(|fault| fault.at(stage, item, bounds.0))?;

        let start = line.next();
        let end = match header.length() {
            None => {
                let rest = &self.input[start..];
                let end = start + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                self.at = (end + 1).min(self.input.len());
                end
            }
            Some(length) => {
                let end = usize::try_from(length)
                    .ok()
                    .and_then(|length| start.checked_add(length))
                    .filter(|end| *end <= self.input.len())
                    .ok_or_else(|| {
                        let left = self.input.len() - start;
                        ParseError::new(Kind::TruncatedPayload, Stage::Payload, item, start)
                            .with_detail(format!("\"length\" says {length} bytes, {left} are left"))
                    })?;
                self.at = self.after_payload(end, index)?;
                end
            }
        };
        let place = Place { header: bounds.0, payload: start };
        Ok(Some(Item::parsed(header, self.input.slice(start..end), place)))
    }

    /// Where the next item begins after a payload of explicit length that ends at `end`.
    fn after_payload(&mut self, end: usize, index: usize) -> Result<usize, ParseError> {
        let rest = &self.input[end..];
        let padding =
            if self.is_lenient { rest.iter().take_while(|byte| is_padding(**byte)).count() } else { 0 };
        match rest.get(padding) {
            Some(b'\n') => {
                self.note_padding(end, end + padding);
                Ok(end + padding + 1)
            }
            None => {
                self.note_padding(end, end + padding);
                Ok(end + padding)
            }
            Some(_) => Err(ParseError::new(Kind::JunkAfterPayload, Stage::BetweenItems, Some(index), end)),
        }
    }

    /// The line that begins here. At most as much is looked at as a header may have.
    fn line(&self, stage: Stage, item: Option<usize>) -> Result<Line, ParseError> {
        let start = self.at;
        let rest = &self.input[start..];
        let window = &rest[..rest.len().min(MAX_HEADER_BYTES + 1)];
        match memchr::memchr(b'\n', window) {
            Some(length) => Ok(Line { start, end: start + length, terminated: true }),
            None if rest.len() <= MAX_HEADER_BYTES => {
                Ok(Line { start, end: self.input.len(), terminated: false })
            }
            None => Err(ParseError::new(Kind::HeaderTooLarge, stage, item, start)),
        }
    }

    /// The bounds of the header in `line`: all of it, or without the white space around it in lenient mode.
    fn trim(&mut self, line: &Line, stage: Stage, item: Option<usize>) -> Result<(usize, usize), ParseError> {
        let bytes = &self.input[line.start..line.end];
        let before = bytes.iter().take_while(|byte| is_padding(**byte)).count();
        if before == bytes.len() {
            return Ok((line.start, line.start));
        }
        let after = bytes.iter().rev().take_while(|byte| is_padding(**byte)).count();
        let (start, end) = (line.start + before, line.end - after);
        if before + after > 0 && !self.is_lenient {
            let (kind, offset) = match (before, bytes.last()) {
                (0, Some(b'\r')) if after == 1 => (Kind::CarriageReturn, end),
                (0, _) => (Kind::Padding, end),
                _ => (Kind::Padding, line.start),
            };
            return Err(ParseError::new(kind, stage, item, offset));
        }
        self.note_padding(line.start, start);
        self.note_padding(end, line.end);
        Ok((start, end))
    }

    fn note_padding(&mut self, start: usize, end: usize) {
        for byte in &self.input[start..end] {
            self.leniences.note(if *byte == b'\r' { Leniency::CarriageReturn } else { Leniency::Padding });
        }
    }

    fn text(&self, bounds: (usize, usize), stage: Stage, item: Option<usize>) -> Result<&str, ParseError> {
        std::str::from_utf8(&self.input[bounds.0..bounds.1])
            .map_err(|error| ParseError::new(Kind::InvalidUtf8, stage, item, bounds.0 + error.valid_up_to()))
    }
}

const fn is_padding(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}
