//! Parts that are wrong on purpose, to see that the simulation notices.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use envoi_batch::Batch;
use envoi_core::{Advice, Failure, Fault, Kind, Parcel, Receipt};
use futures_util::future::Either;
use tower::Service;

use crate::model::{Health, health_of};
use crate::stack::Attempts;
use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// There is no breaker.
    NoBreaker,
    /// A breaker that lets everybody through once the cooldown is over.
    ManyProbes,
    /// A breaker that takes refusals of the payload for failures of the receiver.
    CountsRefusals,
    /// A breaker that is patient with failures for one too many.
    OpensLate,
    /// A cooldown that is a little shorter.
    ShortCooldown,
    /// One attempt too many.
    OneMoreAttempt,
    /// One too few.
    OneLessAttempt,
    /// Attempts of an earlier run are forgotten.
    ForgetsAttempts,
    /// A payload that was refused is tried again.
    TriesRefused,
    /// A 408 is not.
    DropsTimeouts,
    /// Back-offs are too short.
    Hurries,
    /// What a server asks for is not heard.
    IgnoresServer,
    /// What a server asks for is obeyed, however much it is.
    ObeysBlindly,
    /// There is no latch.
    NoLatch,
    /// Losses are reported twice.
    TellsTwice,
    /// Overflows are not reported.
    ForgetsOverflows,
    /// What a shutdown cuts off is not reported.
    ForgetsCancelled,
    /// What is lost because a layer does not become ready is not reported.
    IgnoresUnready,
    /// A layer says that a parcel is delivered, and drops it.
    ClaimsDelivery,
    /// Every request is sent twice.
    SendsTwice,
    /// An attempt may take as long as it likes.
    NoTimeout,
}

impl Sabotage {
    pub(crate) const ALL: [Self; 21] = [
        Self::NoBreaker,
        Self::ManyProbes,
        Self::CountsRefusals,
        Self::OpensLate,
        Self::ShortCooldown,
        Self::OneMoreAttempt,
        Self::OneLessAttempt,
        Self::ForgetsAttempts,
        Self::TriesRefused,
        Self::DropsTimeouts,
        Self::Hurries,
        Self::IgnoresServer,
        Self::ObeysBlindly,
        Self::NoLatch,
        Self::TellsTwice,
        Self::ForgetsOverflows,
        Self::ForgetsCancelled,
        Self::IgnoresUnready,
        Self::ClaimsDelivery,
        Self::SendsTwice,
        Self::NoTimeout,
    ];
}

/// A circuit breaker without a gate for the probe.
#[derive(Clone)]
pub(crate) struct ManyProbes {
    pub(crate) inner: Attempts,
    pub(crate) world: Arc<World>,
    /// Failures in a row, and the end of the cooldown.
    pub(crate) state: Arc<Mutex<(u32, u64)>>,
}

impl Service<Parcel<Batch>> for ManyProbes {
    type Response = Receipt;
    type Error = Failure<Batch>;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, Failure<Batch>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure<Batch>>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, parcel: Parcel<Batch>) -> Self::Future {
        let (world, state) = (Arc::clone(&self.world), Arc::clone(&self.state));
        let rest = state.lock().unwrap().1.saturating_sub(world.millis());
        let call = if rest > 0 {
            let wait = Advice::RetryAfter(std::time::Duration::from_millis(rest));
            Either::Left(ready(Err(Failure::new(Fault::new(Kind::CircuitOpen).with_advice(wait), parcel))))
        } else {
            Either::Right(self.inner.call(parcel))
        };
        Box::pin(async move {
            let answer = call.await;
            let mut state = state.lock().unwrap();
            match &answer {
                Ok(_) => *state = (0, 0),
                Err(failure) if health_of(failure.fault()) == Health::Ill => {
                    state.0 += 1;
                    if state.0 >= world.setup.failures {
                        state.1 = world.millis() + u64::try_from(world.setup.cooldown.as_millis()).unwrap();
                    }
                }
                Err(_) => {}
            }
            answer
        })
    }
}
