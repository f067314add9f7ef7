//! The contract suite: one function that any layer, ours or yours, can be run through.
//!
//! tower's contract is short, and easy to break in ways that only show under load: calling a clone that was never
//! ready, swallowing `Pending`, keeping a permit after a cancelled call. [`Contract`] runs a layer above a
//! [`Probe`] through every such situation and names the first [`Rule`] that is broken.
//!
//! The layer must be configured so that it is neutral: a request goes down and the answer comes up, possibly changed.
//! A layer with memory (a breaker, a latch) sees some failed calls, never two in a row.
//! The inner types may differ from the outer ones, so layers that translate can be checked too.
//!
//! ```
//! use envoi_testkit::contract::{Contract, Rule};
//! use tower::{limit::ConcurrencyLimitLayer, util::MapRequestLayer};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! // At the delivery level (`Parcel<Goods>`) and at the exchange level (`http::Request<Segments>`):
//! Contract::delivery(ConcurrencyLimitLayer::new(4)).run().await.unwrap();
//! Contract::exchange(ConcurrencyLimitLayer::new(4)).run().await.unwrap();
//!
//! // Any other service: how requests are made, what the inner service answers, and how it fails.
//! let double = MapRequestLayer::new(|n: u32| u64::from(n) * 2);
//! Contract::new(double, || 21, |n: u64| Ok(n), || "down").run().await.unwrap();
//!
//! // `LoadShed` is always ready, so nobody above it can wait.
//! let shed = tower::load_shed::LoadShedLayer::new();
//! let violation = Contract::new(shed, || 1, |n: u32| Ok(n), || "down").run().await.unwrap_err();
//! assert_eq!(violation.rule(), Rule::PassesPending);
//! # });
//! ```
//!
//! What cannot be told at run time is a bound of [`Contract::run`]: services are `Clone + Send + Sync`, futures `Send`.
//!
//! ```compile_fail,E0277
//! use envoi_testkit::contract::Contract;
//! // The future holds an `Rc`.
//! let layer = tower::util::MapFutureLayer::new(|future| {
//!     let local = std::rc::Rc::new(());
//!     async move { let answer: Result<u32, &str> = future.await; drop(local); answer }
//! });
//! let run = Contract::new(layer, || 1, |n: u32| Ok(n), || "down").run();
//! ```

mod suite;
mod violation;
mod waker;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use envoi_core::{BoxError, Failure, Fault, Kind, Parcel, Receipt, Segments};
use http_body_util::Full;
use tower_layer::Layer;
use tower_service::Service;

use crate::probe::{Answers, Probe};
use crate::{Drops, Goods};
use suite::Suite;
pub use violation::{Rule, Violation};

/// A layer, and what it takes to run it through the contract suite. See the [module](self).
#[must_use = "nothing is checked until `run`"]
pub struct Contract<L, M, Q, R, E> {
    layer: L,
    make_request: M,
    answers: Answers<Q, R, E>,
    drops: Drops,
    patience: Duration,
}

impl<L, M, Q, R, E> Contract<L, M, Q, R, E> {
    /// Checks `layer` with requests from `make_request`, above an inner service that answers with `answer` and whose
    /// readiness fails with `down`.
    pub fn new<Request>(
        layer: L,
        make_request: M,
        answer: impl Fn(Q) -> Result<R, E> + Send + Sync + 'static,
        down: impl Fn() -> E + Send + Sync + 'static,
    ) -> Self
    where
        M: Fn() -> Request,
        E: 'static,
    {
        Self {
            layer,
            make_request,
            answers: Answers::new(answer, down),
            drops: Drops::new(),
            patience: Duration::from_secs(5),
        }
    }

    /// How the inner service fails a call, given its request. Without it, with the error of its readiness.
    pub fn refusing(mut self, refuse: impl Fn(Q) -> E + Send + Sync + 'static) -> Self {
        self.answers = self.answers.refusing(refuse);
        self
    }

    /// Checks that nothing tracked by `drops` is kept: give the same detector to the requests.
    pub fn tracked_by(mut self, drops: &Drops) -> Self {
        self.drops = drops.clone();
        self
    }

    /// How long to wait for what should happen at once, before it counts as not happening: 5 s, of tokio's time.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the suite. Needs a tokio runtime with time; with paused time a failure is found at once.
    ///
    /// # Errors
    /// The first rule that the layer breaks.
    pub async fn run<Request>(self) -> Result<(), Violation>
    where
        L: Layer<Probe<Q, R, E>>,
        L::Service: Service<Request, Future: Send> + Clone + Send + Sync,
        M: Fn() -> Request,
    {
        let build = |capacity| {
            let (probe, handle) = Probe::new(self.answers.clone(), capacity);
            (self.layer.layer(probe), handle)
        };
        Suite { build: &build, make: &self.make_request, drops: &self.drops, patience: self.patience }
            .run()
            .await
    }
}

/// What [`Contract::delivery`] makes.
pub type DeliveryContract<L, M> = Contract<L, M, Parcel<Goods>, Receipt, Failure<Goods>>;

/// What [`Contract::exchange`] makes.
pub type ExchangeContract<L, M> =
    Contract<L, M, http::Request<Segments>, http::Response<Full<Bytes>>, BoxError>;

impl<L> DeliveryContract<L, ()> {
    /// Checks a layer at the delivery level, with parcels of [`Goods`] that are delivered below.
    pub fn delivery(layer: L) -> DeliveryContract<L, impl Fn() -> Parcel<Goods>> {
        let drops = Drops::new();
        let tracked = drops.clone();
        let down = || Failure::without_parcel(Fault::new(Kind::Connect));
        Contract::new(
            layer,
            move || Parcel::new(Goods::new("error").with_id("contract").tracked(&tracked)),
            |_: Parcel<Goods>| Ok(Receipt::delivered()),
            down,
        )
        .refusing(|parcel| Failure::new(Fault::new(Kind::Connect), parcel))
        .tracked_by(&drops)
    }
}

impl<L> ExchangeContract<L, ()> {
    /// Checks a layer at the exchange level, with small requests that are answered 200 below. For a layer that
    /// changes a type on the way down, use [`Contract::new`].
    pub fn exchange(layer: L) -> ExchangeContract<L, impl Fn() -> http::Request<Segments>> {
        let drops = Drops::new();
        let tracked = drops.clone();
        Contract::new(
            layer,
            move || {
                let mut request = http::Request::new(Segments::from(tracked.bytes("{}\n")));
                *request.method_mut() = http::Method::POST;
                *request.uri_mut() = http::Uri::from_static("http://localhost/api/1/envelope/");
                request.extensions_mut().insert(tracked.token());
                request
            },
            |_: http::Request<Segments>| Ok(http::Response::new(Full::from(&b"{}"[..]))),
            || Fault::new(Kind::Connect).into(),
        )
        .tracked_by(&drops)
    }
}

impl<L: fmt::Debug, M, Q, R, E> fmt::Debug for Contract<L, M, Q, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract").field("layer", &self.layer).finish_non_exhaustive()
    }
}
