use std::fmt;
use std::sync::Arc;

use envoi_core::{Deliver, Itemized, Store};
use tokio::runtime::Handle;
use tower_layer::Layer;

use super::shared::Shared;
use super::{Driver, MemoryStore, Outbox, OutboxConfig};

/// Makes an outbox in front of `service`, and the driver that makes it work.
///
/// ```
/// # use envoi_core::{Failure, Parcel, Receipt};
/// # use envoi_testkit::Goods;
/// # use tower::service_fn;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use envoi_layers::outbox::{MemoryStore, OutboxConfig, outbox};
/// # let service = service_fn(|parcel: Parcel<Goods>| async move { drop(parcel); Ok::<_, Failure<Goods>>(Receipt::delivered()) });
/// let (outbox, driver) = outbox(MemoryStore::new(), OutboxConfig::new(), service);
/// tokio::spawn(driver);
/// outbox.post(Goods::new("error")).unwrap();
/// assert!(outbox.flush(Duration::from_secs(1)).await.is_complete());
/// assert!(outbox.ledger().snapshot().is_settled());
/// # });
/// ```
pub fn outbox<S, P>(store: impl Store<P>, config: OutboxConfig<P>, service: S) -> (Outbox<P>, Driver<S, P>)
where
    S: Deliver<P>,
    P: Itemized,
{
    make(Arc::new(store), config, service)
}

fn make<S, P>(store: Arc<dyn Store<P>>, config: OutboxConfig<P>, service: S) -> (Outbox<P>, Driver<S, P>)
where
    S: Deliver<P>,
    P: Itemized,
{
    let shared = Shared::new(store, &config);
    (Outbox::new(Arc::clone(&shared)), Driver::new(shared, config, service))
}

/// Where a driver runs.
#[derive(Clone, Debug, Default)]
enum Runner {
    #[default]
    Nearest,
    Runtime(Handle),
    Thread,
}

/// An outbox as a layer: the service that it makes is the handle, the inner service is driven in the background.
///
/// The driver runs on the runtime that [`Layer::layer`] is called in; outside of one, on a thread of its own. Of a store
/// that was given ([`OutboxLayer::store`]) there is one, so such a layer is to be used once; with the default each use
/// has a queue of its own.
///
/// Of what tower expects of a layer the part about readiness does not apply: the handle is always ready, the readiness
/// of the inner service is the driver's business, and the answer says that the parcel is queued, not what the inner
/// service said.
pub struct OutboxLayer<P: Itemized> {
    store: Option<Arc<dyn Store<P>>>,
    config: OutboxConfig<P>,
    runner: Runner,
}

impl<P: Itemized> OutboxLayer<P> {
    /// An outbox in memory.
    #[must_use]
    pub const fn new(config: OutboxConfig<P>) -> Self {
        Self { store: None, config, runner: Runner::Nearest }
    }

    /// Keeps parcels in `store`.
    #[must_use]
    pub fn store(mut self, store: impl Store<P>) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Runs the driver on this runtime.
    #[must_use]
    pub fn on_runtime(mut self, handle: Handle) -> Self {
        self.runner = Runner::Runtime(handle);
        self
    }

    /// Runs the driver on a thread of its own.
    #[must_use]
    pub fn on_own_thread(mut self) -> Self {
        self.runner = Runner::Thread;
        self
    }
}

impl<S, P> Layer<S> for OutboxLayer<P>
where
    S: Deliver<P, Future: Send> + Send + 'static,
    P: Itemized,
{
    type Service = Outbox<P>;

    fn layer(&self, inner: S) -> Outbox<P> {
        let store = self.store.clone().unwrap_or_else(|| Arc::new(MemoryStore::new()));
        let (outbox, driver) = make(store, self.config.clone(), inner);
        let runtime = match &self.runner {
            Runner::Nearest => Handle::try_current().ok(),
            Runner::Runtime(handle) => Some(handle.clone()),
            Runner::Thread => None,
        };
        match runtime {
            Some(handle) => drop(handle.spawn(driver)),
            // Without a thread the driver is dropped, and the outbox is closed: every post says so.
            None => drop(driver.spawn_thread()),
        }
        outbox
    }
}

impl<P: Itemized> Clone for OutboxLayer<P> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), config: self.config.clone(), runner: self.runner.clone() }
    }
}

impl<P: Itemized> fmt::Debug for OutboxLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxLayer")
            .field("config", &self.config)
            .field("runner", &self.runner)
            .finish_non_exhaustive()
    }
}
