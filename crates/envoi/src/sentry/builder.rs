use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use envoi_core::{BoxError, Deliver, Exchange, Lane, Ledger, SharedClock};
use envoi_envelope::batch::BatchConfig;
use envoi_envelope::limits::LimitsSnapshot;
use envoi_envelope::{
    ClientReports, Dsn, Envelope, EnvelopeCodec, LimitOptions, RateLimits, Scheme, user_agent,
};
use envoi_http::client::{Connect, TcpConnector};
use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, Encoding, HeaderAuth, HttpClient, Policy};
use envoi_layers::TokioClock;
use envoi_layers::filter::FilterLayer;
use envoi_layers::outbox::{Backoff, Capacity, MemoryStore, OutboxConfig, Overflow, outbox};
use envoi_layers::report::ReportLayer;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};
use tower_layer::Layer;

use super::{Books, BuildError, Losses, SentryDelivery, SentryExchange};
use crate::ExtraHeadersLayer;
use crate::transport::{Parts, Transport, TransportDriver};

/// The handle, and what makes it work if there is anything to do.
type Built<S> = (Transport, Option<TransportDriver<S>>);

const AUTH_HEADER: HeaderName = HeaderName::from_static("x-sentry-auth");
const CLIENT: &str = concat!("envoi/", env!("CARGO_PKG_VERSION"));

/// The settings of a transport to Sentry, see [`sentry()`](super::sentry()).
///
/// Every default is the one of the requirements. `D`, `H` and `C` are the layers and the connector that were given;
/// nobody has to name them.
#[must_use = "a builder does nothing until it builds"]
pub struct SentryBuilder<D = Identity, H = Identity, C = TcpConnector> {
    dsn: Option<Dsn>,
    settings: Settings,
    books: Books,
    delivery: D,
    exchange: H,
    connector: C,
}

/// What does not depend on the type parameters.
struct Settings {
    client: String,
    user_agent: Option<String>,
    headers: HeaderMap,
    encoding: Encoding,
    level: Option<u32>,
    attempt_timeout: Duration,
    shutdown_timeout: Duration,
    max_age: Duration,
    max_attempts: u32,
    backoff: Backoff,
    concurrency: usize,
    capacities: [Capacity; Lane::COUNT],
    overflow: Overflow,
    lane_weights: [u32; Lane::COUNT],
    client_reports: bool,
    report_interval: Option<Duration>,
    batching: BatchConfig,
    policy: Policy,
    limit_options: LimitOptions,
    saved_limits: Option<LimitsSnapshot>,
    hold_limited: bool,
    dsn_header: bool,
    replay_pace: Duration,
    clock: SharedClock,
    #[cfg(feature = "spool")]
    disk: Option<(std::path::PathBuf, envoi_spool::SpoolConfig)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client: CLIENT.to_owned(),
            user_agent: None,
            headers: HeaderMap::new(),
            #[cfg(feature = "gzip")]
            encoding: Encoding::Gzip,
            #[cfg(not(feature = "gzip"))]
            encoding: Encoding::Identity,
            level: None,
            attempt_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(2),
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            max_attempts: 20,
            backoff: Backoff::default(),
            concurrency: 8,
            capacities: [Capacity::default(); Lane::COUNT],
            overflow: Overflow::default(),
            lane_weights: Lane::ALL.map(Lane::default_weight),
            client_reports: true,
            report_interval: Some(Duration::from_secs(30)),
            batching: BatchConfig::default(),
            policy: Policy::sentry(),
            limit_options: LimitOptions::new(),
            saved_limits: None,
            hold_limited: true,
            dsn_header: false,
            replay_pace: Duration::from_millis(100),
            clock: Arc::new(TokioClock),
            #[cfg(feature = "spool")]
            disk: None,
        }
    }
}

impl SentryBuilder {
    /// The defaults. Without a DSN the transport does nothing (AU-6).
    pub fn new(dsn: Option<Dsn>) -> Self {
        Self {
            dsn,
            settings: Settings::default(),
            books: (Ledger::new(), Losses::default()),
            delivery: Identity::new(),
            exchange: Identity::new(),
            connector: TcpConnector::new(),
        }
    }
}

impl<D, H> SentryBuilder<D, H, TcpConnector> {
    /// How long a connection may take, name look-up included: 5 s unless told otherwise (TR-9). A connector of your own
    /// has its own.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connector = self.connector.connect_timeout(limit);
        self
    }
}

impl<D, H, C> SentryBuilder<D, H, C> {
    /// What the client calls itself, as `name/version`: `sentry_client` in the credentials (AU-3), and the user agent
    /// unless that is set on its own.
    pub fn client(mut self, name: impl Into<String>) -> Self {
        self.settings.client = name.into();
        self
    }

    /// The user agent, `{sdk}/{version} (comments)` (AU-5). No personal data.
    pub fn user_agent(mut self, agent: impl Into<String>) -> Self {
        self.settings.user_agent = Some(agent.into());
        self
    }

    /// One more header on every request. Mark secret values as sensitive (AU-7). Credentials, content type and
    /// content encoding are not to be replaced here.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.settings.headers.append(name, value);
        self
    }

    /// How requests are compressed: gzip unless told otherwise (CO-1).
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.settings.encoding = encoding;
        self
    }

    /// The level of compression; each encoding has its default.
    pub fn compression_level(mut self, level: u32) -> Self {
        self.settings.level = Some(level);
        self
    }

    /// How long one attempt may take, from the connection to the end of the reply's head, and again for its body: 30 s
    /// unless told otherwise (TR-9).
    pub fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.settings.attempt_timeout = limit;
        self
    }

    /// How long a whole delivery may take, all attempts and the waits between them: an envelope older than this that
    /// fails is given up. 30 days unless told otherwise (TR-9, decision 17).
    pub fn delivery_timeout(mut self, limit: Duration) -> Self {
        self.settings.max_age = limit;
        self
    }

    /// How long the background goes on when the last handle was dropped without a close: 2 s unless told otherwise
    /// (TR-2).
    pub fn shutdown_timeout(mut self, limit: Duration) -> Self {
        self.settings.shutdown_timeout = limit;
        self
    }

    /// How many attempts an envelope gets when the network fails: 20 unless told otherwise.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.settings.max_attempts = attempts;
        self
    }

    /// The waits between attempts: 5 s doubling to 1 h, ± 20 %, unless told otherwise.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// How many requests run at once: 8 unless told otherwise.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.settings.concurrency = requests.max(1);
        self
    }

    /// How much each lane of the queue holds: 1000 items and 32 MiB unless told otherwise (TP-1).
    pub fn capacity(mut self, capacity: Capacity) -> Self {
        self.settings.capacities = [capacity; Lane::COUNT];
        self
    }

    /// How much one lane of the queue holds.
    pub fn lane_capacity(mut self, lane: Lane, capacity: Capacity) -> Self {
        self.settings.capacities[lane.index()] = capacity;
        self
    }

    /// What gives way when a lane is full: the oldest unless told otherwise (TP-1).
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.settings.overflow = overflow;
        self
    }

    /// The shares of the lanes, by [`Lane::index`]: 5:4:3:2:1 unless told otherwise (TP-2).
    pub fn lane_weights(mut self, weights: [u32; Lane::COUNT]) -> Self {
        self.settings.lane_weights = weights;
        self
    }

    /// Whether losses are reported to the server: yes unless told otherwise (CR-7). The ledger counts them in any case.
    pub fn client_reports(mut self, on: bool) -> Self {
        self.settings.client_reports = on;
        self
    }

    /// How often pending reports leave on their own when they find no carrier: every 30 s unless told otherwise
    /// (CR-5). `None` leaves it at flush and close.
    pub fn report_interval(mut self, interval: Option<Duration>) -> Self {
        self.settings.report_interval = interval;
        self
    }

    /// Keeps what is not sent yet in the directory `path`, so that it survives the process (OC-1): envelopes are there
    /// before the first attempt and go with a known outcome; rate limits are kept there as well (RL-12). Takes the place
    /// of the queue in memory and its [capacity](Self::capacity).
    ///
    /// ```no_run
    /// let transport = envoi::sentry("https://public@o1.ingest.sentry.io/42")?.disk_buffer("/var/lib/app/envoi").build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    pub fn disk_buffer(self, path: impl Into<std::path::PathBuf>) -> Self {
        self.disk_buffer_with(path, envoi_spool::SpoolConfig::new())
    }

    /// [`SentryBuilder::disk_buffer`] with settings of your own. The clock is that of the transport.
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

    /// The pause between envelopes that an earlier run left in the disk buffer: 100 ms unless told otherwise (OC-7). New
    /// ones are not delayed.
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    pub const fn replay_pace(mut self, pause: Duration) -> Self {
        self.settings.replay_pace = pause;
        self
    }

    /// How logs, metrics and spans are collected (TP-4).
    pub fn batching(mut self, config: BatchConfig) -> Self {
        self.settings.batching = config;
        self
    }

    /// What statuses and errors mean. [`Policy::sentry`] unless told otherwise.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// How rate limits are read: the ceiling, and whether 503 counts.
    pub fn limit_options(mut self, options: LimitOptions) -> Self {
        self.settings.limit_options = options;
        self
    }

    /// Rate limits of an earlier run (RL-12), from [`Transport::save_limits`]. They are cut to the ceiling.
    pub fn restore_limits(mut self, saved: LimitsSnapshot) -> Self {
        self.settings.saved_limits = Some(saved);
        self
    }

    /// Whether what a rate limit meets in the queue waits there for the end of the limit (OC-8): yes unless told
    /// otherwise. If not, it is dropped when its turn comes, and counted as `ratelimit_backoff` (RL-8). That is for a
    /// process that is to end soon: a limit may last for hours.
    pub fn hold_limited(mut self, on: bool) -> Self {
        self.settings.hold_limited = on;
        self
    }

    /// Whether to write the DSN, without its secret, into the header of every envelope (EN-5). No unless told otherwise.
    pub fn dsn_header(mut self, on: bool) -> Self {
        self.settings.dsn_header = on;
        self
    }

    /// Where time comes from. Tokio's clock unless told otherwise, which a test can pause.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Where a layer of yours writes down what it drops, so that the books balance and the server is told.
    ///
    /// ```
    /// use envoi::{DataCategory, DiscardReason, LossSink};
    /// let builder = envoi::sentry("http://public@127.0.0.1:9/1")?;
    /// let books = builder.books();
    /// // … in the layer, with an envelope that carries a replay:
    /// books.lost(DiscardReason::BeforeSend, &DataCategory::Replay, 1);
    /// # Ok::<(), envoi::DsnError>(())
    /// ```
    #[must_use]
    pub fn books(&self) -> Books {
        self.books.clone()
    }

    /// Adds a layer of yours at the delivery level, between the queue and the filter: sampling, scrubbing, a second
    /// destination. It sees every [`Parcel`](envoi_core::Parcel) once per attempt; the first that is added is the
    /// outermost.
    ///
    /// ```
    /// use envoi::core::{DiscardReason, Itemized, LossSink, Parcel};
    /// use envoi::{DataCategory, Envelope, Item};
    /// use tower::util::MapRequestLayer;
    ///
    /// // `before_send` needs nothing special: change the parcel. Whoever drops an item records it.
    /// let transport = envoi::sentry("http://public@127.0.0.1:9/1")?
    ///     .delivery_layer(MapRequestLayer::new(|mut parcel: Parcel<Envelope>| {
    ///         parcel.meta_mut().extensions.insert("seen");
    ///         parcel
    ///     }))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delivery_layer<L>(self, layer: L) -> SentryBuilder<Stack<L, D>, H, C> {
        let Self { dsn, settings, books, delivery, exchange, connector } = self;
        SentryBuilder { dsn, settings, books, delivery: Stack::new(layer, delivery), exchange, connector }
    }

    /// Adds a layer of yours at the exchange level, between the attempt timeout and the credentials: tower-http's, or
    /// any other that wraps a `Service<http::Request<Segments>>`. The first that is added is the outermost.
    pub fn http_layer<L>(self, layer: L) -> SentryBuilder<D, Stack<L, H>, C> {
        let Self { dsn, settings, books, delivery, exchange, connector } = self;
        SentryBuilder { dsn, settings, books, delivery, exchange: Stack::new(layer, exchange), connector }
    }

    /// Replaces the connector: the place for TLS, proxies and Unix sockets.
    pub fn connector<E>(self, connector: E) -> SentryBuilder<D, H, E> {
        let Self { dsn, settings, books, delivery, exchange, .. } = self;
        SentryBuilder { dsn, settings, books, delivery, exchange, connector }
    }
}

impl<D, H, C> SentryBuilder<D, H, C>
where
    C: Connect,
    H: Layer<SentryExchange<C>>,
    H::Service: Exchange<Error: Into<BoxError> + Send, Future: Send, Body: Send> + Send + 'static,
    D: Layer<SentryDelivery<H::Service>>,
    D::Service: Deliver<Envelope, Future: Send> + Send + 'static,
{
    /// Builds the transport and runs it on a thread of its own. The usual choice: it works without a runtime, inside
    /// any runtime, in a panic hook and at exit.
    ///
    /// # Errors
    /// If the thread cannot be made, or the DSN asks for TLS and the connector has none.
    pub fn build(self) -> Result<Transport, BuildError> {
        match self.build_driver()? {
            (transport, Some(driver)) => {
                driver.spawn_thread().map_err(BuildError::Thread)?;
                Ok(transport)
            }
            (transport, None) => Ok(transport),
        }
    }

    /// Builds the transport and runs it on the application's runtime. It must have timers and I/O enabled. What is not
    /// sent when that runtime ends is counted as lost.
    ///
    /// # Errors
    /// If the DSN asks for TLS and the connector has none.
    pub fn build_on(self, runtime: &Handle) -> Result<Transport, BuildError> {
        let (transport, driver) = self.build_driver()?;
        if let Some(driver) = driver {
            drop(runtime.spawn(driver));
        }
        Ok(transport)
    }

    /// Builds the transport and leaves it to you where its driver runs: a future that ends with the transport. There is
    /// none if there is no DSN.
    ///
    /// # Errors
    /// If the DSN asks for TLS and the connector has none.
    pub fn build_driver(self) -> Result<Built<D::Service>, BuildError> {
        let Self { dsn, settings, books, delivery, exchange, connector } = self;
        let Some(dsn) = dsn else { return Ok((Transport::disabled(), None)) };
        if dsn.scheme() == Scheme::Https && (&connector as &dyn Any).is::<TcpConnector>() {
            return Err(BuildError::TlsUnavailable(dsn.envelope_url().clone()));
        }

        let clock = settings.clock;
        let (ledger, losses) = books;
        let limits = RateLimits::new(settings.limit_options);
        if let Some(saved) = &settings.saved_limits {
            limits.restore(saved, clock.now(), clock.wall());
        }
        let reports = if settings.client_reports {
            ClientReports::with_clock(Arc::clone(&clock))
        } else {
            ClientReports::disabled()
        };
        losses.report_to(reports.clone());
        let halt = CancellationToken::new();

        let mut headers = settings.headers;
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, user_agent(settings.user_agent.as_ref().unwrap_or(&settings.client)));
        }
        let auth = HeaderAuth::new(AUTH_HEADER, dsn.auth_header(&settings.client));
        let compress = CompressLayer::new(settings.encoding);
        let compress = match settings.level {
            Some(level) => compress.level(level),
            None => compress,
        };
        let codec =
            EnvelopeCodec::new(&dsn).with_clock(Arc::clone(&clock)).with_dsn_header(settings.dsn_header);

        let exchange = exchange.layer(
            ServiceBuilder::new()
                .layer(AuthLayer::new(auth))
                .layer(ExtraHeadersLayer::new(headers))
                .layer(compress)
                .service(
                    HttpClient::builder()
                        .connector(connector)
                        .pool_max_idle_per_host(settings.concurrency)
                        .build(),
                ),
        );
        let service = delivery.layer(
            ServiceBuilder::new()
                .layer(
                    FilterLayer::new(limits.clone())
                        .report_to((ledger.clone(), losses.clone()))
                        .clock(Arc::clone(&clock)),
                )
                .layer(ReportLayer::new(reports.clone()))
                .layer(
                    EncodeLayer::new(codec)
                        .policy(settings.policy)
                        .body_timeout(settings.attempt_timeout)
                        .halt_on(halt.clone())
                        .clock(Arc::clone(&clock)),
                )
                .timeout(settings.attempt_timeout)
                .service(exchange),
        );

        let mut store = MemoryStore::new().overflow(settings.overflow);
        for lane in Lane::ALL {
            store = store.lane_capacity(lane, settings.capacities[lane.index()]);
        }
        let config = OutboxConfig::new()
            .concurrency(settings.concurrency)
            .lane_weights(settings.lane_weights)
            .backoff(settings.backoff)
            .max_attempts(settings.max_attempts)
            .max_age(settings.max_age)
            .replay_pace(settings.replay_pace)
            .report_interval(settings.report_interval)
            .linger(settings.shutdown_timeout)
            .halt_token(halt)
            .ledger(ledger.clone())
            .losses(losses.clone())
            .reporter(reports.clone())
            .clock(Arc::clone(&clock));
        // An outbox that knows no limits leaves them to the filter, which drops.
        let config = if settings.hold_limited { config.limits(limits.clone()) } else { config };
        #[cfg(feature = "spool")]
        let (spool, (outbox, driver)) = match settings.disk {
            Some((path, disk)) => {
                let spool = envoi_spool::Spool::open(path, disk.clock(Arc::clone(&clock)));
                let spool = Arc::new(spool.map_err(BuildError::Disk)?);
                restore_limits(&spool, &limits, &*clock);
                (Some(Arc::clone(&spool)), outbox(spool, config, service))
            }
            None => (None, outbox(store, config, service)),
        };
        #[cfg(not(feature = "spool"))]
        let (outbox, driver) = outbox(store, config, service);
        let parts = Parts {
            outbox,
            ledger,
            limits,
            reports,
            losses,
            clock,
            batching: settings.batching,
            #[cfg(feature = "spool")]
            spool,
        };
        let (transport, driver) = Transport::assemble(parts, driver);
        Ok((transport, Some(driver)))
    }
}

/// Takes over the limits that were in force when the last run ended (RL-12). They are a courtesy: without them the server
/// says it again.
#[cfg(feature = "spool")]
fn restore_limits(spool: &envoi_spool::Spool<Envelope>, limits: &RateLimits, clock: &dyn envoi_core::Clock) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    if let Ok(Some(saved)) = spool.load_state(crate::transport::LIMITS, DAY)
        && let Ok(saved) = LimitsSnapshot::from_json(&saved)
    {
        limits.restore(&saved, clock.now(), clock.wall());
    }
}

/// The DSN is shown without its secret (AU-7).
impl<D, H, C> fmt::Debug for SentryBuilder<D, H, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentryBuilder")
            .field("dsn", &self.dsn)
            .field("encoding", &self.settings.encoding)
            .field("concurrency", &self.settings.concurrency)
            .field("client_reports", &self.settings.client_reports)
            .finish_non_exhaustive()
    }
}
