use std::time::Instant;

use envoi_core::{DiscardReason, Itemized, Parcel};

use super::meta::Label;

/// Where a record is: a slot that is open here, a lane of it, its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) source: u32,
    pub(super) lane: usize,
    pub(super) seq: u64,
}

/// Where the payload is.
#[derive(Debug)]
pub(super) enum Body<P> {
    /// In memory; on disk as well, if the entry has an address.
    Here(Parcel<P>),
    /// On disk only, or on loan.
    Away,
    /// On its way from the disk.
    Asked,
}

impl<P> Body<P> {
    pub(super) const fn is_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }
}

/// One parcel, as far as the store is concerned.
#[derive(Debug)]
pub(super) struct Entry<P: Itemized> {
    pub(super) tag: u64,
    pub(super) since: Instant,
    /// When it was accepted, milliseconds since the Unix epoch: what its age on disk is counted from.
    pub(super) wall_ms: u64,
    pub(super) label: Label<P::Category>,
    /// Bytes on disk, or that it would take there.
    pub(super) size: u64,
    pub(super) attempts: u32,
    pub(super) replayed: bool,
    pub(super) body: Body<P>,
    pub(super) address: Option<Address>,
    /// Records of it that hold more than is left. Until a newer one is sure to survive they are what a crash leaves.
    pub(super) former: Vec<Address>,
    /// Writes of it that are queued or run. There may be two: it came back with less while the first ran.
    pub(super) writes: u32,
    /// It is never written: a report of its own (decision 21).
    pub(super) volatile: bool,
}

impl<P: Itemized> Entry<P> {
    /// Bytes of memory that its payload takes.
    pub(super) const fn cached(&self) -> usize {
        if self.body.is_here() { self.label.bytes } else { 0 }
    }

    /// Whether any of it is on disk.
    pub(super) const fn is_stored(&self) -> bool {
        self.address.is_some() || !self.former.is_empty()
    }

    /// The records that the next one takes the place of.
    pub(super) fn predecessors(&self) -> impl Iterator<Item = Address> {
        self.former.iter().chain(&self.address).copied()
    }

    pub(super) const fn is_in_writing(&self) -> bool {
        self.writes > 0
    }

    /// Why it is lost if it has to make room.
    pub(super) const fn overflow(&self) -> DiscardReason {
        if self.address.is_some() || self.is_in_writing() {
            DiscardReason::CacheOverflow
        } else {
            DiscardReason::QueueOverflow
        }
    }
}
