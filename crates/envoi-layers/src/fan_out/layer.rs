use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use envoi_core::{Itemized, Parcel};
use tower_layer::Layer;

use super::FanOut;
use crate::outbox::Outbox;

/// Makes services that copy to sinks, see the [module](super). Clones share the sinks.
pub struct FanOutLayer<P: Itemized> {
    sinks: Arc<Sinks<P>>,
}

impl<P: Itemized> FanOutLayer<P> {
    /// Copies to these. It keeps a handle of each, so a sink goes on for as long as a service of this layer lives.
    #[must_use]
    pub fn new(sinks: impl IntoIterator<Item = Outbox<P>>) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Self { sinks: Arc::new(Sinks { number, outboxes: sinks.into_iter().collect() }) }
    }
}

impl<P: Itemized> Clone for FanOutLayer<P> {
    fn clone(&self) -> Self {
        Self { sinks: Arc::clone(&self.sinks) }
    }
}

impl<S, P: Itemized> Layer<S> for FanOutLayer<P> {
    type Service = FanOut<S, P>;

    fn layer(&self, inner: S) -> FanOut<S, P> {
        FanOut::new(inner, Arc::clone(&self.sinks))
    }
}

impl<P: Itemized> fmt::Debug for FanOutLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOutLayer").field("sinks", &self.sinks.outboxes).finish()
    }
}

/// What a layer and its services share.
pub(super) struct Sinks<P: Itemized> {
    // Tells layers apart that stand in one stack.
    number: u64,
    outboxes: Box<[Outbox<P>]>,
}

/// In the extensions of a parcel: the layers that have copied it.
#[derive(Clone, Default)]
struct Copied(Vec<u64>);

/// Whether there is nothing but news of losses, and nothing that counts.
fn is_only_news(payload: &impl Itemized) -> bool {
    let (mut has_news, mut counts) = (false, false);
    payload.carried_losses(&mut |_, _, _| has_news = true);
    if has_news {
        payload.tally(&mut |_, _| counts = true);
    }
    has_news && !counts
}

impl<P: Itemized + Clone> Sinks<P> {
    /// Posts a copy to each sink, unless that was done.
    pub(super) fn copy(&self, parcel: &mut Parcel<P>) {
        // What the primary has lost is no business of a sink, which tells of losses of its own.
        if self.outboxes.is_empty() || is_only_news(parcel.payload()) {
            return;
        }
        let (payload, meta) = parcel.parts_mut();
        let copied = meta.extensions.get_or_insert_default::<Copied>();
        if copied.0.contains(&self.number) {
            return;
        }
        copied.0.push(self.number);
        for outbox in &self.outboxes {
            // A refusal is in the books of the sink already. Its limits and books may be a stranger's, and a panic in them
            // is no business of the primary.
            let _ = catch_unwind(AssertUnwindSafe(|| outbox.post(payload.clone())));
        }
    }
}
