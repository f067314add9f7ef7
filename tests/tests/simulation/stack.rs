//! The stack under test: all of it is real, from the outbox to the request.

use std::sync::Arc;
use std::time::Duration;

use envoi_core::{BoxError, Segments, SharedClock, Store};
use envoi_envelope::{Dsn, Envelope, EnvelopeCodec};
use envoi_http::{Action, EncodeLayer, Policy};
use envoi_layers::filter::FilterLayer;
use envoi_layers::outbox::{Backoff, Capacity, Driver, MemoryStore, Outbox, OutboxConfig, Overflow, outbox};
use envoi_layers::report::ReportLayer;
use fastrand::Rng;
use http::{Request, Response, StatusCode};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::buffer::Buffer;
use tower::limit::rate::Rate;
use tower::limit::{ConcurrencyLimit, RateLimit};
use tower::load_shed::LoadShed;
use tower::timeout::Timeout;
use tower::util::BoxService;
use tower::{Layer, ServiceExt, service_fn};

use crate::clock::SimClock;
use crate::layers::{BeforeSend, Delivery, Panics};
use crate::sabotage::{Flawed, Sabotage, Wrong, twice};
use crate::schedule::{ExchangeLayer, Setup, UserLayer};
use crate::server::{SimBody, exchange};
use crate::world::World;

type Exchange = BoxService<Request<Segments>, Response<SimBody>, BoxError>;

/// A running stack.
pub(crate) struct Stack {
    pub(crate) outbox: Outbox<Envelope>,
    pub(crate) driver: JoinHandle<()>,
    /// The second outbox, if there is one, nearer to the wire.
    pub(crate) second: Option<(Outbox<Envelope>, JoinHandle<()>)>,
}

/// Makes stacks.
pub(crate) struct Builder<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) world: &'a Arc<World>,
    pub(crate) sabotage: Option<Sabotage>,
}

impl Builder<'_> {
    pub(crate) fn build(&self, store: Arc<dyn Store<Envelope>>) -> Stack {
        let mut halt = CancellationToken::new();
        let mut service = self.core(&halt);
        let mut second = None;
        for (position, layer) in self.setup.user_layers.iter().enumerate() {
            if *layer == UserLayer::Outbox && second.is_none() {
                // The bridge listens to the outbox that is next to it.
                let (inner, driver) = self.outbox(std::mem::take(&mut halt), service, self.memory());
                service = inner.clone().map_err(Into::into).boxed();
                second = Some((inner, tokio::spawn(driver)));
            } else {
                service = self.user_layer(*layer, position as u64, service);
            }
        }
        let (outbox, driver) = self.outbox(halt, service, store);
        Stack { outbox, driver: tokio::spawn(driver), second }
    }

    fn clock(&self) -> SharedClock {
        Arc::<SimClock>::clone(&self.world.clock)
    }

    fn reports(&self) -> Flawed {
        Flawed { inner: self.world.reports.clone(), sabotage: self.sabotage }
    }

    fn exchange(&self) -> Exchange {
        let world = Arc::clone(self.world);
        let mut stack: Exchange = service_fn(move |request| exchange(&world, request)).boxed();
        if self.sabotage == Some(Sabotage::SendsTwice) {
            stack = twice(stack);
        }
        for layer in &self.setup.exchange_layers {
            stack = match *layer {
                ExchangeLayer::Timeout(limit) => Timeout::new(stack, limit).boxed(),
                ExchangeLayer::ConcurrencyLimit(most) => ConcurrencyLimit::new(stack, most).boxed(),
            };
        }
        stack
    }

    /// Filter, report and encode above the exchange.
    fn core(&self, halt: &CancellationToken) -> Delivery {
        let mut policy = Policy::sentry();
        if self.setup.retries_503 {
            policy = policy.on_status(StatusCode::SERVICE_UNAVAILABLE, Action::RetryAfter);
        }
        let codec = EnvelopeCodec::new(&Dsn::parse("https://key@sentry.invalid/42").unwrap());
        let mut encode = EncodeLayer::new(codec.with_clock(self.clock())).policy(policy).clock(self.clock());
        if self.setup.halts {
            encode = encode.halt_on(halt.clone());
        }
        let bridge = ReportLayer::new(self.reports()).layer(encode.layer(self.exchange()));
        let sink = (self.world.ledger.clone(), self.reports());
        if self.sabotage == Some(Sabotage::IgnoresLimits) {
            return FilterLayer::new(()).report_to(sink).layer(bridge).map_err(Into::into).boxed();
        }
        let filter = FilterLayer::new(self.world.limits.clone()).report_to(sink).clock(self.clock());
        let service = filter.layer(bridge).map_err(Into::into).boxed();
        match self.sabotage {
            Some(sabotage) => Wrong { inner: service, world: Arc::clone(self.world), sabotage }.boxed(),
            None => service,
        }
    }

    fn user_layer(&self, layer: UserLayer, position: u64, inner: Delivery) -> Delivery {
        let rng = Rng::with_seed(self.setup.seed ^ position);
        match layer {
            UserLayer::BeforeSend => BeforeSend { inner, world: Arc::clone(self.world), rng }.boxed(),
            UserLayer::PanicInCall
            | UserLayer::PanicLater
            | UserLayer::PanicAfterAnswer
            | UserLayer::PanicInReady
            | UserLayer::ClaimsSpent => Panics { inner, place: layer, rng }.boxed(),
            UserLayer::Buffer => Buffer::new(inner, 3).boxed(),
            UserLayer::LoadShed => LoadShed::new(inner).boxed(),
            UserLayer::ConcurrencyLimit => ConcurrencyLimit::new(inner, 2).boxed(),
            UserLayer::Timeout => Timeout::new(inner, Duration::from_millis(500)).boxed(),
            UserLayer::RateLimit => RateLimit::new(inner, Rate::new(3, Duration::from_secs(1))).boxed(),
            // A third outbox is none.
            UserLayer::Outbox => inner,
        }
    }

    fn outbox(
        &self,
        halt: CancellationToken,
        service: Delivery,
        store: impl Store<Envelope>,
    ) -> (Outbox<Envelope>, Driver<Delivery, Envelope>) {
        let setup = self.setup;
        let mut config = OutboxConfig::new()
            .concurrency(setup.concurrency)
            .lane_weights(setup.weights)
            .backoff(Backoff::new(setup.backoff, setup.backoff * 20))
            .max_attempts(setup.max_attempts)
            .max_age(setup.max_age)
            .report_interval(setup.report_interval)
            .linger(setup.linger)
            .halt_token(halt)
            .seed(setup.seed)
            .ledger(self.world.ledger.clone())
            .losses(self.reports())
            .reporter(self.reports())
            .clock(self.clock());
        if setup.knows_limits && self.sabotage != Some(Sabotage::IgnoresLimits) {
            config = config.limits(self.world.limits.clone());
        }
        outbox(store, config, service)
    }

    /// An empty store in memory.
    pub(crate) fn memory(&self) -> MemoryStore<Envelope> {
        let setup = self.setup;
        let overflow = if setup.drops_newest { Overflow::DropNewest } else { Overflow::DropOldest };
        let capacity = Capacity::new(setup.capacity.0, setup.capacity.1);
        MemoryStore::new().capacity(capacity).overflow(overflow)
    }
}
