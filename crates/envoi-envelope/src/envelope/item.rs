use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;

use super::header::HeaderError;
use super::item_header::ItemHeader;
use super::{ItemType, MAX_HEADER_BYTES};
use crate::json;

/// Where an item stands in the bytes that it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) header: usize,
    pub(super) payload: usize,
}

/// One item of an envelope: a header line and a payload.
///
/// Constructors write the header, always with `length` (EN-2), and take the payload as it is: serialising events is
/// the business of the SDK.
///
/// ```
/// use envoi_envelope::{Item, ItemType};
/// let item = Item::attachment("screenshot.png", vec![0x89, b'P']).with_content_type("image/png");
/// assert_eq!(item.item_type(), &ItemType::Attachment);
/// assert_eq!(
///     item.header_raw(),
///     r#"{"type":"attachment","length":2,"filename":"screenshot.png","content_type":"image/png"}"#,
/// );
/// ```
#[derive(Clone)]
pub struct Item {
    header: ItemHeader,
    payload: Bytes,
    place: Option<Place>,
    is_rider: bool,
    /// What the payload counts as, once somebody has asked. See `quantity`.
    pub(crate) counted: OnceLock<u64>,
}

impl Item {
    pub(super) const fn parsed(header: ItemHeader, payload: Bytes, place: Place) -> Self {
        Self { header, payload, place: Some(place), is_rider: false, counted: OnceLock::new() }
    }

    /// An item of any type. The payload is not looked at.
    #[must_use]
    pub fn new(item_type: impl Into<ItemType>, payload: impl Into<Bytes>) -> Self {
        let payload = payload.into();
        Self {
            header: ItemHeader::build(item_type.into(), payload.len()),
            payload,
            place: None,
            is_rider: false,
            counted: OnceLock::new(),
        }
    }

    /// An error or a message, as JSON.
    #[must_use]
    pub fn event(json: impl Into<Bytes>) -> Self {
        Self::new(ItemType::Event, json)
    }

    /// A transaction with its spans, as JSON.
    #[must_use]
    pub fn transaction(json: impl Into<Bytes>) -> Self {
        Self::new(ItemType::Transaction, json)
    }

    /// A file that belongs to the event or the transaction of the envelope.
    #[must_use]
    pub fn attachment(filename: &str, content: impl Into<Bytes>) -> Self {
        Self::new(ItemType::Attachment, content).with_text("filename", filename)
    }

    /// An update of one session, as JSON.
    #[must_use]
    pub fn session(json: impl Into<Bytes>) -> Self {
        Self::new(ItemType::Session, json)
    }

    /// Aggregated sessions, as JSON.
    #[must_use]
    pub fn sessions(json: impl Into<Bytes>) -> Self {
        Self::new(ItemType::Sessions, json)
    }

    /// A check-in of a monitor, as JSON.
    #[must_use]
    pub fn check_in(json: impl Into<Bytes>) -> Self {
        Self::new(ItemType::CheckIn, json)
    }

    /// Feedback of a user, as JSON.
    #[must_use]
    pub fn feedback(json: impl Into<Bytes>) -> Self {
        Self::new(ItemType::Feedback, json)
    }

    /// The profile of the transaction of the envelope, as JSON.
    #[must_use]
    pub fn profile(json: impl Into<Bytes>) -> Self {
        Self::new(ItemType::Profile, json)
    }

    /// A chunk of a continuous profile, as JSON. The platform decides what it is counted as (decision 9).
    #[must_use]
    pub fn profile_chunk(platform: &str, json: impl Into<Bytes>) -> Self {
        Self::new(ItemType::ProfileChunk, json).with_text("platform", platform)
    }

    /// The data of a replay segment, as JSON. Its recording belongs into the same envelope.
    #[must_use]
    pub fn replay_event(json: impl Into<Bytes>) -> Self {
        Self::new(ItemType::ReplayEvent, json)
    }

    /// The recording of a replay segment.
    #[must_use]
    pub fn replay_recording(recording: impl Into<Bytes>) -> Self {
        Self::new(ItemType::ReplayRecording, recording)
    }

    /// A container of `count` logs: `{"items":[...]}`.
    #[must_use]
    pub fn logs(count: u64, json: impl Into<Bytes>) -> Self {
        Self::container(ItemType::Log, count, "application/vnd.sentry.items.log+json", json)
    }

    /// A container of `count` metrics: `{"items":[...]}`.
    #[must_use]
    pub fn metrics(count: u64, json: impl Into<Bytes>) -> Self {
        Self::container(ItemType::TraceMetric, count, "application/vnd.sentry.items.trace-metric+json", json)
    }

    /// A container of `count` spans: `{"items":[...]}`.
    #[must_use]
    pub fn spans(count: u64, json: impl Into<Bytes>) -> Self {
        Self::container(ItemType::Span, count, "application/vnd.sentry.items.span.v2+json", json)
    }

    /// Counts of what was lost, as JSON. See [`reports`](crate::reports) for who makes it.
    #[must_use]
    pub fn client_report(json: impl Into<Bytes>) -> Self {
        Self::new(ItemType::ClientReport, json)
    }

    fn container(ty: ItemType, count: u64, content_type: &str, json: impl Into<Bytes>) -> Self {
        let mut item = Self::new(ty, json);
        item.set("item_count", &count.to_string());
        item.with_text("content_type", content_type)
    }

    /// Sets the content type.
    #[must_use]
    pub fn with_content_type(self, content_type: &str) -> Self {
        self.with_text("content_type", content_type)
    }

    /// Sets the type of an attachment, such as `event.minidump`.
    #[must_use]
    pub fn with_attachment_type(self, attachment_type: &str) -> Self {
        self.with_text("attachment_type", attachment_type)
    }

    /// Sets an attribute of the header to a JSON value. Others stay as they are, byte for byte.
    ///
    /// ```
    /// use envoi_envelope::Item;
    /// let item = Item::check_in("{}").with_attribute("priority", "7")?;
    /// assert_eq!(item.attribute("priority"), Some("7"));
    /// assert!(Item::check_in("{}").with_attribute("length", "1").is_err());
    /// # Ok::<(), envoi_envelope::HeaderError>(())
    /// ```
    ///
    /// # Errors
    /// If the value is not JSON or none that this attribute can have, if the header gets too large, and for `type`
    /// and `length`, which belong to the item.
    pub fn with_attribute(mut self, name: &str, json_value: &str) -> Result<Self, HeaderError> {
        if matches!(name, "type" | "length") || json_value.contains('\n') || !json::is_value(json_value) {
            return Err(HeaderError::InvalidValue);
        }
        let header = self.header.with(name, json_value).ok_or(HeaderError::InvalidValue)?;
        if header.raw().len() > MAX_HEADER_BYTES {
            return Err(HeaderError::TooLarge { bytes: header.raw().len() });
        }
        self.header = header;
        self.place = None;
        self.counted = OnceLock::new();
        Ok(self)
    }

    fn with_text(mut self, name: &str, text: &str) -> Self {
        self.set(name, &json::quote(text));
        self
    }

    /// Sets a known attribute to a value that is right by construction.
    fn set(&mut self, name: &str, json: &str) {
        if let Some(header) = self.header.with(name, json) {
            self.header = header;
            self.place = None;
            self.counted = OnceLock::new();
        }
    }

    /// Another payload under the same header.
    pub(super) fn replace_payload(&mut self, payload: Bytes) {
        let header = self.header.with("length", &payload.len().to_string());
        self.header = match header {
            Some(header) if header.raw().len() <= MAX_HEADER_BYTES => header,
            // It stated no length and has no room for one. Without the length the payload could end elsewhere.
            _ => ItemHeader::build(self.header.ty().clone(), payload.len()),
        };
        self.payload = payload;
        self.place = None;
        self.counted = OnceLock::new();
    }

    /// Marks a client report that is attached at send time. A rider is never stored with the envelope
    /// (decision 14), does not decide about lanes, and does not make an envelope worth a request.
    #[must_use]
    pub fn into_rider(mut self) -> Self {
        self.is_rider = true;
        self
    }

    /// Whether this is a client report that was attached at send time, see [`Item::into_rider`].
    #[must_use]
    pub const fn is_rider(&self) -> bool {
        self.is_rider
    }

    /// What the item is.
    #[must_use]
    pub const fn item_type(&self) -> &ItemType {
        self.header.ty()
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The header as it was read or built, without its newline.
    #[must_use]
    pub const fn header_raw(&self) -> &Bytes {
        self.header.raw()
    }

    /// The `length` that the header states; `None` if the payload ended with its line (EN-2).
    #[must_use]
    pub const fn explicit_length(&self) -> Option<u64> {
        self.header.length()
    }

    /// How many entries the header says that a container has.
    #[must_use]
    pub const fn item_count(&self) -> Option<u64> {
        self.header.item_count()
    }

    /// The content type.
    #[must_use]
    pub fn content_type(&self) -> Option<Cow<'_, str>> {
        self.header.content_type()
    }

    /// The file name of an attachment.
    #[must_use]
    pub fn filename(&self) -> Option<Cow<'_, str>> {
        self.header.filename()
    }

    /// The type of an attachment.
    #[must_use]
    pub fn attachment_type(&self) -> Option<Cow<'_, str>> {
        self.header.attachment_type()
    }

    /// The platform, as profile chunks have it.
    #[must_use]
    pub fn platform(&self) -> Option<Cow<'_, str>> {
        self.header.platform()
    }

    /// Any attribute of the header, as its JSON is written.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.header.attribute(name)
    }

    /// The offset of the header in the bytes that the envelope was read from; `None` for an item that was built,
    /// changed or added.
    #[must_use]
    pub fn header_offset(&self) -> Option<usize> {
        self.place.map(|place| place.header)
    }

    /// The offset of the payload in the bytes that the envelope was read from; `None` for an item that was built,
    /// changed or added.
    #[must_use]
    pub fn payload_offset(&self) -> Option<usize> {
        self.place.map(|place| place.payload)
    }

    /// The item as one that belongs to no bytes.
    pub(super) fn displaced(mut self) -> Self {
        self.place = None;
        self
    }
}

/// Equal if they serialise to the same bytes.
impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.header_raw() == other.header_raw() && self.payload == other.payload
    }
}

impl Eq for Item {}

/// Shows type and size, never the payload: it is somebody's data.
impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Item");
        shown.field("type", &self.item_type().as_str()).field("payload_bytes", &self.payload.len());
        if self.is_rider {
            shown.field("is_rider", &true);
        }
        shown.finish()
    }
}
