use std::error::Error;
use std::fmt;

use bytes::Bytes;
use serde_core::de::IgnoredAny;

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedKind {
    /// It is not one JSON object.
    NotAnObject,
    /// It does not fit into a container, or into the buffer.
    TooLarge,
    /// The trace id is not 32 hexadecimal digits.
    TraceId,
    /// The trace header is not one JSON object of at most 16 KiB.
    TraceHeader,
}

/// An item that was not taken, handed back: whoever drops it records the loss.
#[derive(Clone, Debug)]
pub struct Refused {
    kind: RefusedKind,
    item: Bytes,
}

impl Refused {
    pub(super) const fn new(kind: RefusedKind, item: Bytes) -> Self {
        Self { kind, item }
    }

    /// Why.
    #[must_use]
    pub const fn kind(&self) -> RefusedKind {
        self.kind
    }

    /// The item as it was given.
    #[must_use]
    pub fn into_item(self) -> Bytes {
        self.item
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.item.len();
        match self.kind {
            RefusedKind::NotAnObject => write!(f, "an item of {size} bytes is not one JSON object"),
            RefusedKind::TooLarge => {
                write!(
                    f,
                    "an item of {size} bytes does not fit into a container; raise its bytes or drop the item"
                )
            }
            RefusedKind::TraceId => f.write_str("the trace id of a span is not 32 hexadecimal digits"),
            RefusedKind::TraceHeader => {
                write!(
                    f,
                    "the trace header of a span is not one JSON object of at most {MAX_TRACE_HEADER} bytes"
                )
            }
        }
    }
}

impl Error for Refused {}

/// Far above any real sampling context, far below what a header may have.
const MAX_TRACE_HEADER: usize = 16 * 1024;

/// The text of `json` without white space around, if it is one JSON object. Skips what is inside, so the depth of
/// nesting does not matter, and nothing is built.
fn object(json: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(json).ok()?.trim_matches([' ', '\t', '\n', '\r']);
    (text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()).then_some(text)
}

/// `item` without white space around, if it is one JSON object.
pub(super) fn check(item: &Bytes) -> Option<Bytes> {
    object(item).map(|text| item.slice_ref(text.as_bytes()))
}

pub(super) fn trace_id(text: &str) -> Option<u128> {
    let is_hex = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok())?
}

/// `header` on one line, as the header of an envelope has to be.
pub(super) fn trace_header(header: &str) -> Option<Box<str>> {
    let text = object(header.as_bytes()).filter(|text| text.len() <= MAX_TRACE_HEADER)?;
    // Within JSON a line break can only be white space between tokens.
    Some(text.chars().filter(|char| !matches!(char, '\n' | '\r')).collect())
}
