use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;

use super::header::Header;
use super::item::Item;
use crate::{Dsn, EventId, ItemType, timestamp};

/// What is sent to Sentry in one request: a header and items.
///
/// An envelope is a view of shared bytes: reading one copies nothing, a clone is a few reference counts, and an
/// envelope that was not changed is written as the bytes that it was read from (EN-8). What it does not know, types
/// and attributes alike, stays as it is (EN-4).
///
/// ```
/// use envoi_envelope::{Envelope, EventId, Item};
/// let id = EventId::random();
/// let mut envelope = Envelope::new().with_event_id(id);
/// envelope.push(Item::event(format!(r#"{{"event_id":"{id}","message":"hello"}}"#)))?;
/// envelope.push(Item::attachment("log.txt", "what happened before"))?;
///
/// let again = Envelope::parse(envelope.to_bytes())?;
/// assert_eq!(again, envelope);
/// assert_eq!(again.event_id(), Some(id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Envelope {
    pub(super) header: Header,
    /// Where the header stands in `source`; `None` once it was changed.
    pub(super) header_at: Option<usize>,
    pub(super) items: Vec<Item>,
    /// The bytes that the places of the items refer to.
    pub(super) source: Bytes,
    /// Whether shedding left nothing but client reports (decision 11).
    pub(crate) is_stripped: bool,
    /// Whether it is somebody else's, so that its reports are goods.
    pub(crate) is_forwarded: bool,
}

impl Envelope {
    pub(super) fn from_source(header: (Header, usize), items: Vec<Item>, source: Bytes) -> Self {
        let (header, at) = header;
        Self { header, header_at: Some(at), items, source, is_stripped: false, is_forwarded: false }
    }

    /// The items, in order.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The items by value.
    #[must_use]
    pub fn into_items(self) -> Vec<Item> {
        self.items
    }

    /// Whether there are no items. Such an envelope is not worth a request (EN-6).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether there is nothing but client reports. Such an envelope is not stored (decision 21): its counts go
    /// back instead.
    #[must_use]
    pub fn is_only_client_reports(&self) -> bool {
        !self.items.is_empty() && self.items.iter().all(|item| *item.item_type() == ItemType::ClientReport)
    }

    /// The header as it is written, without its newline. It may contain a DSN: do not log it.
    #[must_use]
    pub const fn header_raw(&self) -> &Bytes {
        self.header.raw()
    }

    /// The id of the event in the envelope.
    #[must_use]
    pub const fn event_id(&self) -> Option<EventId> {
        self.header.event_id()
    }

    /// When the envelope was sent, by its header.
    #[must_use]
    pub fn sent_at(&self) -> Option<SystemTime> {
        timestamp::parse(&self.header.sent_at()?)
    }

    /// The DSN in the header.
    #[must_use]
    pub fn dsn(&self) -> Option<Dsn> {
        self.header.dsn()
    }

    /// The `sdk` object of the header, as its JSON is written.
    #[must_use]
    pub fn sdk(&self) -> Option<&str> {
        self.header.sdk()
    }

    /// The `trace` object of the header, as its JSON is written.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        self.header.attribute("trace")
    }

    /// Any attribute of the header, as its JSON is written.
    ///
    /// ```
    /// use envoi_envelope::Envelope;
    /// let envelope = Envelope::parse("{\"retention\":30}\n")?;
    /// assert_eq!(envelope.attribute("retention"), Some("30"));
    /// # Ok::<(), envoi_envelope::ParseError>(())
    /// ```
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.header.attribute(name)
    }
}

/// Equal if they serialise to the same bytes, but for a final newline.
impl PartialEq for Envelope {
    fn eq(&self, other: &Self) -> bool {
        self.header_raw() == other.header_raw() && self.items == other.items
    }
}

impl Eq for Envelope {}

/// Shows the id and the items, never payloads, credentials or attributes.
impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("event_id", &self.event_id()).field("items", &self.items).finish()
    }
}
