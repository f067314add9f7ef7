use std::sync::Arc;

use envoi_core::{Advice, Failure, Fault, Kind, Payload};
use tower_layer::Layer;

use super::{DeliveryError, ErrorHook, OnError};

/// Makes services that report what is lost for good, see the [module](super).
#[derive(Clone, Debug)]
pub struct OnErrorLayer {
    rules: Rules,
}

impl OnErrorLayer {
    /// Reports to this handler.
    #[must_use]
    pub fn new(handler: impl Fn(&DeliveryError) + Send + Sync + 'static) -> Self {
        Self::with_hook(ErrorHook::new(handler))
    }

    /// Reports to a hook that others report to as well.
    #[must_use]
    pub const fn with_hook(hook: ErrorHook) -> Self {
        Self {
            rules: Rules {
                hook,
                is_final: |fault| matches!(fault.advice(), Advice::Drop),
                reports_cancelled: true,
                takes_unready: false,
            },
        }
    }

    /// Which faults are final. By default those with the advice to drop. What is final is reported, and its advice becomes
    /// to drop it.
    ///
    /// ```
    /// use envoi_core::Kind;
    /// use envoi_layers::on_error::OnErrorLayer;
    /// // Below a queue in memory that is not to try again: what comes up here is lost, also if shutdown interrupted it.
    /// let layer = OnErrorLayer::default().final_when(|_| true);
    /// // Below a durable one, which keeps what was interrupted:
    /// let layer = OnErrorLayer::default().final_when(|fault| fault.kind() != Kind::Halted).cancelled_are_kept();
    /// ```
    #[must_use]
    pub const fn final_when(mut self, is_final: fn(&Fault) -> bool) -> Self {
        self.rules.is_final = is_final;
        self
    }

    /// Does not report a delivery that is dropped before it ends. By default it is reported as
    /// [`DeliveryError::Other`], since its parcel is dropped with it. Say this below a store that is durable: it falls back
    /// on its copy when shutdown cuts a delivery off. A delivery that panics is lost, and reported, in any case.
    #[must_use]
    pub const fn cancelled_are_kept(mut self) -> Self {
        self.rules.reports_cancelled = false;
        self
    }

    /// Takes it upon itself if what is below fails or panics when it is asked whether it is ready: the next parcel is
    /// answered with that fault, and reported as every other. By default it goes up, as the contract of a layer is, and of
    /// the parcel that an outbox loses by it nobody hears (BD-7). For the layer right below an outbox.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use envoi_core::{Failure, Kind, Parcel};
    /// use envoi_layers::on_error::OnErrorLayer;
    /// use envoi_testkit::{Goods, mock::MockDeliver};
    /// use tower::{Layer, Service, ServiceExt, buffer::Buffer};
    ///
    /// let (buffer, worker) = Buffer::pair(MockDeliver::<Goods>::new(), 8);
    /// drop(worker); // it can never become ready again
    /// let mut stack = OnErrorLayer::new(|error| eprintln!("lost: {error}")).takes_unready().layer(buffer);
    /// let failure = stack.ready().await.unwrap().call(Parcel::new(Goods::new("event"))).await.unwrap_err();
    /// assert!(failure.parcel().is_some());
    /// # });
    /// ```
    #[must_use]
    pub const fn takes_unready(mut self) -> Self {
        self.rules.takes_unready = true;
        self
    }

    /// Where this layer reports to.
    #[must_use]
    pub const fn hook(&self) -> &ErrorHook {
        &self.rules.hook
    }
}

impl Default for OnErrorLayer {
    /// Without a handler: one warning per process.
    fn default() -> Self {
        Self::with_hook(ErrorHook::default())
    }
}

impl<S> Layer<S> for OnErrorLayer {
    type Service = OnError<S>;

    fn layer(&self, inner: S) -> OnError<S> {
        OnError::new(inner, Arc::new(self.rules.clone()))
    }
}

/// What a service, its clones and its futures share.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    hook: ErrorHook,
    is_final: fn(&Fault) -> bool,
    reports_cancelled: bool,
    pub(super) takes_unready: bool,
}

/// What a delivery would lose, and whom to tell. Dropped before the delivery ended, it tells that.
pub(super) struct Watch {
    rules: Arc<Rules>,
    items: u64,
    is_open: bool,
    /// Whether a stranger's code runs: if it does not come back it has panicked.
    is_running: bool,
}

fn items<P: Payload>(payload: &P) -> u64 {
    payload.weight().items as u64
}

impl Watch {
    pub(super) fn new<P: Payload>(rules: &Arc<Rules>, payload: &P) -> Self {
        Self { rules: Arc::clone(rules), items: items(payload), is_open: true, is_running: false }
    }

    /// Runs a stranger's code.
    pub(super) fn over<T>(&mut self, run: impl FnOnce() -> T) -> T {
        self.is_running = true;
        let answer = run();
        self.is_running = false;
        answer
    }

    pub(super) fn delivered(&mut self) {
        self.is_open = false;
    }

    /// Reports the failure if it is final.
    pub(super) fn failed<P: Payload>(&mut self, failure: Failure<P>) -> Failure<P> {
        self.is_open = false;
        // Who switched the transport off has said why, once.
        if failure.fault().kind() == Kind::Disabled || !(self.rules.is_final)(failure.fault()) {
            return failure;
        }
        if self.rules.hook.leaves_to_sink(failure.fault()) {
            return failure.map_fault(|fault| fault.with_advice(Advice::Drop));
        }
        // Of what a layer below has dropped and recorded the books know already.
        let lost = failure.parcel().map_or(self.items, |parcel| items(parcel.payload()));
        failure.map_fault(|fault| match self.report(fault, lost) {
            Some(fault) => fault.with_advice(Advice::Drop),
            None => unreachable!("the error of a fault has the fault"),
        })
    }

    fn report(&self, fault: Fault, items: u64) -> Option<Fault> {
        let error = DeliveryError::new(fault, items);
        self.rules.hook.report(&error);
        error.into_fault()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        if self.is_running {
            let fault = Fault::new(Kind::Other).with_message("a layer below panicked");
            self.report(fault, self.items);
        } else if self.rules.reports_cancelled {
            let fault = Fault::new(Kind::Halted).with_message("the delivery was dropped before it ended");
            self.report(fault, self.items);
        }
    }
}
