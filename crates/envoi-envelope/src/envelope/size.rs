use std::error::Error;
use std::fmt;

use super::ItemType;
use super::item::Item;
use super::model::Envelope;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The size limits of the server (EN-7), as data.
///
/// The defaults are those of the specification. A client checks what it builds itself, and can check everything.
///
/// ```
/// use envoi_envelope::{Envelope, Item, SizeLimits};
/// let envelope = Envelope::new().with_item(Item::client_report(vec![b' '; 5000]))?;
/// let error = SizeLimits::default().check(&envelope).unwrap_err();
/// assert_eq!(error.to_string(), "item 0, a client_report, has 5000 bytes; at most 4096 are allowed");
/// # Ok::<(), envoi_envelope::PushError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeLimits {
    envelope: Option<u64>,
    sessions: Option<u64>,
    items: Vec<(ItemType, u64)>,
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self {
            envelope: Some(200 * MIB),
            sessions: Some(100),
            items: vec![
                (ItemType::Event, MIB),
                (ItemType::Transaction, MIB),
                (ItemType::Span, MIB),
                (ItemType::Log, MIB),
                (ItemType::TraceMetric, MIB),
                (ItemType::Statsd, MIB),
                (ItemType::MetricBuckets, MIB),
                (ItemType::CheckIn, 100 * KIB),
                (ItemType::ClientReport, 4 * KIB),
                (ItemType::Profile, 50 * MIB),
                (ItemType::ProfileChunk, 50 * MIB),
                (ItemType::ReplayEvent, 10 * MIB),
                (ItemType::ReplayRecording, 10 * MIB),
                (ItemType::ReplayVideo, 10 * MIB),
            ],
        }
    }
}

impl SizeLimits {
    /// No limits.
    #[must_use]
    pub const fn none() -> Self {
        Self { envelope: None, sessions: None, items: Vec::new() }
    }

    /// Sets the most bytes that a whole envelope may have, uncompressed.
    #[must_use]
    pub const fn with_envelope(mut self, bytes: Option<u64>) -> Self {
        self.envelope = bytes;
        self
    }

    /// Sets the most session items that one envelope may have.
    #[must_use]
    pub const fn with_sessions(mut self, count: Option<u64>) -> Self {
        self.sessions = count;
        self
    }

    /// Sets the most bytes that the payload of an item of this type may have.
    #[must_use]
    pub fn with_item(mut self, item_type: impl Into<ItemType>, bytes: Option<u64>) -> Self {
        let item_type = item_type.into();
        self.items.retain(|(known, _)| *known != item_type);
        self.items.extend(bytes.map(|bytes| (item_type, bytes)));
        self
    }

    /// The most bytes that the payload of an item of this type may have, if that is limited.
    #[must_use]
    pub fn item(&self, item_type: &ItemType) -> Option<u64> {
        self.items.iter().find(|(known, _)| known == item_type).map(|(_, bytes)| *bytes)
    }

    /// Checks one item.
    ///
    /// # Errors
    /// If its payload is too large. The index in the error is 0.
    pub fn check_item(&self, item: &Item) -> Result<(), SizeError> {
        let size = item.payload().len() as u64;
        match self.item(item.item_type()) {
            Some(limit) if size > limit => {
                Err(SizeError { item: Some((0, item.item_type().clone())), size, limit, is_count: false })
            }
            _ => Ok(()),
        }
    }

    /// Checks an envelope and all its items.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub fn check(&self, envelope: &Envelope) -> Result<(), SizeError> {
        for (index, item) in envelope.items().iter().enumerate() {
            self.check_item(item).map_err(|error| error.at(index))?;
        }
        let is_session = |item: &&Item| matches!(item.item_type(), ItemType::Session | ItemType::Sessions);
        let sessions = envelope.items().iter().filter(is_session).count() as u64;
        if let Some(limit) = self.sessions.filter(|limit| sessions > *limit) {
            return Err(SizeError { item: None, size: sessions, limit, is_count: true });
        }
        let size = envelope.written_bytes() as u64;
        if let Some(limit) = self.envelope.filter(|limit| size > *limit) {
            return Err(SizeError { item: None, size, limit, is_count: false });
        }
        Ok(())
    }
}

/// An envelope or an item is larger than a server takes (EN-7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeError {
    item: Option<(usize, ItemType)>,
    size: u64,
    limit: u64,
    is_count: bool,
}

impl SizeError {
    fn at(mut self, index: usize) -> Self {
        if let Some((position, _)) = &mut self.item {
            *position = index;
        }
        self
    }

    /// The index of the item that is too large; `None` if it is the envelope.
    #[must_use]
    pub fn item(&self) -> Option<usize> {
        self.item.as_ref().map(|(index, _)| *index)
    }

    /// How large it is: bytes, or a number for session items.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// How large it may be.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.is_count { "session items" } else { "bytes" };
        match &self.item {
            Some((index, ty)) => write!(f, "item {index}, a {ty}, has ")?,
            None => f.write_str("the envelope has ")?,
        }
        write!(f, "{} {unit}; at most {} are allowed", self.size, self.limit)
    }
}

impl Error for SizeError {}
