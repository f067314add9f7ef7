use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tower_layer::Layer;

use super::shared::Shared;
use super::{Breaker, BreakerConfig, BreakerSnapshot, BreakerState};

/// Makes services that share one circuit, see the [module](super). Clones of the layer share it as well: keep one to look
/// at the state.
///
/// One receiver, one circuit: stacks to different receivers need layers of their own.
#[derive(Clone, Debug)]
pub struct BreakerLayer {
    shared: Arc<Shared>,
}

impl BreakerLayer {
    /// A circuit that is closed.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self { shared: Arc::new(Shared::new(config)) }
    }

    /// What the circuit does with the next call.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.shared.state()
    }

    /// Until when calls are refused, if they are at `now`; while a probe is out, for how long it should be left alone. Tell an
    /// outbox above that is to keep what it has ([`OutboxConfig::hold`](crate::outbox::OutboxConfig::hold)): then nothing
    /// leaves the queue only to be refused.
    #[must_use]
    pub fn refuses_until(&self, now: Instant) -> Option<Instant> {
        self.shared.refuses_until(now)
    }

    /// Tells when the circuit opens, lets a probe out, or closes. Single failures while it is closed are not told; a slow
    /// receiver sees the latest state.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<BreakerState> {
        self.shared.changes()
    }

    /// The state by wall-clock time, to carry it over a restart.
    #[must_use]
    pub fn snapshot(&self) -> BreakerSnapshot {
        self.shared.snapshot()
    }

    /// Takes a saved state on, at the start of a process. An open circuit stays open for what is left of its cooldown, but
    /// for `ceiling` and its own cooldown at most: the wall clock may have been set back since. Calls that are underway have
    /// no say any more.
    ///
    /// ```
    /// use std::time::Duration;
    /// use envoi_layers::breaker::{BreakerLayer, BreakerSnapshot};
    /// let saved = BreakerLayer::default().snapshot().to_string();
    ///
    /// // In the next process:
    /// let layer = BreakerLayer::default();
    /// layer.restore(&saved.parse::<BreakerSnapshot>()?, Duration::from_secs(30));
    /// # Ok::<(), envoi_layers::breaker::BreakerSnapshotError>(())
    /// ```
    pub fn restore(&self, snapshot: &BreakerSnapshot, ceiling: Duration) {
        self.shared.restore(snapshot, ceiling);
    }
}

impl Default for BreakerLayer {
    /// By the defaults of [`BreakerConfig`].
    fn default() -> Self {
        Self::new(BreakerConfig::new())
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Breaker<S>;

    fn layer(&self, inner: S) -> Breaker<S> {
        Breaker::new(inner, Arc::clone(&self.shared))
    }
}
