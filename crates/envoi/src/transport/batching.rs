use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use envoi_core::{DiscardReason, Ledger, LossSink};
use envoi_envelope::batch::{BatchConfig, Batcher, Refused};
use envoi_envelope::{DataCategory, Envelope};
use tokio::sync::Notify;

use crate::sentry::Losses;

/// Books what never was in an envelope: entered as posted and as lost at the same moment.
#[derive(Clone, Debug)]
pub(super) struct Unposted {
    pub(super) ledger: Ledger<DataCategory>,
    pub(super) losses: Losses,
}

impl LossSink<DataCategory> for Unposted {
    fn lost(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        self.ledger.posted(category, quantity);
        self.ledger.lost(reason.clone(), category, quantity);
        self.losses.lost(reason, category, quantity);
    }
}

/// The batcher that all handles share (TP-4).
#[derive(Debug)]
pub(super) struct Batching {
    batcher: Mutex<Batcher<Unposted>>,
    /// Rung when the first deadline may have changed, and when the transport is gone.
    pub(super) bell: Arc<Notify>,
}

impl Batching {
    pub(super) fn new(config: BatchConfig, sink: Unposted) -> Self {
        Self { batcher: Mutex::new(Batcher::new(config, sink)), bell: Arc::new(Notify::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, Batcher<Unposted>> {
        self.batcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item and hands what is ready to `post`, with the lock released: posting may call strangers.
    pub(super) fn push(
        &self,
        now: Instant,
        add: impl FnOnce(&mut Batcher<Unposted>) -> Result<(), Refused>,
        post: impl FnMut(Envelope),
    ) -> Result<(), Refused> {
        let (ready, first) = {
            let mut batcher = self.lock();
            let was_empty = batcher.is_empty();
            add(&mut batcher)?;
            (drain(|| batcher.poll(now)), was_empty)
        };
        if first {
            self.bell.notify_one();
        }
        ready.into_iter().for_each(post);
        Ok(())
    }

    /// What is ready at `now`.
    pub(super) fn due(&self, now: Instant) -> Vec<Envelope> {
        let mut batcher = self.lock();
        drain(|| batcher.poll(now))
    }

    /// Everything, ready or not.
    pub(super) fn flush(&self) -> Vec<Envelope> {
        let mut batcher = self.lock();
        drain(|| batcher.flush())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lock().deadline()
    }

    pub(super) fn tally(&self, visit: &mut dyn FnMut(&DataCategory, u64)) {
        self.lock().tally(visit);
    }
}

fn drain(next: impl FnMut() -> Option<Envelope>) -> Vec<Envelope> {
    std::iter::from_fn(next).collect()
}
