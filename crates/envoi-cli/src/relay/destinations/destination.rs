use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use envoi::core::{Clock, Failure, SystemClock};
use envoi::envelope::limits::ActiveLimit;
use envoi::layers::outbox::Backoff;
use envoi::spool::{OnBusy, SpoolConfig};
use envoi::{BuildError, Capacity, Dsn, Envelope, SentryBuilder, Transport};
use http::header::SET_COOKIE;
use tokio::runtime::Handle;
use tower::util::MapErrLayer;
use tower_http::decompression::DecompressionLayer;
use tower_http::sensitive_headers::SetSensitiveResponseHeadersLayer;
use tower_http::trace::TraceLayer;

use super::home::name_of;
use super::troubles::{Trouble, Troubles};
use crate::relay::config::{Settings, Upstream, label};
use crate::relay::memory::FRAME;

/// What the relay calls itself (AU-3, AU-5).
const CLIENT: &str = concat!("envoi-relay/", env!("CARGO_PKG_VERSION"));

/// A queue in memory holds at most so many items per lane.
const MOST_ITEMS: usize = 100_000;

/// A lane in memory gets this part of all memory, so that a flood in one pushes out its own oldest and leaves room for
/// what is more urgent (TP-1).
const LANE_PART: usize = 8;

/// What waits for a disk that does not keep up gets this part.
const DISK_PART: usize = 4;

/// What disk buffers keep in memory besides, so that it need not be read back, gets this part, all together: an outage
/// must not fill the memory with what is on disk, so that nothing more can come in.
const CACHE_PART: usize = 4;

/// How much of it is for one destination.
fn cache(settings: &Settings) -> usize {
    let all = settings.limits.memory / CACHE_PART;
    match settings.upstream {
        // While the disk fails it has to hold any envelope.
        Upstream::Project(_) => all.max(settings.limits.body),
        _ => all / settings.limits.destinations,
    }
}

/// One DSN: its transport, and what is known about it.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) dsn: Dsn,
    pub(crate) transport: Transport,
    has_disk: bool,
    troubles: Troubles,
    opened: Instant,
    /// Milliseconds from `opened` to the last envelope.
    used: AtomicU64,
}

impl Destination {
    /// Opens the transport. Blocks while a disk buffer recovers.
    ///
    /// # Errors
    /// If the disk buffer cannot be opened, or the DSN needs what is not built in.
    pub(super) fn open(
        dsn: Dsn,
        dir: Option<PathBuf>,
        settings: &Settings,
        runtime: &Handle,
    ) -> Result<Self, BuildError> {
        let (forward, limits) = (settings.forward, settings.limits);
        let troubles = Troubles::default();
        let noted = troubles.clone();
        let builder = SentryBuilder::new(Some(dsn.clone()));
        let builder = match &settings.way {
            Some(way) => builder.way(way.clone()),
            None => builder,
        };
        let builder = builder
            .client(CLIENT)
            .encoding(forward.encoding)
            .concurrency(forward.concurrency)
            .connect_timeout(forward.timeout)
            .attempt_timeout(forward.timeout)
            .backoff(Backoff::new(forward.retry_first, forward.retry_longest.max(forward.retry_first)))
            // It is the age that ends it: an outage costs as many attempts as it lasts.
            .max_attempts(u32::MAX)
            // Any envelope that is accepted fits.
            .capacity(Capacity::new(MOST_ITEMS, (limits.memory / LANE_PART).max(limits.body)));
        let builder = match (dir, &settings.spool) {
            (Some(dir), Some(spool)) => builder
                .disk_buffer_with(
                    dir,
                    SpoolConfig::new()
                        // The home is locked, so who is in there is a relay that was killed a moment ago.
                        .on_busy(OnBusy::default())
                        .max_bytes(spool.max_bytes)
                        .max_count(spool.max_envelopes)
                        .max_age(spool.max_age)
                        .queue_bytes((limits.memory / DISK_PART).max(limits.body))
                        .cache_bytes(cache(settings)),
                )
                .replay_pace(forward.replay_pause)
                .delivery_timeout(spool.max_age),
            _ => builder,
        };
        let transport = builder
            .delivery_layer(MapErrLayer::new(move |failure: Failure<Envelope>| {
                noted.note(failure.fault(), SystemClock.wall());
                failure
            }))
            .http_layer(TraceLayer::new_for_http())
            .http_layer(SetSensitiveResponseHeadersLayer::new([SET_COOKIE]))
            .http_layer(DecompressionLayer::new())
            .build_on(runtime)?;
        Ok(Self {
            name: name_of(&dsn),
            label: label(&dsn),
            dsn,
            has_disk: transport.disk_stats().is_some(),
            transport,
            troubles,
            opened: SystemClock.now(),
            used: AtomicU64::new(0),
        })
    }

    /// What an envelope of so many bytes takes of the memory as long as it is here. With a disk buffer that is what counts
    /// for its cache, so that what the cache may hold is all that it can take.
    pub(crate) fn room_for(&self, bytes: usize) -> usize {
        if self.has_disk { bytes } else { bytes + FRAME }
    }

    /// An envelope has come for it.
    pub(super) fn touch(&self) {
        let since = SystemClock.now().saturating_duration_since(self.opened).as_millis();
        self.used.fetch_max(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long nothing has come for it.
    pub(crate) fn unused_for(&self) -> Duration {
        let used = Duration::from_millis(self.used.load(Ordering::Relaxed));
        SystemClock.now().saturating_duration_since(self.opened).saturating_sub(used)
    }

    /// Whether nothing is lost if it is closed: nothing queued or under way, no limit to remember, nothing to report.
    pub(super) fn is_at_rest(&self) -> bool {
        let quiet = self.transport.stats().is_none_or(|stats| {
            stats.outbox.queued() == 0
                && stats.outbox.in_flight == 0
                && stats.limits.is_empty()
                && !stats.has_pending_reports
        });
        quiet && self.transport.disk_stats().is_none_or(|disk| disk.entries == 0)
    }

    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        self.troubles.all()
    }

    /// The rate limits in force.
    pub(crate) fn limits(&self) -> Vec<ActiveLimit> {
        self.transport.limits()
    }
}
