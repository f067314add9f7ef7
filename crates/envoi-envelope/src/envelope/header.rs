use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::MAX_HEADER_BYTES;
use super::error::{HeaderFault, ParseErrorKind};
use crate::{Dsn, EventId, json, timestamp};

/// Why an attribute of a header cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The header would be larger than [`MAX_HEADER_BYTES`].
    TooLarge {
        /// How many bytes it would have had.
        bytes: usize,
    },
    /// The value is not JSON, has a line break, or is none that this attribute can have; or the attribute is
    /// written by the item itself.
    InvalidValue,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => {
                write!(f, "the header would have {bytes} bytes; at most {MAX_HEADER_BYTES} are allowed")
            }
            Self::InvalidValue => f.write_str("the header attribute cannot have this value"),
        }
    }
}

impl Error for HeaderError {}

/// Where a value stands in the header. Never at 0, so an empty span means absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn new(at: &Range<usize>) -> Self {
        // Headers are bounded at 64 KiB, so both fit.
        let small = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Self { start: small(at.start), end: small(at.end) }
    }

    pub(super) const fn is_present(self) -> bool {
        self.end != 0
    }

    pub(super) fn range(self) -> Option<Range<usize>> {
        self.is_present().then_some(self.start as usize..self.end as usize)
    }
}

/// The envelope header: its bytes as they came, and where the known attributes stand in them.
#[derive(Clone)]
pub(super) struct Header {
    raw: Bytes,
    event_id: Option<EventId>,
    id_at: Span,
    sent_at: Span,
    dsn: Span,
    sdk: Span,
}

impl Header {
    /// The header `{}`.
    pub(super) const fn empty() -> Self {
        let absent = Span { start: 0, end: 0 };
        Self {
            raw: Bytes::from_static(b"{}"),
            event_id: None,
            id_at: absent,
            sent_at: absent,
            dsn: absent,
            sdk: absent,
        }
    }

    /// Reads `text`, of which `raw` are the bytes.
    pub(super) fn parse(raw: Bytes, text: &str) -> Result<Self, HeaderFault> {
        let mut header = Self { raw, ..Self::empty() };
        let mut fault = None;
        json::members(text, |key, value, at| {
            let span = Span::new(&at);
            let (slot, is_valid) = match key {
                "event_id" => {
                    let id = json::string(value).and_then(|id| id.parse().ok());
                    header.event_id = id;
                    (&mut header.id_at, id.is_some())
                }
                "sent_at" => {
                    let time = json::string(value).and_then(|time| timestamp::parse(&time));
                    (&mut header.sent_at, time.is_some())
                }
                "dsn" => {
                    let dsn = json::string(value).and_then(|dsn| Dsn::parse(&dsn).ok());
                    (&mut header.dsn, dsn.is_some())
                }
                "sdk" => (&mut header.sdk, value.starts_with('{')),
                _ => return,
            };
            let kind = if slot.is_present() {
                ParseErrorKind::DuplicateAttribute
            } else if is_valid {
                *slot = span;
                return;
            } else {
                ParseErrorKind::InvalidAttribute
            };
            fault.get_or_insert_with(|| HeaderFault::new(kind, at.start, attribute_help(key)));
        })
        .map_err(|error| HeaderFault::from_json(&error, text))?;
        fault.map_or(Ok(header), Err)
    }

    pub(super) const fn raw(&self) -> &Bytes {
        &self.raw
    }

    pub(super) fn text(&self) -> &str {
        // Checked when it was read or built.
        std::str::from_utf8(&self.raw).unwrap_or("{}")
    }

    pub(super) const fn event_id(&self) -> Option<EventId> {
        self.event_id
    }

    pub(super) fn sent_at(&self) -> Option<Cow<'_, str>> {
        json::string(self.text().get(self.sent_at.range()?)?)
    }

    pub(super) fn dsn(&self) -> Option<Dsn> {
        Dsn::parse(&json::string(self.text().get(self.dsn.range()?)?)?).ok()
    }

    pub(super) fn sdk(&self) -> Option<&str> {
        self.text().get(self.sdk.range()?)
    }

    fn place_of(&self, key: &str) -> Option<Range<usize>> {
        match key {
            "event_id" => self.id_at.range(),
            "sent_at" => self.sent_at.range(),
            "dsn" => self.dsn.range(),
            "sdk" => self.sdk.range(),
            _ => json::find(self.text(), key),
        }
    }

    /// The attribute `key` as it is written.
    pub(super) fn attribute(&self, key: &str) -> Option<&str> {
        self.text().get(self.place_of(key)?)
    }

    /// The header with `key` set to the JSON value `value`; all else stays byte for byte (EN-4).
    pub(super) fn with(&self, key: &str, value: &str) -> Result<Self, HeaderError> {
        let text = json::with_member(self.text(), self.place_of(key), key, value);
        if text.len() > MAX_HEADER_BYTES {
            return Err(HeaderError::TooLarge { bytes: text.len() });
        }
        if text.contains('\n') {
            return Err(HeaderError::InvalidValue);
        }
        let raw = Bytes::from(text);
        let text = std::str::from_utf8(&raw).unwrap_or("{}");
        Self::parse(raw.clone(), text).map_err(|_| HeaderError::InvalidValue)
    }

    /// What the header is with `attributes` set, given as name and JSON value: for values that were made here, on one
    /// line and such as the attribute can have, because the result is not read again.
    pub(super) fn raw_with(&self, attributes: &[(&str, String)]) -> Result<Bytes, HeaderError> {
        let mut text = Cow::Borrowed(self.text());
        for (key, value) in attributes {
            let place = match &text {
                Cow::Borrowed(_) => self.place_of(key),
                Cow::Owned(text) => json::find(text, key),
            };
            text = Cow::Owned(json::with_member(&text, place, key, value));
        }
        if text.len() > MAX_HEADER_BYTES {
            return Err(HeaderError::TooLarge { bytes: text.len() });
        }
        Ok(Bytes::from(text.into_owned()))
    }
}

fn attribute_help(key: &str) -> &'static str {
    match key {
        "event_id" => "\"event_id\" is a UUID, once",
        "sent_at" => "\"sent_at\" is an RFC 3339 time, once",
        "dsn" => "\"dsn\" is a DSN, once",
        _ => "\"sdk\" is an object, once",
    }
}
