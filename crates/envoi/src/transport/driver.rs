use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use envoi_core::Deliver;
use envoi_envelope::Envelope;
use envoi_layers::outbox::Driver;
use tokio::sync::Notify;

#[cfg(feature = "metrics")]
use super::Transport;
use super::handle::Inner;
use crate::guard;

pin_project_lite::pin_project! {
    /// Makes a [`Transport`] work: sends what is queued, and containers when they are old enough. Run it on a runtime with
    /// timers and I/O, or on a thread of its own.
    ///
    /// It ends when a close is through, or a while after the last handle was dropped. Dropping it counts what is left as
    /// lost and closes the transport.
    #[must_use = "a transport sends nothing until its driver is run"]
    pub struct TransportDriver<S: Deliver<Envelope>> {
        #[pin]
        driver: Driver<S, Envelope>,
        // `None` when the last handle is gone.
        tending: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    }
}

impl<S: Deliver<Envelope>> TransportDriver<S> {
    pub(super) fn new(driver: Driver<S, Envelope>, inner: Weak<Inner>, bell: Arc<Notify>) -> Self {
        Self { driver, tending: Some(Box::pin(tend(inner, bell))) }
    }
}

impl<S> TransportDriver<S>
where
    S: Deliver<Envelope, Future: Send> + Send + 'static,
{
    /// Runs the driver on a thread of its own, with a small runtime of its own. The thread ends with the driver.
    ///
    /// # Errors
    /// If the runtime or the thread cannot be made; the transport is closed then.
    pub fn spawn_thread(self) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Builder::new().name("envoi".to_owned()).spawn(move || {
            guard::settle();
            runtime.block_on(self);
        })
    }
}

impl<S: Deliver<Envelope>> Future for TransportDriver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        guard::inside(|| {
            if let Some(tending) = this.tending
                && tending.as_mut().poll(cx).is_ready()
            {
                *this.tending = None;
            }
            this.driver.poll(cx)
        })
    }
}

impl<S: Deliver<Envelope>> fmt::Debug for TransportDriver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportDriver").finish_non_exhaustive()
    }
}

/// Sends containers when their time has come, until the last handle is gone.
async fn tend(inner: Weak<Inner>, bell: Arc<Notify>) {
    loop {
        let wait = {
            let Some(inner) = inner.upgrade() else { return };
            let now = inner.clock.now();
            inner.post_all(inner.batching.due(now));
            inner.batching.deadline().map(|deadline| deadline.saturating_duration_since(now))
        };
        #[cfg(feature = "metrics")]
        if let Some(transport) = Transport::upgrade(&inner) {
            super::publish::publish(&transport);
        }
        #[cfg(feature = "metrics")]
        let wait = Some(wait.map_or(crate::publish::EVERY, |wait| wait.min(crate::publish::EVERY)));
        ring_or_wait(&bell, wait).await;
    }
}

async fn ring_or_wait(bell: &Notify, wait: Option<Duration>) {
    match wait {
        // At least a millisecond, so that a clock that stands still does not make us spin.
        Some(wait) => {
            let wait = wait.max(Duration::from_millis(1));
            let _ = tokio::time::timeout(wait, bell.notified()).await;
        }
        None => bell.notified().await,
    }
}
