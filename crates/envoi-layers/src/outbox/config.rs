use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use envoi_core::{Itemized, Lane, Ledger, Limits, LossSink, Reporter, SharedClock};
use tokio_util::sync::CancellationToken;

use super::Backoff;
use super::verdict::Persistence;
use crate::TokioClock;

/// What an outbox may do, and whom it works with. The defaults are those of the requirements.
///
/// ```
/// use std::time::Duration;
/// use envoi_core::Ledger;
/// use envoi_layers::outbox::OutboxConfig;
/// # use envoi_testkit::Goods;
/// let ledger = Ledger::new(); // shared with the layers below, so that there is one account of everything
/// let config = OutboxConfig::<Goods>::new().ledger(ledger.clone()).concurrency(4).max_age(Duration::from_secs(3600));
/// ```
pub struct OutboxConfig<P: Itemized> {
    pub(super) concurrency: usize,
    pub(super) weights: [u32; Lane::COUNT],
    pub(super) persistence: Persistence,
    pub(super) pace: Duration,
    pub(super) replay_on_close: bool,
    pub(super) report_interval: Option<Duration>,
    pub(super) linger: Duration,
    pub(super) halt: CancellationToken,
    pub(super) seed: Option<u64>,
    pub(super) ledger: Ledger<P::Category>,
    pub(super) losses: Option<Arc<dyn LossSink<P::Category>>>,
    pub(super) limits: Arc<dyn Limits<P::Category>>,
    pub(super) reporter: Option<Arc<dyn Reporter<P>>>,
    pub(super) clock: SharedClock,
    pub(super) gate: Option<Gate>,
    pub(super) hold: Option<Hold>,
}

/// Until when nothing is to leave, if so at the moment.
pub(super) type Hold = Arc<dyn Fn(Instant) -> Option<Instant> + Send + Sync>;

/// Whether anything may go through.
pub(super) type Gate = Arc<dyn Fn() -> bool + Send + Sync>;

impl<P: Itemized> Default for OutboxConfig<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Itemized> OutboxConfig<P> {
    /// The defaults, with books of its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            concurrency: 8,
            weights: Lane::ALL.map(Lane::default_weight),
            persistence: Persistence {
                backoff: Backoff::default(),
                max_attempts: 20,
                max_age: Duration::from_secs(30 * 24 * 60 * 60),
            },
            pace: Duration::from_millis(100),
            replay_on_close: false,
            report_interval: Some(Duration::from_secs(30)),
            linger: Duration::from_secs(2),
            halt: CancellationToken::new(),
            seed: None,
            ledger: Ledger::new(),
            losses: None,
            limits: Arc::new(()),
            reporter: None,
            clock: Arc::new(TokioClock),
            gate: None,
            hold: None,
        }
    }

    /// How many deliveries run at once: 8 unless told otherwise, at least 1.
    #[must_use]
    pub fn concurrency(mut self, deliveries: usize) -> Self {
        self.concurrency = deliveries.max(1);
        self
    }

    /// The share of each lane while all have a backlog, by [`Lane::index`]: 5:4:3:2:1 unless told otherwise (TP-2). A
    /// weight of 0 counts as 1.
    #[must_use]
    pub fn lane_weights(mut self, weights: [u32; Lane::COUNT]) -> Self {
        self.weights = weights;
        self
    }

    /// How long to wait after a network error: 5 s doubling to 1 h, ± 20 % (OC-4, decision 17).
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.persistence.backoff = backoff;
        self
    }

    /// How many attempts a parcel gets: 20 unless told otherwise. 1 is no retry.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.persistence.max_attempts = attempts;
        self
    }

    /// A parcel older than this that fails is given up: 30 days unless told otherwise.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.persistence.max_age = age;
        self
    }

    /// The pause between parcels of an earlier run: 100 ms unless told otherwise (OC-7). Live ones are not delayed.
    #[must_use]
    pub fn replay_pace(mut self, pause: Duration) -> Self {
        self.pace = pause;
        self
    }

    /// Whether a close sends what an earlier run left as well, at its pace, as long as there is time and the network has not
    /// failed: no unless told otherwise. For programs whose runs are short, which would never get to it otherwise.
    #[must_use]
    pub fn replay_on_close(mut self, on: bool) -> Self {
        self.replay_on_close = on;
        self
    }

    /// How often pending reports leave on their own if they find no carrier: every 30 s unless told otherwise (CR-5).
    /// `None` leaves it at flush and close.
    #[must_use]
    pub fn report_interval(mut self, interval: Option<Duration>) -> Self {
        self.report_interval = interval.map(|interval| interval.max(Duration::from_millis(1)));
        self
    }

    /// How long the driver goes on after the last handle was dropped: 2 s unless told otherwise.
    #[must_use]
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }

    /// The token that a close cancels when its time is nearly up. Give it to the layers below that wait (a retry, the
    /// bridge to HTTP), so that they hand their parcels back in time.
    #[must_use]
    pub fn halt_token(mut self, token: CancellationToken) -> Self {
        self.halt = token;
        self
    }

    /// Makes the jitter repeatable.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The books. Share one ledger among everything that one stack is made of, a second queue below included.
    #[must_use]
    pub fn ledger(mut self, ledger: Ledger<P::Category>) -> Self {
        self.ledger = ledger;
        self
    }

    /// Who else is told of losses: the aggregator of client reports. The ledger is told in any case.
    #[must_use]
    pub fn losses(mut self, sink: impl LossSink<P::Category>) -> Self {
        self.losses = Some(Arc::new(sink));
        self
    }

    /// The rate limits to mind: refuse at the door (TP-3), and hold what is queued (OC-8).
    #[must_use]
    pub fn limits(mut self, limits: impl Limits<P::Category>) -> Self {
        self.limits = Arc::new(limits);
        self
    }

    /// Whose reports leave on their own, at the interval and at flush and close (CR-5).
    #[must_use]
    pub fn reporter(mut self, reporter: impl Reporter<P>) -> Self {
        self.reporter = Some(Arc::new(reporter));
        self
    }

    /// Where time comes from: tokio's clock unless told otherwise.
    #[must_use]
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// Asked at every post and before every delivery; while it says no the transport is disabled (BD-5). Posts are then
    /// refused as [`Kind::Disabled`](envoi_core::Kind::Disabled) without being queued or stored, and what is queued already
    /// is discarded in its turn (`send_error`) without calling the service. It should cost no more than a load.
    ///
    /// For a [`latch`](crate::latch): `move || !latch.is_tripped()`.
    #[must_use]
    pub fn gate(mut self, is_open: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.gate = Some(Arc::new(is_open));
        self
    }

    /// Asked before every delivery with the time by the clock, while the gate is open; until the instant that it says
    /// nothing leaves. Unlike under a limit posts are taken on. It is asked again then, and whenever something happens. A
    /// close does not wait for what is held beyond its time.
    ///
    /// For a [`breaker`](crate::breaker) below, whose refusals would have to be taken back one by one:
    /// `move |now| breaker.refuses_until(now)`.
    #[must_use]
    pub fn hold(mut self, until: impl Fn(Instant) -> Option<Instant> + Send + Sync + 'static) -> Self {
        self.hold = Some(Arc::new(until));
        self
    }
}

/// Shares the ledger, the halt token and all other parts with the original.
impl<P: Itemized> Clone for OutboxConfig<P> {
    fn clone(&self) -> Self {
        Self {
            concurrency: self.concurrency,
            weights: self.weights,
            persistence: self.persistence,
            pace: self.pace,
            replay_on_close: self.replay_on_close,
            report_interval: self.report_interval,
            linger: self.linger,
            halt: self.halt.clone(),
            seed: self.seed,
            ledger: self.ledger.clone(),
            losses: self.losses.clone(),
            limits: Arc::clone(&self.limits),
            reporter: self.reporter.clone(),
            clock: Arc::clone(&self.clock),
            gate: self.gate.clone(),
            hold: self.hold.clone(),
        }
    }
}

impl<P: Itemized> fmt::Debug for OutboxConfig<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxConfig")
            .field("concurrency", &self.concurrency)
            .field("weights", &self.weights)
            .field("persistence", &self.persistence)
            .field("pace", &self.pace)
            .field("report_interval", &self.report_interval)
            .field("linger", &self.linger)
            .field("reporter", &self.reporter.is_some())
            .field("gate", &self.gate.is_some())
            .field("hold", &self.hold.is_some())
            .finish_non_exhaustive()
    }
}
