use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use envoi_batch::Category;
use envoi_core::{DiscardReason, LossSink};
use envoi_layers::on_error::{ErrorHook, OverflowSink};

use crate::guard;

/// Collects what gave way in the queue or was left at the end, and reports it from time to time: with every event that
/// makes another one give way a call would be too much (BD-8). What is lost in the stack reports itself.
#[derive(Clone, Debug)]
pub(super) struct Losses {
    sink: OverflowSink,
    overflow: Arc<AtomicU64>,
}

impl Losses {
    pub(super) fn new(hook: &ErrorHook) -> Self {
        Self { sink: hook.overflows(), overflow: Arc::default() }
    }

    /// Reports what has come together. Never with a lock held: the handler is a stranger.
    pub(super) fn report(&self) {
        if self.overflow.load(Ordering::Relaxed) == 0 {
            return;
        }
        let items = self.overflow.swap(0, Ordering::Relaxed);
        if items > 0 {
            guard::inside(|| self.sink.lost(DiscardReason::QueueOverflow, &Category::EVENT, items));
        }
    }
}

impl LossSink<Category> for Losses {
    fn lost(&self, reason: DiscardReason, category: &Category, quantity: u64) {
        #[cfg(feature = "tracing")]
        guard::emit(|| tracing::debug!(target: "envoi", %reason, %category, quantity, "lost"));
        #[cfg(not(feature = "tracing"))]
        let _ = category;
        if matches!(reason, DiscardReason::QueueOverflow | DiscardReason::CacheOverflow) {
            self.overflow.fetch_add(quantity, Ordering::Relaxed);
        }
    }

    fn refused(&self, status: http::StatusCode, category: &Category, quantity: u64) {
        #[cfg(feature = "tracing")]
        guard::emit(|| {
            tracing::debug!(target: "envoi", status = status.as_u16(), %category, quantity, "refused by the server");
        });
        #[cfg(not(feature = "tracing"))]
        let _ = (status, category, quantity);
    }
}
