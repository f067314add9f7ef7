use std::fmt;
use std::time::Duration;

use envoi_core::{Lane, Ledger, SharedClock};
use envoi_envelope::batch::BatchConfig;
use envoi_envelope::limits::LimitsSnapshot;
use envoi_envelope::{Dsn, LimitOptions};
use envoi_http::{Encoding, Policy};
use envoi_layers::outbox::{Backoff, Capacity, Overflow};
use http::{HeaderName, HeaderValue};
use tower::layer::util::{Identity, Stack};

use super::settings::Settings;
use super::{Books, Losses};
use crate::way::{DefaultConnector, Source};

/// The settings of a transport to Sentry, see [`sentry()`](super::sentry()).
///
/// Every default is the one of the requirements. `D`, `H` and `C` are the layers and the connector that were given;
/// nobody has to name them.
#[must_use = "a builder does nothing until it builds"]
pub struct SentryBuilder<D = Identity, H = Identity, C = DefaultConnector> {
    pub(super) dsn: Option<Dsn>,
    pub(super) settings: Settings,
    pub(super) books: Books,
    pub(super) delivery: D,
    pub(super) exchange: H,
    pub(super) connector: Source<C>,
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
            connector: Source::of_way(),
        }
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

    /// Whether a close sends what an earlier run left in the disk buffer as well, as long as there is time and the network
    /// has not failed: no unless told otherwise. For programs whose runs are short, which would never get to it otherwise.
    pub const fn replay_on_close(mut self, on: bool) -> Self {
        self.settings.replay_on_close = on;
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

    /// Rate limits of an earlier run (RL-12), from [`Transport::save_limits`](crate::Transport::save_limits). They are cut to the ceiling.
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
