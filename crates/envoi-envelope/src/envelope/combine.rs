//! What may be in one envelope when we put it together (IT-1). What others put together is not judged here.

use std::error::Error;
use std::fmt;

use super::item::Item;
use super::{ItemType, MAX_HEADER_BYTES, MAX_ITEMS};

/// Why an item cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PushErrorKind {
    /// There is an event or a transaction, and only one of both may be.
    SecondEvent,
    /// There is a container or a part of this type, and only one may be.
    SecondOfType,
    /// The header of the item is larger than [`MAX_HEADER_BYTES`].
    HeaderTooLarge,
    /// The envelope is full, see [`MAX_ITEMS`].
    TooManyItems,
}

/// An item that cannot be added, handed back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushError {
    kind: PushErrorKind,
    /// What was there before, for the message.
    other: Option<ItemType>,
    item: Box<Item>,
}

impl PushError {
    pub(super) fn new((kind, other): (PushErrorKind, Option<ItemType>), item: Item) -> Self {
        Self { kind, other, item: Box::new(item) }
    }

    /// Which rule forbids it.
    #[must_use]
    pub const fn kind(&self) -> PushErrorKind {
        self.kind
    }

    /// The item, to put into another envelope.
    #[must_use]
    pub fn into_item(self) -> Item {
        *self.item
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = self.item.item_type();
        match (self.kind, &self.other) {
            (PushErrorKind::HeaderTooLarge, _) => write!(
                f,
                "the header of the {item} item has {} bytes; at most {MAX_HEADER_BYTES} are allowed",
                self.item.header_raw().len()
            ),
            (PushErrorKind::SecondEvent, Some(other)) if other != item => {
                let article = if *other == ItemType::Event { "an" } else { "a" };
                write!(f, "an envelope with {article} {other} takes no {item}; use another envelope")
            }
            (PushErrorKind::TooManyItems, _) => {
                write!(f, "the envelope has {MAX_ITEMS} items already; use another envelope")
            }
            _ => write!(f, "an envelope takes one {item} item only; use another envelope"),
        }
    }
}

impl Error for PushError {}

pub(super) fn check(present: &[Item], item: &Item) -> Result<(), (PushErrorKind, Option<ItemType>)> {
    if item.header_raw().len() > MAX_HEADER_BYTES {
        return Err((PushErrorKind::HeaderTooLarge, None));
    }
    if present.len() >= MAX_ITEMS {
        return Err((PushErrorKind::TooManyItems, None));
    }
    let is_event = |ty: &ItemType| matches!(ty, ItemType::Event | ItemType::Transaction);
    let ty = item.item_type();
    let (kind, other) = match ty {
        ItemType::Event | ItemType::Transaction => {
            (PushErrorKind::SecondEvent, present.iter().find(|item| is_event(item.item_type())))
        }
        ItemType::Log
        | ItemType::TraceMetric
        | ItemType::Span
        | ItemType::ReplayEvent
        | ItemType::ReplayRecording
        | ItemType::ReplayVideo => {
            (PushErrorKind::SecondOfType, present.iter().find(|item| item.item_type() == ty))
        }
        _ => return Ok(()),
    };
    other.map_or(Ok(()), |other| Err((kind, Some(other.item_type().clone()))))
}
