use std::collections::BTreeMap;
use std::sync::PoisonError;

use envoi_core::DiscardReason;

use super::grid::Grid;
use super::payload::{Discarded, MAX_QUANTITY};
use crate::DataCategory;
use crate::sync::Mutex;

/// Losses by reason and category. Known names are counted without a lock; unknown ones in a bounded map.
pub(super) struct Counts {
    /// A row per known reason and a column per known category, and one each for all others together.
    grid: Grid,
    unknown: Mutex<BTreeMap<(DiscardReason, DataCategory), u64>>,
}

static REASONS: [DiscardReason; 14] = DiscardReason::KNOWN;
static CATEGORIES: [DataCategory; DataCategory::KNOWN.len()] = DataCategory::KNOWN;
const ROWS: usize = REASONS.len() + 1;
const COLUMNS: usize = CATEGORIES.len() + 1;

/// What losses are counted under that no name of their own can be kept for.
const OTHER: &str = "other";
/// So many pairs with an unknown name are told apart.
const MAX_UNKNOWN: usize = 256;
/// A longer name is not kept. Even if each of its bytes is written as `\u00..`, a pair of them fits in a report.
const MAX_NAME: usize = 128;

/// The row of a reason, also of a known name that hides in `Other`.
fn row(reason: &DiscardReason) -> Option<usize> {
    let name = reason.as_str();
    REASONS.iter().position(|known| known.as_str() == name).or((name == OTHER).then_some(ROWS - 1))
}

fn column(category: &DataCategory) -> Option<usize> {
    category.index().or((category.as_str() == OTHER).then_some(COLUMNS - 1))
}

fn pair(slot: usize) -> (DiscardReason, DataCategory) {
    let reason = REASONS.get(slot / COLUMNS).cloned();
    let category = CATEGORIES.get(slot % COLUMNS).cloned();
    (
        reason.unwrap_or_else(|| DiscardReason::Other(OTHER.into())),
        category.unwrap_or_else(|| DataCategory::Other(OTHER.into())),
    )
}

impl Counts {
    pub(super) fn new() -> Self {
        Self { grid: Grid::new(ROWS * COLUMNS), unknown: Mutex::default() }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.grid.is_pending()
    }

    pub(super) fn add(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        let (row, column) = (row(&reason), column(category));
        if (row.is_some() && column.is_some()) || !self.add_unknown(reason, category, quantity) {
            // What cannot be told apart is still counted, with whichever of the two names is known.
            let slot = row.unwrap_or(ROWS - 1) * COLUMNS + column.unwrap_or(COLUMNS - 1);
            self.grid.add(slot, quantity);
        }
    }

    /// Counts a pair with an unknown name, if there is room for it.
    fn add_unknown(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) -> bool {
        if reason.as_str().len() > MAX_NAME || category.as_str().len() > MAX_NAME {
            return false;
        }
        // Every critical section leaves the map consistent, so a panic of another thread does not spoil it.
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        let full = unknown.len() >= MAX_UNKNOWN;
        let pair = (reason, category.clone());
        match unknown.get_mut(&pair) {
            Some(count) => *count = count.saturating_add(quantity),
            None if full => return false,
            None => drop(unknown.insert(pair, quantity)),
        }
        drop(unknown);
        self.grid.announce();
        true
    }

    /// Takes everything and starts from nought, at most [`MAX_QUANTITY`] of a pair at once.
    pub(super) fn take(&self) -> Vec<Discarded> {
        if !self.grid.withdraw() {
            return Vec::new();
        }
        let mut rows = Vec::new();
        self.grid.collect(MAX_QUANTITY, |slot, quantity| {
            let (reason, category) = pair(slot);
            rows.push(Discarded { reason, category, quantity });
        });
        let unknown = std::mem::take(&mut *self.unknown.lock().unwrap_or_else(PoisonError::into_inner));
        for ((reason, category), quantity) in unknown {
            if quantity > MAX_QUANTITY {
                self.add(reason.clone(), &category, quantity - MAX_QUANTITY);
            }
            rows.push(Discarded { reason, category, quantity: quantity.min(MAX_QUANTITY) });
        }
        rows
    }
}
