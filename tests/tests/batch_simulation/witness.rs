//! Those who watch from inside of the stack: one right above the breaker, one above all layers of the user.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use envoi_batch::Batch;
use envoi_core::{Advice, BoxError, Failure, Fate, Fault, Kind, Parcel, Receipt};
use tower::Service;
use tower::util::BoxService;

use crate::model::{Health, Pass, health_of};
use crate::world::World;

pub(crate) type Delivery = BoxService<Parcel<Batch>, Receipt, BoxError>;
pub(crate) type Delivered = Pin<Box<dyn Future<Output = Result<Receipt, BoxError>> + Send>>;

/// The number that a batch goes by.
pub(crate) fn key_of(batch: &Batch) -> u64 {
    batch.events().first().and_then(|event| event.as_str().parse().ok()).unwrap_or(u64::MAX)
}

/// Asks the model what the breaker below should do, and looks whether it does it (BD-4).
pub(crate) struct BreakerWitness<S> {
    pub(crate) inner: S,
    pub(crate) world: Arc<World>,
}

/// Tells the model when a batch is back, also if it never is.
struct Back {
    world: Arc<World>,
    batch: u64,
    pass: Option<Pass>,
}

impl Back {
    fn with(mut self, health: Option<Health>) {
        self.end(health);
    }

    fn end(&mut self, health: Option<Health>) {
        let now = self.world.millis();
        if let Some(pass) = self.pass.take() {
            self.world.state().model.end(self.batch, pass, health, now);
        }
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl<S> Service<Parcel<Batch>> for BreakerWitness<S>
where
    S: Service<Parcel<Batch>, Response = Receipt, Error = Failure<Batch>, Future: Send + 'static>,
{
    type Response = Receipt;
    type Error = Failure<Batch>;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, Failure<Batch>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure<Batch>>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, parcel: Parcel<Batch>) -> Self::Future {
        let (world, batch) = (Arc::clone(&self.world), key_of(parcel.payload()));
        let expected = world.state().model.ask(batch, world.millis());
        let back = Back { world: Arc::clone(&world), batch, pass: expected.ok() };
        // What the call has reserved goes before the model hears of it, as in the real one.
        let call = self.inner.call(parcel);
        Box::pin(async move {
            let (call, back) = (call, back);
            let answer = call.await;
            judge(&world, batch, expected, &answer);
            let health = match &answer {
                Ok(receipt) if receipt.fate() == Fate::Delivered => Health::Well,
                Ok(_) => Health::Unknown,
                Err(failure) => health_of(failure.fault()),
            };
            back.with(Some(health));
            answer
        })
    }
}

fn judge(
    world: &World,
    batch: u64,
    expected: Result<Pass, std::time::Duration>,
    answer: &Result<Receipt, Failure<Batch>>,
) {
    let fault = answer.as_ref().err().map(Failure::fault);
    let refused = fault.filter(|fault| fault.kind() == Kind::CircuitOpen);
    match (expected, refused) {
        (Ok(_), Some(fault)) => {
            world.fault(|| format!("batch {batch} is refused, and should not be: {fault:?} (BD-4)"));
        }
        (Err(wait), None) => {
            world.fault(|| format!("batch {batch} should be refused for {wait:?}: {answer:?} (BD-4)"));
        }
        (Err(wait), Some(fault)) => world.check(fault.advice() == Advice::RetryAfter(wait), || {
            format!("batch {batch} should wait for {wait:?}: {fault:?} (BD-4)")
        }),
        (Ok(_), None) => {}
    }
    let gives_up = fault.is_some_and(|fault| match fault.status() {
        Some(status) => matches!(status.as_u16(), 408 | 429 | 500..=599),
        None => fault.kind().is_network(),
    });
    if gives_up {
        let attempts = world.state().batches.get(&batch).map_or(0, |batch| batch.attempts);
        world.check(attempts == world.setup.attempts, || {
            format!("batch {batch} is given up after {attempts} attempts: {answer:?} (BD-1, BD-2)")
        });
    }
}

/// What a handler should call it (BD-7), written down once more.
fn name_of(fault: &Fault) -> &'static str {
    match (fault.kind(), fault.status().map(|status| status.as_u16())) {
        (Kind::Unauthorized, _) => "auth",
        (Kind::RateLimited, _) => "rate limited",
        (Kind::CircuitOpen, _) => "breaker open",
        (Kind::Rejected, Some(status)) if status != 408 => "status",
        _ => "other",
    }
}

/// Writes down what has to be reported: what comes up here goes to the layer that reports (BD-7).
pub(crate) struct LossWitness {
    pub(crate) inner: Delivery,
    pub(crate) world: Arc<World>,
}

pub(crate) struct Watched {
    call: Delivered,
    // Dropped after the call.
    watch: Watch,
}

struct Watch {
    world: Arc<World>,
    batch: u64,
    items: u64,
    is_open: bool,
}

impl Service<Parcel<Batch>> for LossWitness {
    type Response = Receipt;
    type Error = BoxError;
    type Future = Watched;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, parcel: Parcel<Batch>) -> Watched {
        let (batch, items) = (key_of(parcel.payload()), parcel.payload().len() as u64);
        let watch = Watch { world: Arc::clone(&self.world), batch, items, is_open: true };
        let call = Box::pin(self.inner.call(parcel));
        Watched { call, watch }
    }
}

impl Future for Watched {
    type Output = Result<Receipt, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.call.as_mut().poll(cx));
        self.watch.is_open = false;
        Poll::Ready(match answer {
            Ok(receipt) => {
                self.watch.arrives(receipt.fate());
                Ok(receipt)
            }
            Err(error) => {
                let failure = Failure::<Batch>::from(error);
                self.watch.fails(failure.fault());
                Err(failure.into())
            }
        })
    }
}

impl Watch {
    fn arrives(&self, fate: Fate) {
        let (world, batch) = (&self.world, self.batch);
        world.check(fate == Fate::Delivered, || format!("batch {batch} ends as {fate:?}"));
        let mut state = world.state();
        state.delivered += self.items;
        let has_come = state.batches.get(&batch).is_some_and(|batch| batch.is_accepted);
        drop(state);
        world.check(has_come, || format!("batch {batch} is said to be delivered, and never came"));
    }

    fn fails(&self, fault: &Fault) {
        let mut state = self.world.state();
        match fault.kind() {
            Kind::Disabled => state.untold += self.items,
            // It is handed back, with the number of its attempts.
            Kind::Halted if self.world.setup.durable => {
                if let Some(batch) = state.batches.get_mut(&self.batch) {
                    batch.stored_attempts = batch.attempts;
                }
            }
            // It goes back, and will be tried when the circuit is closed.
            Kind::CircuitOpen if self.world.setup.durable => {}
            _ => state.due.push((name_of(fault), self.items)),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A durable store falls back on its copy.
        if self.is_open && !self.world.setup.durable {
            self.world.state().due.push(("other", self.items));
        }
    }
}
