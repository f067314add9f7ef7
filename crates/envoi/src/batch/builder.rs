use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use envoi_batch::{Batch, BatcherConfig, Framing};
use envoi_core::{Deliver, SharedClock};
use envoi_http::{Encoding, HeaderAuth, Policy, bearer};
use envoi_layers::breaker::BreakerConfig;
use envoi_layers::on_error::DeliveryError;
use envoi_layers::retry::{Budget, Schedule};
use http::{HeaderName, HeaderValue};
use tower::layer::util::{Identity, Stack};

use super::receiver::{Http, Sink};
use super::settings::Settings;
use crate::way::Source;

/// The settings of a batch transport, see [`batch()`](super::batch()).
///
/// Every number of the guarantees is a default here and can be changed (BD-10). `D` and `R` are the layers and the receiver
/// that were given; nobody has to name them.
#[must_use = "a builder does nothing until it builds"]
pub struct BatchBuilder<D = Identity, R = Http> {
    pub(super) settings: Settings,
    pub(super) handler: Option<Handler>,
    pub(super) delivery: D,
    pub(super) receiver: R,
}

pub(super) type Handler = Arc<dyn Fn(&DeliveryError) + Send + Sync>;

impl BatchBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            settings: Settings::new(url),
            handler: None,
            delivery: Identity::new(),
            receiver: Http { exchange: Identity::new(), connector: Source::of_way() },
        }
    }
}

impl<D, R> BatchBuilder<D, R> {
    /// What is told of every loss, once (BD-7): one call for a batch that is given up, one for the events that gave way since
    /// the last call, one for what a shutdown leaves behind. Without a handler there is one warning per process.
    ///
    /// It runs in the background, where deliveries wait for it, so it should be quick and not wait for this transport; or at
    /// the end of a shutdown on the thread that waits for it. What it logs through this
    /// transport is refused, so it cannot feed on itself; if it panics nothing else happens.
    pub fn on_error(mut self, handler: impl Fn(&DeliveryError) + Send + Sync + 'static) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// All bounds of the queue and of batches at once, in events and bytes (BD-8).
    pub fn batching(mut self, config: BatcherConfig) -> Self {
        self.settings.batching = config;
        self
    }

    /// The most events in a batch, and as many as make one due: 20 unless told otherwise (BD-8).
    pub const fn batch_events(mut self, events: usize) -> Self {
        self.settings.batching.max_events = events;
        self
    }

    /// The most bytes in a batch: 1 MiB unless told otherwise. A larger event is refused.
    pub const fn batch_bytes(mut self, bytes: usize) -> Self {
        self.settings.batching.max_bytes = bytes;
        self
    }

    /// How long after the last flush what waits is sent, full batch or not: 5 s unless told otherwise (BD-8).
    pub const fn flush_interval(mut self, interval: Duration) -> Self {
        self.settings.batching.interval = interval;
        self
    }

    /// The most events that wait: 1000 unless told otherwise (BD-8). Then the oldest give way. Those on their way do not
    /// count.
    pub const fn queue_events(mut self, events: usize) -> Self {
        self.settings.batching.capacity = events;
        self
    }

    /// The most bytes that wait: 32 MiB unless told otherwise.
    pub const fn queue_bytes(mut self, bytes: usize) -> Self {
        self.settings.batching.capacity_bytes = bytes;
        self
    }

    /// How many batches are on their way at once: 1 unless told otherwise. Events keep their order then, and an outage costs
    /// no more than the batches that are tried. With more, those that come while the breaker has its probe out are lost.
    pub fn concurrency(mut self, batches: usize) -> Self {
        self.settings.concurrency = batches.max(1) as u64;
        self
    }

    /// How many attempts a batch gets in all: 3 unless told otherwise (BD-1).
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.settings.schedule = self.settings.schedule.attempts(attempts);
        self
    }

    /// How often and when a failed batch is tried again: [`Schedule::brief`] unless told otherwise (BD-1, BD-3). What the
    /// server may ask for at most has to be allowed by the [policy](Self::policy), too.
    pub const fn schedule(mut self, schedule: Schedule) -> Self {
        self.settings.schedule = schedule;
        self
    }

    /// Bounds the retries of all batches together. Without it each has its attempts.
    pub fn retry_budget(mut self, budget: Budget) -> Self {
        self.settings.budget = Some(budget);
        self
    }

    /// Makes the jitter of retries repeatable.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// The longest wait that the server may ask for: 60 s unless told otherwise (BD-3).
    pub fn longest_server_wait(mut self, wait: Duration) -> Self {
        self.settings.schedule = self.settings.schedule.longest_server_wait(wait);
        self.settings.http.policy = self.settings.http.policy.retry_after_cap(wait);
        self
    }

    /// When the circuit opens and for how long: after 5 failures in a row, for 30 s, unless told otherwise (BD-4). The clock
    /// is that of the transport.
    pub fn breaker(mut self, config: BreakerConfig) -> Self {
        self.settings.breaker = config;
        self
    }

    /// How long the background goes on when the last handle was dropped without a shutdown: 2 s unless told otherwise.
    pub const fn shutdown_timeout(mut self, limit: Duration) -> Self {
        self.settings.shutdown_timeout = limit;
        self
    }

    /// Where time comes from. Tokio's clock unless told otherwise, which a test can pause.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Keeps batches in the directory `path` until their outcome is known, so that they survive the process: those that a
    /// shutdown leaves behind are delivered by the next run. The bounds are then those of the disk buffer, from the moment
    /// that an event leaves for its batch; what gives way there is reported, too.
    ///
    /// A batch is still given up after its attempts, or if the circuit is open when its turn comes (BD-1, BD-4). The attempts
    /// of all runs count, but for those of a run that was killed: nobody wrote them down.
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    pub fn disk_buffer(self, path: impl Into<std::path::PathBuf>) -> Self {
        self.disk_buffer_with(path, envoi_spool::SpoolConfig::new())
    }

    /// [`BatchBuilder::disk_buffer`] with settings of your own. The clock is that of the transport.
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    pub fn disk_buffer_with(
        mut self,
        path: impl Into<std::path::PathBuf>,
        config: envoi_spool::SpoolConfig,
    ) -> Self {
        self.settings.disk = Some((path.into(), config));
        self
    }

    /// Adds a layer of yours at the delivery level, between the one that reports losses and the breaker: scrubbing,
    /// sampling, a second destination. It sees every [`Parcel`](envoi_core::Parcel) of a [`Batch`] once; the first that is
    /// added is the outermost.
    ///
    /// For a sink of yours beside the server, such as a file, there is a layer already. What the sink does, or does not,
    /// concerns neither the server nor the books of this transport:
    ///
    /// ```
    /// use envoi::batch::Batch;
    /// use envoi::core::{Failure, Parcel, Receipt};
    /// use envoi::layers::fan_out::FanOutLayer;
    /// use envoi::layers::outbox::{OutboxConfig, OutboxLayer};
    /// use tower::{Layer, service_fn};
    ///
    /// let archive = OutboxLayer::new(OutboxConfig::new()).on_own_thread().layer(service_fn(
    ///     |parcel: Parcel<Batch>| async move {
    ///         println!("{} events", parcel.payload().len()); // write them to a file
    ///         Ok::<_, Failure<Batch>>(Receipt::delivered())
    ///     },
    /// ));
    /// let logger = envoi::batch("http://127.0.0.1:9/v1/events")
    ///     .delivery_layer(FanOutLayer::new([archive.clone()]))
    ///     .build()?;
    /// # drop(logger);
    /// # Ok::<(), envoi::batch::BatchBuildError>(())
    /// ```
    pub fn delivery_layer<L>(self, layer: L) -> BatchBuilder<Stack<L, D>, R> {
        let Self { settings, handler, delivery, receiver } = self;
        BatchBuilder { settings, handler, delivery: Stack::new(layer, delivery), receiver }
    }

    /// Delivers to `service` instead of HTTP (for both see [`delivery_layer`](Self::delivery_layer)), with the same retry, breaker and all the rest: a file, a socket, a queue of
    /// another kind. The URL does not matter then.
    ///
    /// The service says with its [`Advice`](envoi_core::Advice) whether a failure is worth another attempt, and hands the
    /// parcel back with it. Its clones must be cheap, and lead to the same receiver.
    ///
    /// ```
    /// use std::time::Duration;
    /// use envoi::core::{Failure, Parcel, Receipt};
    /// use envoi::batch::Batch;
    /// use tower::service_fn;
    ///
    /// let transport = envoi::batch("")
    ///     .sink(service_fn(|parcel: Parcel<Batch>| async move {
    ///         for event in parcel.payload().events() {
    ///             println!("{}", event.as_str());
    ///         }
    ///         Ok::<_, Failure<Batch>>(Receipt::delivered())
    ///     }))
    ///     .build()?;
    /// transport.log("hello")?;
    /// assert_eq!(transport.shutdown_blocking(Duration::from_secs(5)).delivered, 1);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn sink<S>(self, service: S) -> BatchBuilder<D, Sink<S>>
    where
        S: Deliver<Batch> + Clone,
    {
        let Self { settings, handler, delivery, .. } = self;
        BatchBuilder { settings, handler, delivery, receiver: Sink(service) }
    }
}

impl<D, H, C> BatchBuilder<D, Http<H, C>> {
    /// `Authorization: Bearer <token>` on every request (AU-8). A token that no header can carry is an error when the
    /// transport is built.
    pub fn bearer(mut self, token: &str) -> Self {
        self.settings.http.auth = Some(bearer(token));
        self
    }

    /// Other credentials in a header, such as an API key.
    pub fn auth(mut self, auth: HeaderAuth) -> Self {
        self.settings.http.auth = Some(Ok(auth));
        self
    }

    /// How the events of a batch follow each other: as a JSON array unless told otherwise.
    pub const fn framing(mut self, framing: Framing) -> Self {
        self.settings.http.framing = framing;
        self
    }

    /// The user agent, `{sdk}/{version} (comments)`. No personal data.
    pub fn user_agent(mut self, agent: impl Into<String>) -> Self {
        self.settings.http.user_agent = agent.into();
        self
    }

    /// One more header on every request. Mark secret values as sensitive (AU-7).
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.settings.http.headers.append(name, value);
        self
    }

    /// How requests are compressed: gzip unless told otherwise (CO-1), from 1 KiB on.
    pub const fn encoding(mut self, encoding: Encoding) -> Self {
        self.settings.http.encoding = encoding;
        self
    }

    /// The level of compression; each encoding has its default.
    pub const fn compression_level(mut self, level: u32) -> Self {
        self.settings.http.level = Some(level);
        self
    }

    /// What statuses and errors mean: [`Policy::at_least_once`] unless told otherwise (BD-2).
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.http.policy = policy;
        self
    }

    /// Adds a layer of yours at the exchange level, between the attempt timeout and the credentials: tower-http's, or any
    /// other that wraps a `Service<http::Request<Segments>>`. The first that is added is the outermost.
    pub fn http_layer<L>(self, layer: L) -> BatchBuilder<D, Http<Stack<L, H>, C>> {
        let Self { settings, handler, delivery, receiver: Http { exchange, connector } } = self;
        let receiver = Http { exchange: Stack::new(layer, exchange), connector };
        BatchBuilder { settings, handler, delivery, receiver }
    }
}

/// Without the credentials (AU-7).
impl<D, R> fmt::Debug for BatchBuilder<D, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchBuilder")
            .field("url", &self.settings.http.url)
            .field("batching", &self.settings.batching)
            .field("schedule", &self.settings.schedule)
            .field("breaker", &self.settings.breaker)
            .finish_non_exhaustive()
    }
}
