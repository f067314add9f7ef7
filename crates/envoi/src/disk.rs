use std::fmt;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use envoi_core::{Deliver, Durable, Itemized};
use envoi_layers::outbox::{Outbox, OutboxConfig, OutboxLayer};
use envoi_spool::{OpenError, Spool, SpoolConfig};
use tower_layer::Layer;

/// The disk buffer as one layer: an [outbox](envoi_layers::outbox) over a [`Spool`], under its everyday name.
///
/// What it is given is on disk before it is sent, and is deleted when its outcome is known (OC-1). Outermost, it is what an
/// application posts to; below an outbox in memory it answers `Stored` upwards and drives what is below it itself. Give
/// both the same ledger then ([`OutboxConfig::ledger`]), so that nothing is entered twice.
///
/// A directory has one owner, so the layer is to be used once.
///
/// ```
/// use envoi::DiskBufferLayer;
/// use envoi_core::{Failure, Parcel, Receipt};
/// # use envoi_testkit::Goods;
/// use tower::{ServiceBuilder, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("buffer");
/// let outbox = ServiceBuilder::new()
///     .layer(DiskBufferLayer::new(path)?)
///     .service(service_fn(|parcel: Parcel<Goods>| async move { drop(parcel); Ok::<_, Failure<Goods>>(Receipt::delivered()) }));
/// outbox.post_durable(Goods::new("error")).await?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct DiskBufferLayer<P: Itemized> {
    spool: Arc<Spool<P>>,
    outbox: OutboxLayer<P>,
}

impl<P> DiskBufferLayer<P>
where
    P: Durable + Itemized<Category: From<String> + Display>,
{
    /// A buffer in the directory `path`, with all defaults. Blocks while it recovers what is there.
    ///
    /// # Errors
    /// If the directory cannot be used.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::with_config(path, SpoolConfig::new(), OutboxConfig::new())
    }

    /// A buffer with settings of your own.
    ///
    /// # Errors
    /// If the directory cannot be used.
    pub fn with_config(
        path: impl AsRef<Path>,
        spool: SpoolConfig,
        outbox: OutboxConfig<P>,
    ) -> Result<Self, OpenError> {
        let spool = Arc::new(Spool::open(path, spool)?);
        let outbox = OutboxLayer::new(outbox).store(Arc::clone(&spool));
        Ok(Self { spool, outbox })
    }

    /// The spool, to look at.
    #[must_use]
    pub const fn spool(&self) -> &Arc<Spool<P>> {
        &self.spool
    }
}

impl<S, P> Layer<S> for DiskBufferLayer<P>
where
    S: Deliver<P, Future: Send> + Send + 'static,
    P: Itemized,
{
    type Service = Outbox<P>;

    fn layer(&self, inner: S) -> Outbox<P> {
        self.outbox.layer(inner)
    }
}

impl<P: Itemized> fmt::Debug for DiskBufferLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskBufferLayer").field("spool", &self.spool).finish_non_exhaustive()
    }
}
