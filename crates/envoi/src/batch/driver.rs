use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::thread::{Builder, JoinHandle};

use envoi_batch::Batch;
use envoi_core::Deliver;
use envoi_layers::outbox::Driver;

#[cfg(feature = "metrics")]
use super::BatchTransport;
use super::inner::Inner;
use super::losses::Losses;
use super::queue::Queue;
use crate::guard;

pin_project_lite::pin_project! {
    /// Makes a [`BatchTransport`](super::BatchTransport) work: hands batches over when they are due and there is room, and
    /// sends them. Run it on a runtime with timers and I/O, or on a thread of its own.
    ///
    /// It ends when a shutdown is through, or a while after the last handle was dropped. Dropping it counts what is left as
    /// lost, reports it, and closes the transport.
    #[must_use = "a transport sends nothing until its driver is run"]
    pub struct BatchDriver<S: Deliver<Batch>> {
        #[pin]
        driver: Option<Driver<S, Batch>>,
        inner: Weak<Inner>,
        queue: Arc<Queue>,
        losses: Losses,
        // `None` when the last handle is gone.
        tending: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    }

    impl<S: Deliver<Batch>> PinnedDrop for BatchDriver<S> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            guard::inside(|| {
                this.queue.close();
                if let Some(inner) = this.inner.upgrade() {
                    inner.feed_all();
                }
                // Counts what it still has.
                this.driver.set(None);
                this.queue.end();
                this.losses.report();
            });
        }
    }
}

impl<S: Deliver<Batch>> BatchDriver<S> {
    pub(super) fn new(driver: Driver<S, Batch>, inner: &Arc<Inner>) -> Self {
        let (queue, losses) = (Arc::clone(&inner.queue), inner.books.losses.clone());
        let inner = Arc::downgrade(inner);
        let tending = Box::pin(tend(Weak::clone(&inner), Arc::clone(&queue)));
        Self { driver: Some(driver), inner, queue, losses, tending: Some(tending) }
    }
}

impl<S> BatchDriver<S>
where
    S: Deliver<Batch, Future: Send> + Send + 'static,
{
    /// Runs the driver on a thread of its own, with a small runtime of its own. The thread ends with the driver.
    ///
    /// # Errors
    /// If the runtime or the thread cannot be made; the transport is closed then.
    pub fn spawn_thread(self) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Builder::new().name("envoi-batch".to_owned()).spawn(move || {
            guard::settle();
            runtime.block_on(self);
        })
    }
}

impl<S: Deliver<Batch>> Future for BatchDriver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        guard::inside(|| {
            if let Some(tending) = this.tending
                && tending.as_mut().poll(cx).is_ready()
            {
                *this.tending = None;
            }
            let ended = this.driver.as_mut().as_pin_mut().is_none_or(|driver| driver.poll(cx).is_ready());
            if ended {
                this.driver.set(None);
                this.queue.end();
            } else if let Some(inner) = this.inner.upgrade() {
                // A delivery may have ended, which makes room. What is posted wakes this task again.
                inner.feed();
            }
            // After the books: what gave way, and what the driver could not bring home.
            this.losses.report();
            if ended { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

impl<S: Deliver<Batch>> fmt::Debug for BatchDriver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchDriver").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// Wakes the driver when a batch is due, until the last handle is gone.
async fn tend(inner: Weak<Inner>, queue: Arc<Queue>) {
    #[cfg(feature = "metrics")]
    let mut figures_due = None;
    loop {
        let wait = {
            let Some(inner) = inner.upgrade() else { return };
            inner.feed();
            let now = inner.clock.now();
            // Due already: whoever makes room feeds on.
            let next = queue.deadline().filter(|deadline| *deadline > now);
            #[cfg(feature = "metrics")]
            let next = {
                if figures_due.is_none_or(|due| due <= now) {
                    super::publish::publish(&BatchTransport::new(inner));
                    figures_due = Some(now + crate::publish::EVERY);
                }
                [next, figures_due].into_iter().flatten().min()
            };
            next.map(|next| next.saturating_duration_since(now))
        };
        match wait {
            None => queue.bell.notified().await,
            Some(wait) => {
                let _ = tokio::time::timeout(wait, queue.bell.notified()).await;
            }
        }
    }
}
