use std::error::Error;
use std::fmt;

use bytes::Bytes;
use memchr::memchr2;
use serde::Serialize;
use serde::de::IgnoredAny;

/// One JSON value on one line: what a [`Batch`](crate::Batch) is made of.
///
/// It is serialised where it is made, on the thread of the caller, and never again. A clone shares the bytes.
///
/// ```
/// use envoi_batch::Event;
/// #[derive(serde::Serialize)]
/// struct Login<'a> { user: &'a str }
/// assert_eq!(Event::new(&Login { user: "ada" })?.as_str(), r#"{"user":"ada"}"#);
/// assert_eq!(Event::from_json(" {\"user\":\n\"ada\"} ")?.as_str(), r#"{"user": "ada"}"#);
/// assert!(Event::from_json("{} {}").is_err());
/// # Ok::<(), envoi_batch::EventError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Event(Bytes);

impl Event {
    /// Serialises `value`.
    ///
    /// # Errors
    /// If it cannot be written as JSON: a map whose keys are no strings, or its own `Serialize` fails.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, EventError> {
        let json = serde_json::to_vec(value).map_err(EventError::Serialize)?;
        Ok(Self(on_one_line(json.into())))
    }

    /// Takes text that is JSON already, after checking that it is exactly one value. White space around it is cut off, and
    /// line breaks between its tokens become spaces; everything else stays as it is, and is not copied.
    ///
    /// # Errors
    /// If it is not one JSON value in UTF-8 (RFC 8259). It may be nested as deep as it likes: it is checked without
    /// recursion. The text is not part of the error.
    pub fn from_json(json: impl Into<Bytes>) -> Result<Self, EventError> {
        let json = json.into();
        let text =
            std::str::from_utf8(&json).map_err(|error| EventError::Utf8 { at: error.valid_up_to() })?;
        serde_json::from_str::<IgnoredAny>(text).map_err(EventError::Json)?;
        let value = json.slice_ref(json.trim_ascii());
        Ok(Self(on_one_line(value)))
    }

    /// The JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Checked, or written by serde_json, when the event was made.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The JSON.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Its size in bytes, never 0.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is no empty event")]
    pub const fn len(&self) -> usize {
        self.0.len()
    }
}

/// Inside of a JSON string a raw line break is not allowed, so each one there is stands between tokens.
fn on_one_line(json: Bytes) -> Bytes {
    if memchr2(b'\n', b'\r', &json).is_none() {
        return json;
    }
    json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()
}

/// The size only: events may hold personal data.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("bytes", &self.0.len()).finish()
    }
}

/// Why something is no event.
#[derive(Debug)]
#[non_exhaustive]
pub enum EventError {
    /// The value could not be written as JSON.
    Serialize(serde_json::Error),
    /// The text is not one JSON value; the source says where.
    Json(serde_json::Error),
    /// The text is not UTF-8.
    Utf8 {
        /// The offset of the first byte that is not.
        at: usize,
    },
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serialize(_) => f.write_str("the event cannot be written as JSON"),
            Self::Json(error) => {
                write!(f, "the event is not one JSON value: line {}, column {}", error.line(), error.column())
            }
            Self::Utf8 { at } => write!(f, "the event is not UTF-8 at byte {at}"),
        }
    }
}

impl Error for EventError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Serialize(error) | Self::Json(error) => Some(error),
            Self::Utf8 { .. } => None,
        }
    }
}
