use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;

use crate::{DiscardReason, LossSink};

/// The account of one category.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Accepted for delivery, losses at the door included.
    pub posted: u64,
    /// Confirmed by the receiver.
    pub delivered: u64,
    /// Refused by the server, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Destroyed on the way, by reason.
    pub lost: BTreeMap<DiscardReason, u64>,
}

impl Account {
    /// The sum of all refusals.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.values().fold(0, |sum, quantity| sum.saturating_add(*quantity))
    }

    /// The sum of all losses.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        self.lost.values().fold(0, |sum, quantity| sum.saturating_add(*quantity))
    }

    /// What is still underway: queued, in flight or stored. `None` if more left than ever came, which is a bug in
    /// some layer's bookkeeping.
    #[must_use]
    pub fn held(&self) -> Option<u64> {
        let left = self.delivered.saturating_add(self.refused_total()).saturating_add(self.lost_total());
        self.posted.checked_sub(left)
    }
}

/// Quantities come from headers that anybody may have written: a sum stays at the top instead of overflowing.
fn add(sum: &mut u64, quantity: u64) {
    *sum = sum.saturating_add(quantity);
}

/// All accounts at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSnapshot<C> {
    accounts: BTreeMap<C, Account>,
}

impl<C: Ord> LedgerSnapshot<C> {
    /// The account of `category`, if anything of it was ever posted or lost.
    #[must_use]
    pub fn get(&self, category: &C) -> Option<&Account> {
        self.accounts.get(category)
    }

    /// All accounts, by category.
    pub fn iter(&self) -> impl Iterator<Item = (&C, &Account)> {
        self.accounts.iter()
    }

    /// Whether no category has more exits than entries.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.accounts.values().all(|account| account.held().is_some())
    }

    /// Whether everything that was posted has an outcome.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.accounts.values().all(|account| account.held() == Some(0))
    }
}

/// The books of a transport: at every moment, per category,
/// `posted = delivered + refused + lost + held`.
///
/// A cheap handle; clones share the books. It is a [`LossSink`], so a layer that is given the ledger writes its
/// losses straight into it. A snapshot is consistent: it is taken under the one lock that all entries use. Post
/// before you hand over, or a quick loss is in the books before its posting. Sums stop at `u64::MAX`.
///
/// ```
/// use envoi_core::{DiscardReason, Ledger, LossSink};
/// let ledger = Ledger::new();
/// ledger.posted(&"error", 3);
/// ledger.delivered(&"error", 1);
/// ledger.lost(DiscardReason::QueueOverflow, &"error", 1);
/// let snapshot = ledger.snapshot();
/// assert_eq!(snapshot.get(&"error").unwrap().held(), Some(1));
/// ```
#[derive(Debug)]
pub struct Ledger<C> {
    accounts: Arc<Mutex<BTreeMap<C, Account>>>,
}

impl<C> Clone for Ledger<C> {
    fn clone(&self) -> Self {
        Self { accounts: Arc::clone(&self.accounts) }
    }
}

impl<C> Default for Ledger<C> {
    fn default() -> Self {
        Self { accounts: Arc::default() }
    }
}

impl<C: Clone + Ord> Ledger<C> {
    /// Empty books.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<C, Account>> {
        // Every critical section leaves the map consistent, so a panic of another thread does not spoil it.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, category: &C, write: impl FnOnce(&mut Account)) {
        let mut accounts = self.lock();
        match accounts.get_mut(category) {
            Some(account) => write(account),
            None => write(accounts.entry(category.clone()).or_default()),
        }
    }

    /// Books `quantity` as taken on.
    pub fn posted(&self, category: &C, quantity: u64) {
        self.enter(category, |account| add(&mut account.posted, quantity));
    }

    /// Takes back `quantity` of what was entered by [`Ledger::posted`]: it was handed back to whoever posted it, and is
    /// theirs to account for again.
    pub fn withdrawn(&self, category: &C, quantity: u64) {
        self.enter(category, |account| account.posted = account.posted.saturating_sub(quantity));
    }

    /// Whether `other` is a handle to the same books.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.accounts, &other.accounts)
    }

    /// Books `quantity` as confirmed by the receiver.
    pub fn delivered(&self, category: &C, quantity: u64) {
        self.enter(category, |account| add(&mut account.delivered, quantity));
    }

    /// All accounts at this moment.
    #[must_use]
    pub fn snapshot(&self) -> LedgerSnapshot<C> {
        LedgerSnapshot { accounts: self.lock().clone() }
    }
}

impl<C: Clone + Ord + Send + Sync + 'static> LossSink<C> for Ledger<C> {
    fn lost(&self, reason: DiscardReason, category: &C, quantity: u64) {
        self.enter(category, |account| add(account.lost.entry(reason).or_default(), quantity));
    }

    fn refused(&self, status: StatusCode, category: &C, quantity: u64) {
        self.enter(category, |account| add(account.refused.entry(status.as_u16()).or_default(), quantity));
    }
}

#[cfg(test)]
mod tests;
