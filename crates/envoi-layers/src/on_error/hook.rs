use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use envoi_core::{DiscardReason, Fault, Loss, LossSink};

use super::DeliveryError;

type Handler = dyn Fn(&DeliveryError) + Send + Sync;

thread_local! {
    /// Whether a handler runs on this thread.
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Where losses are reported: a handler, or the one warning per process. Clones share the handler.
///
/// ```
/// use envoi_layers::on_error::{DeliveryError, ErrorHook, OnErrorLayer};
/// let hook = ErrorHook::new(|error| eprintln!("telemetry lost: {error}"));
/// let layer = OnErrorLayer::with_hook(hook.clone());
/// hook.report(&DeliveryError::Overflow { items: 3 }); // a buffer of your own was full
/// ```
#[derive(Clone, Default)]
pub struct ErrorHook {
    handler: Option<Arc<Handler>>,
    /// Whether there is a sink that reports overflows.
    has_sink: Arc<AtomicBool>,
}

impl ErrorHook {
    /// Reports to this handler. It runs where a loss is noticed, so it should be quick.
    #[must_use]
    pub fn new(handler: impl Fn(&DeliveryError) + Send + Sync + 'static) -> Self {
        Self { handler: Some(Arc::new(handler)), has_sink: Arc::default() }
    }

    /// Reports a loss. A handler that panics has heard it; what is lost while it runs, by its own doing, it does not hear.
    pub fn report(&self, error: &DeliveryError) {
        if REPORTING.replace(true) {
            return;
        }
        let run = || match &self.handler {
            Some(handler) => handler(error),
            None => warn_once(error),
        };
        // The handler is a stranger, and its panic is nobody's business here.
        let _ = catch_unwind(AssertUnwindSafe(run));
        REPORTING.set(false);
    }

    /// Reports what a queue loses on its own: give it to
    /// [`OutboxConfig::losses`](crate::outbox::OutboxConfig::losses), in a pair with another sink if there is one.
    ///
    /// From then on an [`OnError`](super::OnError) of this hook leaves to that sink what the outbox above it will write down
    /// as an overflow: a queue further in was full, or closed. Else it would be reported twice.
    #[must_use]
    pub fn overflows(&self) -> OverflowSink {
        self.has_sink.store(true, Ordering::Relaxed);
        OverflowSink(self.clone())
    }

    /// Whether the sink will report a parcel that is given up for this fault.
    pub(super) fn leaves_to_sink(&self, fault: &Fault) -> bool {
        self.has_sink.load(Ordering::Relaxed)
            && matches!(fault.loss(), Loss::Lost(reason) if is_overflow(&reason))
    }
}

/// Says something about the first loss of the process, if it can.
#[cfg(feature = "tracing")]
fn warn_once(error: &DeliveryError) {
    use std::sync::atomic::{AtomicBool, Ordering};

    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(%error, "telemetry is lost; give the transport an error handler to hear of each loss, this is said once");
    }
}

#[cfg(not(feature = "tracing"))]
const fn warn_once(_: &DeliveryError) {}

impl fmt::Debug for ErrorHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorHook").field("handler", &self.handler.is_some()).finish()
    }
}

const fn is_overflow(reason: &DiscardReason) -> bool {
    matches!(reason, DiscardReason::QueueOverflow | DiscardReason::CacheOverflow)
}

/// A [`LossSink`] that reports `queue_overflow` and `cache_overflow` as [`DeliveryError::Overflow`], and nothing else: the
/// other losses come by an [`OnError`](super::OnError). From [`ErrorHook::overflows`].
///
/// One report per parcel that a queue pushes out, or still has when it closes; of a payload with items of several
/// categories, one for each.
#[derive(Clone, Debug)]
pub struct OverflowSink(ErrorHook);

impl<C> LossSink<C> for OverflowSink {
    fn lost(&self, reason: DiscardReason, _: &C, quantity: u64) {
        if is_overflow(&reason) {
            self.0.report(&DeliveryError::Overflow { items: quantity });
        }
    }
}
