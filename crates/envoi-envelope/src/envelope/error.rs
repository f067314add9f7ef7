use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// What is wrong with an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// There is no envelope header: the input is empty or begins with a blank line.
    MissingHeader,
    /// A header has more than [`MAX_HEADER_BYTES`](crate::MAX_HEADER_BYTES) bytes.
    HeaderTooLarge,
    /// The input begins with a byte order mark.
    ByteOrderMark,
    /// A carriage return ends a header line.
    CarriageReturn,
    /// White space stands around a header.
    Padding,
    /// A header is not UTF-8.
    InvalidUtf8,
    /// A header is not JSON.
    InvalidJson,
    /// A header is JSON, but no object.
    NotAnObject,
    /// A known attribute occurs twice.
    DuplicateAttribute,
    /// A known attribute has a value that it cannot have.
    InvalidAttribute,
    /// An item header has no `type`.
    MissingType,
    /// `length` is not an integer of at least 0.
    InvalidLength,
    /// `length` goes beyond the end of the input.
    TruncatedPayload,
    /// Something other than a newline follows a payload of explicit length.
    JunkAfterPayload,
    /// A blank line stands where an item header should.
    BlankLine,
    /// There are more than [`MAX_ITEMS`](crate::MAX_ITEMS) items.
    TooManyItems,
}

impl ParseErrorKind {
    /// A stable name for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingHeader => "missing_header",
            Self::HeaderTooLarge => "header_too_large",
            Self::ByteOrderMark => "byte_order_mark",
            Self::CarriageReturn => "carriage_return",
            Self::Padding => "padding",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::InvalidJson => "invalid_json",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateAttribute => "duplicate_attribute",
            Self::InvalidAttribute => "invalid_attribute",
            Self::MissingType => "missing_type",
            Self::InvalidLength => "invalid_length",
            Self::TruncatedPayload => "truncated_payload",
            Self::JunkAfterPayload => "junk_after_payload",
            Self::BlankLine => "blank_line",
            Self::TooManyItems => "too_many_items",
        }
    }

    const fn describe(self) -> &'static str {
        match self {
            Self::MissingHeader => "there is no envelope header; the first line must be a JSON object",
            Self::HeaderTooLarge => "the header has more than 64 KiB",
            Self::ByteOrderMark => "the input begins with a byte order mark; save it as UTF-8 without one",
            Self::CarriageReturn => {
                "the header line ends with a carriage return; lines end with a newline only"
            }
            Self::Padding => "white space stands around the header",
            Self::InvalidUtf8 => "the header is not UTF-8",
            Self::InvalidJson => "the header is not JSON",
            Self::NotAnObject => "the header is not a JSON object",
            Self::DuplicateAttribute => "an attribute occurs twice",
            Self::InvalidAttribute => "an attribute has a value that it cannot have",
            Self::MissingType => "the header has no \"type\"",
            Self::InvalidLength => "\"length\" must be an integer of at least 0",
            Self::TruncatedPayload => "the payload is cut short",
            Self::JunkAfterPayload => {
                "a payload with a length must be followed by a newline or the end; is the length right?"
            }
            Self::BlankLine => "a blank line stands where an item header should",
            Self::TooManyItems => "there are too many items; split the envelope",
        }
    }
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in the grammar an envelope is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The first line.
    EnvelopeHeader,
    /// The header of an item.
    ItemHeader,
    /// The payload of an item.
    Payload,
    /// After a payload, where the next item should begin.
    BetweenItems,
}

impl Stage {
    /// A stable name for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EnvelopeHeader => "envelope_header",
            Self::ItemHeader => "item_header",
            Self::Payload => "payload",
            Self::BetweenItems => "between_items",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why bytes are not an envelope, and where (EN-3).
///
/// ```
/// use envoi_envelope::{Envelope, ParseErrorKind, Stage};
/// let error = Envelope::parse("{}\n{\"type\":\"event\",\"length\":100}\n{}").unwrap_err();
/// assert_eq!(error.kind(), ParseErrorKind::TruncatedPayload);
/// assert_eq!((error.stage(), error.item(), error.offset()), (Stage::Payload, Some(0), 33));
/// assert_eq!(
///     error.to_string(),
///     "item 0, payload, byte 33: the payload is cut short: \"length\" says 100 bytes, 2 are left",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    kind: ParseErrorKind,
    stage: Stage,
    item: Option<usize>,
    offset: usize,
    detail: Option<Cow<'static, str>>,
}

impl ParseError {
    pub(super) const fn new(kind: ParseErrorKind, stage: Stage, item: Option<usize>, offset: usize) -> Self {
        Self { kind, stage, item, offset, detail: None }
    }

    pub(super) fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// In which part of the grammar.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// The index of the item that was being read, from 0; `None` in the envelope header. Between items it is the
    /// item before junk, and the item that should follow a blank line.
    #[must_use]
    pub const fn item(&self) -> Option<usize> {
        self.item
    }

    /// The offset of the fault in the input, in bytes.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            None => write!(f, "envelope header, ")?,
            Some(item) => {
                let place = match self.stage {
                    Stage::Payload => "payload, ",
                    Stage::BetweenItems => "",
                    _ => "header, ",
                };
                write!(f, "item {item}, {place}")?;
            }
        }
        write!(f, "byte {}: {}", self.offset, self.kind.describe())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl Error for ParseError {}

/// A fault inside one header, before it is known where the header stands.
#[derive(Debug)]
pub(super) struct HeaderFault {
    pub(super) kind: ParseErrorKind,
    /// From the start of the header.
    pub(super) offset: usize,
    pub(super) detail: Option<Cow<'static, str>>,
}

impl HeaderFault {
    pub(super) fn new(kind: ParseErrorKind, offset: usize, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, offset, detail: Some(detail.into()) }
    }

    /// The fault that serde_json saw in `text`.
    pub(super) fn from_json(error: &serde_json::Error, text: &str) -> Self {
        let kind = if error.is_data() { ParseErrorKind::NotAnObject } else { ParseErrorKind::InvalidJson };
        // A header is one line, so the column is the position; serde_json counts from 1.
        let offset = error.column().saturating_sub(1).min(text.len());
        let detail = error.to_string();
        let detail = detail.split(" at line ").next().unwrap_or_default().to_owned();
        Self { kind, offset, detail: (!error.is_data()).then_some(Cow::Owned(detail)) }
    }

    pub(super) fn at(self, stage: Stage, item: Option<usize>, start: usize) -> ParseError {
        ParseError { kind: self.kind, stage, item, offset: start + self.offset, detail: self.detail }
    }
}
