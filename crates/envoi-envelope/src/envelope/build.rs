//! Envelopes that are made or changed here.

use std::time::SystemTime;

use bytes::Bytes;

use super::combine::{self, PushError};
use super::header::{Header, HeaderError};
use super::item::Item;
use super::model::Envelope;
use crate::{Dsn, EventId, ItemType, json, timestamp};

impl Default for Envelope {
    fn default() -> Self {
        Self::new()
    }
}

impl Envelope {
    /// An envelope with the header `{}` and no items.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            header: Header::empty(),
            header_at: None,
            items: Vec::new(),
            source: Bytes::new(),
            is_stripped: false,
            is_forwarded: false,
        }
    }

    /// Sets the id of the event. If a header that was read has no room for it, it stays as it was; use
    /// [`Envelope::set_event_id`] to be told.
    #[must_use]
    pub fn with_event_id(mut self, id: EventId) -> Self {
        let _ = self.set_event_id(id);
        self
    }

    /// Marks the envelope as one that somebody else made and that is only forwarded, as a relay does. Reports of others
    /// are goods: an envelope of nothing but reports is then stored like any other, where one of our own is not, because
    /// its counts are put back instead (decision 21).
    ///
    /// ```
    /// use envoi_core::Durable;
    /// use envoi_envelope::{Envelope, Item};
    /// let reports = Envelope::new().with_item(Item::client_report("{}"))?;
    /// assert!(!reports.is_worth_storing());
    /// assert!(reports.into_forwarded().is_worth_storing());
    /// # Ok::<(), envoi_envelope::PushError>(())
    /// ```
    #[must_use]
    pub fn into_forwarded(mut self) -> Self {
        self.is_forwarded = true;
        self
    }

    /// Adds an item, see [`Envelope::push`].
    ///
    /// # Errors
    /// The item, if it must not be in one envelope with those that are there.
    pub fn with_item(mut self, item: Item) -> Result<Self, PushError> {
        self.push(item)?;
        Ok(self)
    }

    /// Adds an item, by the rules for combining items (IT-1): one event or transaction, one container of logs, of
    /// metrics and of spans each, one replay.
    ///
    /// ```
    /// use envoi_envelope::{Envelope, Item};
    /// let mut envelope = Envelope::new().with_item(Item::event("{}"))?;
    /// let error = envelope.push(Item::transaction("{}")).unwrap_err();
    /// assert_eq!(error.to_string(), "an envelope with an event takes no transaction; use another envelope");
    /// # Ok::<(), envoi_envelope::PushError>(())
    /// ```
    ///
    /// # Errors
    /// The item, if it must not be in one envelope with those that are there, or if its header is too large.
    pub fn push(&mut self, item: Item) -> Result<(), PushError> {
        combine::check(&self.items, &item).map_err(|kind| PushError::new(kind, item.clone()))?;
        self.is_stripped &= *item.item_type() == ItemType::ClientReport;
        self.items.push(item.displaced());
        Ok(())
    }

    /// Removes the items that `keep` says no to. Whoever removes one records the loss.
    pub fn retain(&mut self, keep: impl FnMut(&Item) -> bool) {
        self.items.retain(keep);
    }

    /// Gives the items for which `change` has one another payload: scrubbing. Attributes of their headers stay, `length`
    /// follows the payload; every other item stays as it is, byte for byte. A container keeps its `item_count`, so change
    /// what its entries say, not how many there are.
    ///
    /// ```
    /// use envoi_envelope::{Envelope, Item, ItemType};
    /// let mut envelope = Envelope::new().with_item(Item::event(r#"{"user":"jane@example.org"}"#))?;
    /// envelope.rewrite(|item| {
    ///     let text = std::str::from_utf8(item.payload()).ok()?;
    ///     (*item.item_type() == ItemType::Event).then(|| text.replace("jane@example.org", "[email]").into())
    /// });
    /// assert_eq!(envelope.items()[0].payload(), r#"{"user":"[email]"}"#);
    /// assert_eq!(envelope.items()[0].explicit_length(), Some(18));
    /// # Ok::<(), envoi_envelope::PushError>(())
    /// ```
    pub fn rewrite(&mut self, mut change: impl FnMut(&Item) -> Option<Bytes>) {
        for item in &mut self.items {
            if let Some(payload) = change(item) {
                item.replace_payload(payload);
            }
        }
    }

    /// Sets the id of the event.
    ///
    /// # Errors
    /// If the header gets too large.
    pub fn set_event_id(&mut self, id: EventId) -> Result<(), HeaderError> {
        self.set_attribute("event_id", &format!("\"{id}\""))
    }

    /// Sets the time of sending. The codec does this (EN-5); you need it only if you write your own.
    ///
    /// # Errors
    /// If the header gets too large.
    pub fn set_sent_at(&mut self, time: SystemTime) -> Result<(), HeaderError> {
        self.set_attribute("sent_at", &format!("\"{}\"", timestamp::rfc3339(time)))
    }

    /// Sets the DSN, without its secret.
    ///
    /// # Errors
    /// If the header gets too large.
    pub fn set_dsn(&mut self, dsn: &Dsn) -> Result<(), HeaderError> {
        self.set_attribute("dsn", &json::quote(&dsn.to_string()))
    }

    /// Sets `sdk` to a name and a version.
    ///
    /// # Errors
    /// If the header gets too large.
    pub fn set_sdk(&mut self, name: &str, version: &str) -> Result<(), HeaderError> {
        let (name, version) = (json::quote(name), json::quote(version));
        self.set_attribute("sdk", &format!("{{\"name\":{name},\"version\":{version}}}"))
    }

    /// Sets an attribute of the header to a JSON value: in place if it is there, else at the end. Every other byte
    /// of the header stays as it is (EN-4).
    ///
    /// ```
    /// use envoi_envelope::Envelope;
    /// let mut envelope = Envelope::parse(r#"{ "a":1, "trace":{} }"#)?;
    /// envelope.set_attribute("trace", r#"{"trace_id":"1"}"#)?;
    /// assert_eq!(envelope.header_raw(), r#"{ "a":1, "trace":{"trace_id":"1"} }"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the value is not JSON or none that this attribute can have, or if the header gets too large.
    pub fn set_attribute(&mut self, name: &str, json_value: &str) -> Result<(), HeaderError> {
        if !json::is_value(json_value) {
            return Err(HeaderError::InvalidValue);
        }
        self.header = self.header.with(name, json_value)?;
        self.header_at = None;
        Ok(())
    }
}
