//! The stack under test: all of it is real, from the queue to the request.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoi::batch::DeliveryError;
use envoi_batch::{Batch, BatcherConfig, Category, JsonArrayCodec};
use envoi_core::{Failure, Fault, Kind, Ledger, Parcel, Receipt, SharedClock, Store};
use envoi_http::{Action, EncodeLayer, Policy};
use envoi_layers::breaker::{BreakerConfig, BreakerLayer, Verdict};
use envoi_layers::fan_out::FanOutLayer;
use envoi_layers::latch::LatchLayer;
use envoi_layers::on_error::{ErrorHook, OnErrorLayer};
use envoi_layers::outbox::{Capacity, MemoryStore, Outbox, OutboxConfig, outbox};
use envoi_layers::retry::{RetryLayer, Schedule};
use fastrand::Rng;
use http::StatusCode;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::timeout::Timeout;
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt, layer::layer_fn, service_fn};

use crate::clock::SimClock;
use crate::disk::Disk;
use crate::front::Front;
use crate::layers::Unreliable;
use crate::plan::{Handler, UserLayer};
use crate::sabotage::{ManyProbes, Sabotage};
use crate::server::{Network, throw};
use crate::witness::{BreakerWitness, Delivery, LossWitness};
use crate::world::World;

/// What makes attempts: it can be cloned for the next one.
pub(crate) type Attempts = BoxCloneService<Parcel<Batch>, Receipt, Failure<Batch>>;

/// A sink beside the server, with books of its own.
pub(crate) struct Sink {
    pub(crate) ledger: Ledger<Category>,
    pub(crate) driver: JoinHandle<()>,
}

/// A running stack.
pub(crate) struct Stack {
    pub(crate) front: Front,
    pub(crate) driver: JoinHandle<()>,
    pub(crate) sinks: Vec<Sink>,
}

/// Where the handler of the application finds the transport.
pub(crate) type Poster = Arc<Mutex<Option<Front>>>;

/// Makes stacks.
pub(crate) struct Builder<'a> {
    pub(crate) world: &'a Arc<World>,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) poster: &'a Poster,
}

fn name(error: &DeliveryError) -> &'static str {
    match error {
        DeliveryError::Auth { .. } => "auth",
        DeliveryError::RateLimited { .. } => "rate limited",
        DeliveryError::BreakerOpen { .. } => "breaker open",
        DeliveryError::NonRetryableStatus { .. } => "status",
        DeliveryError::Overflow { .. } => "overflow",
        _ => "other",
    }
}

impl Builder<'_> {
    /// The preset, or its parts over the disk or a store in memory.
    pub(crate) fn build(&self, disk: Option<&Arc<Disk<Batch>>>) -> Stack {
        let setup = &self.world.setup;
        let stack = match disk {
            Some(disk) => self.parts(Arc::<Disk<Batch>>::clone(disk)),
            None if setup.preset => self.preset(),
            None => {
                let capacity = Capacity::new(setup.queue, usize::MAX);
                self.parts(Arc::new(MemoryStore::new().capacity(capacity)))
            }
        };
        *self.poster.lock().unwrap() = Some(stack.front.clone());
        stack
    }

    fn is(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    fn clock(&self) -> SharedClock {
        Arc::<SimClock>::clone(&self.world.clock)
    }

    fn network(&self) -> Network {
        Network { world: Arc::clone(self.world), twice: self.is(Sabotage::SendsTwice) }
    }

    fn handler(&self) -> impl Fn(&DeliveryError) + Send + Sync + 'static {
        let (world, poster) = (Arc::clone(self.world), Arc::clone(self.poster));
        move |error| {
            world.note(|| format!("   told: {error}"));
            let times = {
                let mut state = world.state();
                state.told.push((name(error), error.items()));
                state.told.len()
            };
            match world.setup.handler {
                Handler::Listens => {}
                Handler::Panics => throw("the handler panics"),
                // Not each time: with the circuit open it would never end.
                Handler::Posts if !times.is_multiple_of(3) => {}
                Handler::Posts => {
                    let front = poster.lock().unwrap().clone();
                    if let Some(front) = front {
                        front.log(&world, 1);
                    }
                }
            }
        }
    }

    fn schedule(&self) -> Schedule {
        let setup = &self.world.setup;
        let schedule = Schedule::brief().longest_server_wait(setup.server_wait);
        match self.sabotage {
            Some(Sabotage::OneMoreAttempt) => schedule.attempts(setup.attempts + 1),
            Some(Sabotage::OneLessAttempt) => schedule.attempts(setup.attempts - 1),
            Some(Sabotage::Hurries) => schedule.attempts(setup.attempts).base(Duration::from_millis(60)),
            Some(Sabotage::IgnoresServer) => {
                schedule.attempts(setup.attempts).longest_server_wait(Duration::ZERO)
            }
            Some(Sabotage::ObeysBlindly) => {
                schedule.attempts(setup.attempts).longest_server_wait(Duration::from_secs(300))
            }
            _ => schedule.attempts(setup.attempts),
        }
    }

    fn breaker(&self) -> BreakerConfig {
        let setup = &self.world.setup;
        let config =
            BreakerConfig::new().failures(setup.failures).cooldown(setup.cooldown).clock(self.clock());
        match self.sabotage {
            Some(Sabotage::CountsRefusals) => config.judge(|answer| match answer {
                Err(fault) if fault.kind() == Kind::Rejected => Verdict::Failure,
                answer => Verdict::of(answer),
            }),
            Some(Sabotage::OpensLate) => config.failures(setup.failures + 1),
            Some(Sabotage::ShortCooldown) => config.cooldown(setup.cooldown - Duration::from_millis(100)),
            _ => config,
        }
    }

    fn policy(&self) -> Policy {
        let policy = Policy::at_least_once().retry_after_cap(self.world.setup.server_wait);
        match self.sabotage {
            Some(Sabotage::TriesRefused) => policy.on_status(StatusCode::NOT_FOUND, Action::Retry),
            Some(Sabotage::DropsTimeouts) => policy.on_status(StatusCode::REQUEST_TIMEOUT, Action::Drop),
            Some(Sabotage::ObeysBlindly) => policy.retry_after_cap(Duration::from_secs(300)),
            _ => policy,
        }
    }

    fn preset(&self) -> Stack {
        let setup = &self.world.setup;
        let sinks = RefCell::new(Vec::new());
        let network = self.network();
        let mut batching = BatcherConfig::default();
        batching.max_events = setup.batch_events;
        batching.capacity = setup.queue;
        batching.interval = setup.interval;
        let transport = envoi::batch("http://logs.invalid/v1/events")
            .bearer("s3cret")
            .batching(batching)
            .concurrency(setup.concurrency)
            .schedule(self.schedule())
            .longest_server_wait(setup.server_wait)
            .seed(setup.seed)
            .breaker(self.breaker())
            .attempt_timeout(setup.attempt_timeout)
            .shutdown_timeout(setup.linger)
            .clock(self.clock())
            .on_error(self.handler())
            .delivery_layer(layer_fn(|inner| self.above(inner, &mut sinks.borrow_mut())))
            .http_layer(layer_fn(move |_network| network.clone()))
            .build_driver();
        let (transport, driver) = transport.unwrap();
        Stack { front: Front::Preset(transport), driver: tokio::spawn(driver), sinks: sinks.into_inner() }
    }

    fn parts(&self, store: Arc<dyn Store<Batch>>) -> Stack {
        let setup = &self.world.setup;
        let (halt, ledger, latch) = (CancellationToken::new(), Ledger::new(), LatchLayer::new());
        let limit =
            if self.is(Sabotage::NoTimeout) { Duration::from_secs(86_400) } else { setup.attempt_timeout };
        let encode = EncodeLayer::new(JsonArrayCodec::new("http://logs.invalid/v1/events".parse().unwrap()))
            .policy(self.policy())
            .body_timeout(setup.attempt_timeout)
            .halt_on(halt.clone())
            .clock(self.clock());
        let endpoint = encode.layer(Timeout::new(self.network(), limit));
        let endpoint: Attempts = match self.sabotage {
            Some(Sabotage::NoLatch) => endpoint.boxed_clone(),
            _ => latch.layer(endpoint).boxed_clone(),
        };
        let retry = RetryLayer::new(self.schedule()).halt_on(halt.clone()).seed(setup.seed);
        let retry = if self.is(Sabotage::ForgetsAttempts) { retry } else { retry.count_earlier_attempts() };
        let retry: Attempts = retry.layer(endpoint).boxed_clone();
        let circuit = BreakerLayer::new(self.breaker());
        let breaker: Attempts = match self.sabotage {
            Some(Sabotage::NoBreaker) => retry,
            Some(Sabotage::ManyProbes) => {
                ManyProbes { inner: retry, world: Arc::clone(self.world), state: Arc::default() }
                    .boxed_clone()
            }
            _ => circuit.layer(retry).boxed_clone(),
        };
        let mut sinks = Vec::new();
        let mut service = self.above(breaker, &mut sinks);

        let hook = ErrorHook::new(self.handler());
        let on_error = OnErrorLayer::with_hook(hook.clone());
        let on_error = if self.is(Sabotage::IgnoresUnready) { on_error } else { on_error.takes_unready() };
        let on_error = if setup.durable {
            on_error
                .final_when(|fault| !matches!(fault.kind(), Kind::Halted | Kind::CircuitOpen))
                .cancelled_are_kept()
        } else {
            on_error.final_when(|_| true)
        };
        let on_error =
            if self.is(Sabotage::ForgetsCancelled) { on_error.cancelled_are_kept() } else { on_error };
        if self.is(Sabotage::TellsTwice) {
            service = on_error.layer(service).map_err(Into::into).boxed();
        }
        let gate = latch.clone();
        let mut config = OutboxConfig::new()
            .concurrency(setup.concurrency)
            .ledger(ledger.clone())
            .gate(move || !gate.is_tripped())
            .linger(setup.linger)
            .halt_token(halt)
            .seed(setup.seed)
            .clock(self.clock());
        if setup.durable {
            config = config.hold(move |now| circuit.refuses_until(now));
        }
        if !self.is(Sabotage::ForgetsOverflows) {
            config = config.losses(hook.overflows());
        }
        let (outbox, driver) = outbox(store, config, on_error.layer(service));
        Stack { front: Front::Parts { outbox, ledger, latch }, driver: tokio::spawn(driver), sinks }
    }

    /// What stands between the breaker and what reports losses: the witnesses, and between them layers of the user.
    fn above<S>(&self, inner: S, sinks: &mut Vec<Sink>) -> Delivery
    where
        S: Service<Parcel<Batch>, Response = Receipt, Error = Failure<Batch>, Future: Send + 'static>
            + Send
            + 'static,
    {
        let world = self.world;
        let mut service: Delivery =
            BreakerWitness { inner, world: Arc::clone(world) }.map_err(Into::into).boxed();
        for (position, layer) in world.setup.user_layers.iter().enumerate() {
            let rng = Rng::with_seed(world.setup.seed ^ position as u64);
            service = match *layer {
                UserLayer::Timeout(millis) => Timeout::new(service, Duration::from_millis(millis)).boxed(),
                UserLayer::ConcurrencyLimit => ConcurrencyLimit::new(service, 2).boxed(),
                UserLayer::LoadShed => LoadShed::new(service).boxed(),
                UserLayer::FanOut => {
                    let (outbox, sink) = self.sink(rng);
                    sinks.push(sink);
                    FanOutLayer::new([outbox]).layer(service).boxed()
                }
                place => Unreliable { inner: service, place, rng, world: Arc::clone(world) }.boxed(),
            };
        }
        if self.is(Sabotage::ClaimsDelivery) {
            service = service_fn(|parcel: Parcel<Batch>| async move {
                drop(parcel);
                Ok(Receipt::delivered())
            })
            .boxed();
        }
        LossWitness { inner: service, world: Arc::clone(world) }.boxed()
    }

    /// A sink that fails in all ways.
    fn sink(&self, mut rng: Rng) -> (Outbox<Batch>, Sink) {
        let service = service_fn(move |parcel: Parcel<Batch>| {
            let mood = rng.u8(..5);
            async move {
                match mood {
                    0 => Err(Failure::new(Fault::new(Kind::Io), parcel)),
                    1 => Err(Failure::new(Fault::new(Kind::Rejected), parcel)),
                    2 => std::future::pending().await,
                    3 => throw("a sink panics"),
                    _ => Ok(Receipt::delivered()),
                }
            }
        });
        let ledger = Ledger::new();
        let config = OutboxConfig::new().ledger(ledger.clone()).clock(self.clock()).linger(Duration::ZERO);
        let (outbox, driver) = outbox(MemoryStore::new(), config, service);
        (outbox, Sink { ledger, driver: Handle::current().spawn(driver) })
    }
}
