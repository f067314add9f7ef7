use std::fmt;
use std::sync::Arc;

use envoi_core::SharedClock;
use tower_layer::Layer;

use super::Filter;
use super::rules::Rules;
use crate::TokioClock;

/// Makes services that hold back what is under a rate limit, see the [module](super).
#[derive(Clone)]
pub struct FilterLayer<L, K = ()> {
    limits: L,
    sink: K,
    clock: SharedClock,
}

impl<L> FilterLayer<L> {
    /// A filter that asks `limits`, and teaches it. One table per destination (RL-7): give each filter a clone of the
    /// same handle, or an `Arc` of the table.
    ///
    /// What is dropped is recorded nowhere until [`FilterLayer::report_to`] says where.
    #[must_use]
    pub fn new(limits: L) -> Self {
        Self { limits, sink: (), clock: Arc::new(TokioClock) }
    }
}

impl<L, K> FilterLayer<L, K> {
    /// Where losses are recorded: the ledger of the stack, the aggregator of client reports, or a pair of both.
    #[must_use]
    pub fn report_to<T>(self, sink: T) -> FilterLayer<L, T> {
        FilterLayer { limits: self.limits, sink, clock: self.clock }
    }

    /// Where time comes from. It is read when a limit may be in force and when a reply came, never in between.
    #[must_use]
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }
}

impl<S, L: Clone, K: Clone> Layer<S> for FilterLayer<L, K> {
    type Service = Filter<S, L, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Filter::new(
            inner,
            Rules { limits: self.limits.clone(), sink: self.sink.clone(), clock: Arc::clone(&self.clock) },
        )
    }
}

impl<L, K> fmt::Debug for FilterLayer<L, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterLayer").field("clock", &self.clock).finish_non_exhaustive()
    }
}
