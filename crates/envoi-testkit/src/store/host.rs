use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use envoi_core::{DiscardReason, LossSink, Store, StoreHost};

use crate::{Goods, GoodsCategory};

type Losses = Vec<(DiscardReason, GoodsCategory, u64)>;

/// Who a store works for, in tests of stores: writes down what it is told.
#[derive(Debug, Default)]
pub struct Host {
    lost: Mutex<Losses>,
    restored: Mutex<Losses>,
    gone: Mutex<Vec<u64>>,
    found: Mutex<Vec<(GoodsCategory, u64)>>,
    wakes: AtomicUsize,
    unreported: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    /// A store, and the host that it was connected to.
    pub fn connected<S: Store<Goods>>(store: S) -> (S, Arc<Self>) {
        let host = Arc::new(Self::default());
        store.connect(Arc::<Self>::clone(&host));
        (store, host)
    }

    /// The losses that were recorded.
    #[must_use]
    pub fn lost(&self) -> Losses {
        lock(&self.lost).clone()
    }

    /// The sum of the losses.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        lock(&self.lost).iter().map(|(_, _, quantity)| quantity).sum()
    }

    /// The losses of others that were put back.
    #[must_use]
    pub fn restored(&self) -> Losses {
        lock(&self.restored).clone()
    }

    /// The tags that are gone, in order.
    #[must_use]
    pub fn gone(&self) -> Vec<u64> {
        lock(&self.gone).clone()
    }

    /// What came to light.
    #[must_use]
    pub fn found(&self) -> Vec<(GoodsCategory, u64)> {
        lock(&self.found).clone()
    }

    /// How often there was something new to lease.
    #[must_use]
    pub fn wakes(&self) -> usize {
        self.wakes.load(Ordering::Relaxed)
    }

    /// What the host says when it is asked whether losses wait to be reported.
    pub fn set_unreported(&self, unreported: bool) {
        self.unreported.store(unreported, Ordering::Relaxed);
    }
}

impl LossSink<GoodsCategory> for Host {
    fn lost(&self, reason: DiscardReason, category: &GoodsCategory, quantity: u64) {
        lock(&self.lost).push((reason, category.clone(), quantity));
    }

    fn restore(&self, reason: DiscardReason, category: &GoodsCategory, quantity: u64) {
        lock(&self.restored).push((reason, category.clone(), quantity));
    }
}

impl StoreHost<GoodsCategory> for Host {
    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }

    fn gone(&self, tag: u64) {
        lock(&self.gone).push(tag);
    }

    fn has_unreported(&self) -> bool {
        self.unreported.load(Ordering::Relaxed)
    }

    fn found(&self, category: &GoodsCategory, quantity: u64) {
        lock(&self.found).push((category.clone(), quantity));
    }
}
