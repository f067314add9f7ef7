use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use envoi_core::{DiscardReason, Itemized, Ledger, Loss, LossSink};
use http::StatusCode;

/// Category and quantity of some items.
pub(super) type Tally<C> = Vec<(C, u64)>;

pub(super) fn tally_of<P: Itemized>(payload: &P) -> Tally<P::Category> {
    let mut tally = Vec::new();
    payload.tally(&mut |category, quantity| tally.push((category.clone(), quantity)));
    tally
}

/// The ledger, whoever else wants to know of losses, and what is in flight.
pub(super) struct Books<C> {
    pub(super) ledger: Ledger<C>,
    pub(super) sink: Arc<dyn LossSink<C>>,
    in_flight: Mutex<BTreeMap<C, u64>>,
}

impl<C: Clone + Ord + Send + Sync + 'static> Books<C> {
    pub(super) fn new(ledger: Ledger<C>, sink: Option<Arc<dyn LossSink<C>>>) -> Self {
        let sink: Arc<dyn LossSink<C>> = match sink {
            Some(sink) => Arc::new((ledger.clone(), sink)),
            None => Arc::new(ledger.clone()),
        };
        Self { ledger, sink, in_flight: Mutex::default() }
    }

    fn in_flight(&self) -> MutexGuard<'_, BTreeMap<C, u64>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what leaves the store. Independent of the ledger, so that the two can be compared.
    pub(super) fn departed(&self, tally: &Tally<C>) {
        let mut in_flight = self.in_flight();
        for (category, quantity) in tally {
            let sum = in_flight.entry(category.clone()).or_default();
            *sum = sum.saturating_add(*quantity);
        }
    }

    /// What departed is accounted for, or back in the store.
    pub(super) fn arrived(&self, tally: &Tally<C>) {
        let mut in_flight = self.in_flight();
        for (category, quantity) in tally {
            if let Some(sum) = in_flight.get_mut(category) {
                *sum = sum.saturating_sub(*quantity);
            }
        }
    }

    pub(super) fn visit_in_flight(&self, visit: &mut dyn FnMut(&C, u64)) {
        for (category, quantity) in self.in_flight().iter().filter(|(_, quantity)| **quantity > 0) {
            visit(category, *quantity);
        }
    }

    /// Enters a payload as taken on.
    pub(super) fn posted<P: Itemized<Category = C>>(&self, payload: &P) {
        payload.tally(&mut |category, quantity| self.ledger.posted(category, quantity));
    }

    /// Enters what was destroyed.
    pub(super) fn lost(&self, loss: &Loss, category: &C, quantity: u64) {
        match loss {
            Loss::Refused(status) => self.sink.refused(*status, category, quantity),
            Loss::Lost(reason) => self.sink.lost(reason.clone(), category, quantity),
        }
    }

    /// Enters a payload that is destroyed, and puts back the losses of others that it carries, unless the server has
    /// read them (decision 14).
    pub(super) fn destroyed<P: Itemized<Category = C>>(&self, payload: &P, loss: &Loss) {
        payload.tally(&mut |category, quantity| self.lost(loss, category, quantity));
        if restores(loss) {
            self.restore(payload);
        }
    }

    /// Puts back the losses of others that a payload carries (CR-6).
    pub(super) fn restore<P: Itemized<Category = C>>(&self, payload: &P) {
        payload
            .carried_losses(&mut |reason, category, quantity| self.sink.restore(reason, category, quantity));
    }
}

/// Whether a report on board of what met this end is to be told again (decision 14).
pub(super) fn restores(loss: &Loss) -> bool {
    !matches!(loss, Loss::Refused(StatusCode::TOO_MANY_REQUESTS))
        && !matches!(loss, Loss::Refused(status) if status.is_success())
}

/// The news that a payload carried, by reason and category.
pub(super) type News<C> = Vec<(DiscardReason, C, u64)>;

pub(super) fn news_of<P: Itemized>(payload: &P) -> News<P::Category> {
    let mut news = Vec::new();
    payload.carried_losses(&mut |reason, category, quantity| news.push((reason, category.clone(), quantity)));
    news
}

/// What is in `more` beyond what is in `less`, by key. In either, one key may come more than once.
pub(super) fn beyond<K: Ord>(more: Vec<(K, u64)>, less: &[(K, u64)]) -> BTreeMap<K, u64> {
    let mut sums = BTreeMap::new();
    for (key, quantity) in more {
        let sum: &mut u64 = sums.entry(key).or_default();
        *sum = sum.saturating_add(quantity);
    }
    for (key, quantity) in less {
        if let Some(sum) = sums.get_mut(key) {
            *sum = sum.saturating_sub(*quantity);
        }
    }
    sums.retain(|_, quantity| *quantity > 0);
    sums
}
