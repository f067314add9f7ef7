use std::sync::Arc;

use envoi_batch::{Batch, Batcher};
use envoi_core::{Deliver, Kind, Ledger};
use envoi_layers::breaker::BreakerLayer;
use envoi_layers::latch::LatchLayer;
use envoi_layers::on_error::{ErrorHook, OnErrorLayer};
use envoi_layers::outbox::{Capacity, MemoryStore, OutboxConfig, outbox};
use envoi_layers::retry::RetryLayer;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_layer::Layer;

use super::builder::BatchBuilder;
use super::inner::{Books, Inner};
use super::losses::Losses;
use super::queue::Queue;
use super::receiver::{Common, Receiver};
use super::{BatchBuildError, BatchDelivery, BatchDriver, BatchStack, BatchTransport};
use crate::guard;

/// The handle, and what makes it work.
type Built<S> = (BatchTransport, BatchDriver<S>);

impl<D, R> BatchBuilder<D, R>
where
    R: Receiver<Service: Clone>,
    D: Layer<BatchDelivery<R::Service>>,
    D::Service: Deliver<Batch, Future: Send> + Send + 'static,
{
    /// Builds the transport and runs it on a thread of its own. The usual choice: it works without a runtime, inside any
    /// runtime, and at exit.
    ///
    /// # Errors
    /// If the URL or the credential is none, the URL asks for TLS and the connector has none, the disk buffer cannot be
    /// opened, or the thread cannot be made.
    pub fn build(self) -> Result<BatchTransport, BatchBuildError> {
        let (transport, driver) = self.build_driver()?;
        driver.spawn_thread().map_err(BatchBuildError::Thread)?;
        Ok(transport)
    }

    /// Builds the transport and runs it on the application's runtime. It must have timers and I/O enabled. What is not
    /// sent when that runtime ends is counted as lost.
    ///
    /// # Errors
    /// As [`BatchBuilder::build`], but for the thread.
    pub fn build_on(self, runtime: &Handle) -> Result<BatchTransport, BatchBuildError> {
        let (transport, driver) = self.build_driver()?;
        drop(runtime.spawn(driver));
        Ok(transport)
    }

    /// Builds the transport and leaves it to you where its driver runs: a future that ends with the transport.
    ///
    /// # Errors
    /// As [`BatchBuilder::build`], but for the thread.
    pub fn build_driver(self) -> Result<Built<BatchStack<D::Service>>, BatchBuildError> {
        let Self { settings, handler, delivery, receiver } = self;
        let clock = settings.clock;
        let halt = CancellationToken::new();
        let hook = match handler {
            Some(handler) => ErrorHook::new(move |error| guard::inside(|| handler(error))),
            None => ErrorHook::default(),
        };
        let books = Books { ledger: Ledger::new(), losses: Losses::new(&hook) };
        #[cfg(feature = "spool")]
        let is_durable = settings.disk.is_some();
        #[cfg(not(feature = "spool"))]
        let is_durable = false;

        let concurrency = usize::try_from(settings.concurrency).unwrap_or(usize::MAX);
        let receiver = receiver.make(Common {
            http: settings.http,
            halt: halt.clone(),
            clock: Arc::clone(&clock),
            connections: concurrency,
        })?;
        let mut retry = RetryLayer::new(settings.schedule).halt_on(halt.clone()).count_earlier_attempts();
        if let Some(budget) = settings.budget {
            retry = retry.budget(budget);
        }
        if let Some(seed) = settings.seed {
            retry = retry.seed(seed);
        }
        let on_error = OnErrorLayer::with_hook(hook).takes_unready();
        let on_error = if is_durable {
            // What a shutdown interrupts is kept, not lost, and so is what the breaker does not let through.
            on_error
                .final_when(|fault| !matches!(fault.kind(), Kind::Halted | Kind::CircuitOpen))
                .cancelled_are_kept()
        } else {
            on_error.final_when(|_| true)
        };
        let breaker = BreakerLayer::new(settings.breaker.clock(Arc::clone(&clock)));
        let latch = LatchLayer::new();
        let service = ServiceBuilder::new()
            .layer(on_error)
            .layer(delivery)
            .layer(breaker.clone())
            .layer(retry)
            .layer(latch.clone())
            .service(receiver);

        let gate = latch.clone();
        let config = OutboxConfig::new()
            .gate(move || !gate.is_tripped())
            .concurrency(concurrency)
            .linger(settings.shutdown_timeout)
            .halt_token(halt)
            .ledger(books.ledger.clone())
            .losses(books.losses.clone())
            .clock(Arc::clone(&clock));
        let config = if is_durable {
            let breaker = breaker.clone();
            config.hold(move |now| breaker.refuses_until(now))
        } else {
            config
        };
        // The queue in front is what is bounded; what leaves it is on its way.
        let unbounded = Capacity::new(usize::MAX, usize::MAX);
        #[cfg(feature = "spool")]
        let (spool, (outbox, driver)) = match settings.disk {
            Some((path, disk)) => {
                let spool = envoi_spool::Spool::open(path, disk.clock(Arc::clone(&clock)));
                let spool = Arc::new(spool.map_err(BatchBuildError::Disk)?);
                super::inner::restore_breaker(&spool, &breaker);
                (Some(Arc::clone(&spool)), outbox(spool, config, service))
            }
            None => (None, outbox(MemoryStore::new().capacity(unbounded), config, service)),
        };
        #[cfg(not(feature = "spool"))]
        let (outbox, driver) = outbox(MemoryStore::new().capacity(unbounded), config, service);

        let batcher = Batcher::new(settings.batching, clock.now());
        let inner = Arc::new(Inner {
            outbox,
            queue: Arc::new(Queue::new(batcher, books.ledger.clone())),
            books: Arc::new(books),
            latch,
            breaker,
            clock,
            room: (!is_durable).then_some(settings.concurrency),
            #[cfg(feature = "spool")]
            spool,
        });
        let driver = BatchDriver::new(driver, &inner);
        Ok((BatchTransport::new(inner), driver))
    }
}
