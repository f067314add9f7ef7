//! Envelopes and items: see [`Envelope`].

mod build;
mod combine;
mod error;
mod header;
mod item;
mod item_header;
mod item_type;
mod model;
mod parse;
mod size;
mod write;

#[cfg(test)]
mod tests;

pub use combine::{PushError, PushErrorKind};
pub use error::{ParseError, ParseErrorKind, Stage};
pub use header::HeaderError;
pub use item::Item;
pub use item_type::ItemType;
pub use model::Envelope;
pub use parse::{Leniences, Leniency, Parsed};
pub use size::{SizeError, SizeLimits};

/// The most bytes that the header of an envelope or an item may have (decision 23).
pub const MAX_HEADER_BYTES: usize = 64 * 1024;

/// The most items that an envelope may have when it is read: what bounds the memory that a hostile one takes.
pub const MAX_ITEMS: usize = 100_000;
