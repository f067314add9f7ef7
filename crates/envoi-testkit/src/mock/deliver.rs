use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use envoi_core::{Failure, Lane, Origin, Parcel, Payload, Receipt, Weight};
use tokio::time::Instant;
use tower_service::Service;

use super::Outcome;
use super::script::Script;

/// A parcel that a [`MockDeliver`] saw, as it was when it came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SeenParcel {
    /// The id of the payload.
    pub id: Option<String>,
    /// Its lane.
    pub lane: Lane,
    /// Its weight.
    pub weight: Weight,
    /// How many attempts had failed.
    pub attempt: u32,
    /// Where the parcel came from.
    pub origin: Origin,
    /// When it came.
    pub at: Instant,
}

type Hook<P> = dyn FnMut(&mut Parcel<P>) + Send;

/// A scripted [`Deliver`](envoi_core::Deliver), for any payload. Clones share script and record.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use envoi_core::{Fate, Kind, Parcel};
/// use envoi_testkit::{Goods, mock::{MockDeliver, Outcome}};
/// use tower::{Service, ServiceExt};
///
/// let mut deliver = MockDeliver::new();
/// deliver.script([Outcome::failure(Kind::Connect), Outcome::receipt(Fate::Stored)]);
/// let parcel = Parcel::new(Goods::new("error").with_id("a"));
/// let failure = deliver.ready().await.unwrap().call(parcel).await.unwrap_err();
/// let receipt = deliver.ready().await.unwrap().call(failure.into_parcel().unwrap()).await.unwrap();
/// assert_eq!(receipt.fate(), Fate::Stored);
/// assert_eq!(deliver.seen()[1].id.as_deref(), Some("a"));
/// # });
/// ```
pub struct MockDeliver<P> {
    script: Arc<Script<Outcome, SeenParcel>>,
    hook: Option<Arc<Mutex<Hook<P>>>>,
}

impl<P> Default for MockDeliver<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> MockDeliver<P> {
    /// A receiver that takes everything.
    #[must_use]
    pub fn new() -> Self {
        Self::answering(Outcome::delivered())
    }

    /// A receiver that answers so whenever the script has no more steps.
    #[must_use]
    pub fn answering(otherwise: Outcome) -> Self {
        Self { script: Arc::new(Script::new(otherwise)), hook: None }
    }

    /// Shows `hook` every parcel that comes, to look at it or to change it as a layer below might.
    #[must_use]
    pub fn on_parcel(mut self, hook: impl FnMut(&mut Parcel<P>) + Send + 'static) -> Self {
        self.hook = Some(Arc::new(Mutex::new(hook)));
        self
    }

    /// Adds steps to the end of the script.
    pub fn script(&self, steps: impl IntoIterator<Item = Outcome>) {
        self.script.extend(steps);
    }

    /// Changes the answer for whenever the script has no more steps.
    pub fn otherwise(&self, outcome: Outcome) {
        self.script.set_otherwise(outcome);
    }

    /// How many steps of the script are left.
    #[must_use]
    pub fn steps_left(&self) -> usize {
        self.script.left()
    }

    /// The parcels so far.
    #[must_use]
    pub fn seen(&self) -> Vec<SeenParcel> {
        self.script.seen()
    }

    /// Waits for the parcel number `count` and returns all so far. Cancel safe.
    pub async fn until_seen(&self, count: usize) -> Vec<SeenParcel> {
        self.script.until_seen(count).await
    }
}

impl<P> Clone for MockDeliver<P> {
    fn clone(&self) -> Self {
        Self { script: Arc::clone(&self.script), hook: self.hook.clone() }
    }
}

impl<P: Payload> Service<Parcel<P>> for MockDeliver<P> {
    type Response = Receipt;
    type Error = Failure<P>;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, Failure<P>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure<P>>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut parcel: Parcel<P>) -> Self::Future {
        let payload = parcel.payload();
        self.script.record(SeenParcel {
            id: payload.id().map(Into::into),
            lane: payload.lane(),
            weight: payload.weight(),
            attempt: parcel.meta().attempt,
            origin: parcel.meta().origin,
            at: Instant::now(),
        });
        if let Some(hook) = &self.hook {
            hook.lock().unwrap_or_else(PoisonError::into_inner)(&mut parcel);
        }
        Box::pin(self.script.next().play(parcel))
    }
}

impl<P> fmt::Debug for MockDeliver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockDeliver").field("script", &self.script).finish_non_exhaustive()
    }
}
