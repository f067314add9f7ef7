use envoi_core::Weight;

/// How much a lane holds. Leased parcels do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Bound in items, as [`Weight::items`] counts them.
    pub items: usize,
    /// Bound in bytes, as [`Weight::bytes`] counts them.
    pub bytes: usize,
}

impl Capacity {
    /// A capacity of so many items and bytes.
    #[must_use]
    pub const fn new(items: usize, bytes: usize) -> Self {
        Self { items, bytes }
    }

    pub(super) const fn holds(self, weight: Weight) -> bool {
        weight.items <= self.items && weight.bytes <= self.bytes
    }
}

/// 1000 items and 32 MiB.
impl Default for Capacity {
    fn default() -> Self {
        Self::new(1000, 32 << 20)
    }
}

/// What gives way when a lane is full (TP-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest parcels of the same lane.
    #[default]
    DropOldest,
    /// The newcomer.
    DropNewest,
}
