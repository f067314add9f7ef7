use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use envoi_core::{Advice, Failure, Fault, Kind};
use tower_layer::Layer;

use super::Latch;

/// Makes services that share one latch, see the [module](super). Clones of the layer share it as well: keep one to look at
/// it.
///
/// One set of credentials, one latch: stacks with other keys need layers of their own.
#[derive(Clone, Debug, Default)]
pub struct LatchLayer {
    is_tripped: Arc<AtomicBool>,
}

impl LatchLayer {
    /// A latch that is not tripped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the server has refused the credentials. One relaxed load.
    #[must_use]
    pub fn is_tripped(&self) -> bool {
        self.is_tripped.load(Ordering::Relaxed)
    }

    /// Lets things go again. The next refusal trips it again, and so does one that is still underway.
    pub fn reset(&self) {
        self.is_tripped.store(false, Ordering::Relaxed);
    }

    /// Looks at a failure on its way up.
    pub(super) fn inspect<P>(&self, failure: Failure<P>) -> Failure<P> {
        if failure.fault().kind() != Kind::Unauthorized {
            return failure;
        }
        let is_first = !self.is_tripped.swap(true, Ordering::Relaxed);
        failure.map_fault(|fault| if is_first { fault.with_advice(Advice::Drop) } else { followed(fault) })
    }
}

/// The refusal of a request that was in flight beside the one that tripped the latch.
fn followed(fault: Fault) -> Fault {
    let reply = fault.reply().cloned();
    let explanation = fault.explanation().cloned().unwrap_or_default();
    let follower = Fault::caused_by(Kind::Disabled, fault).with_explanation(explanation);
    // So that the books say that the server refused it, which it did.
    match reply {
        Some(reply) => follower.with_reply(reply),
        None => follower,
    }
}

pub(super) fn disabled() -> Fault {
    Fault::new(Kind::Disabled).with_message("the server has refused the credentials before, correct the key")
}

impl<S> Layer<S> for LatchLayer {
    type Service = Latch<S>;

    fn layer(&self, inner: S) -> Latch<S> {
        Latch::new(inner, self.clone())
    }
}
