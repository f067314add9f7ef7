use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use envoi_core::{Clock, Limits, Reply, SystemClock};

use super::snapshot::LimitsSnapshot;
use super::{LimitOptions, limits_of_reply};
use crate::DataCategory;
use crate::sync::{AtomicU64, Ordering};

/// The rate limits of one DSN that are in force (RL-7). A cheap handle; clones share the table.
///
/// Each category has its own end and "everything" is separate; the later end wins, within a reply and across replies
/// (RL-6). An item is held back while either is in force, and free at the exact end (decision 7). Only
/// monotonic time decides, with the resolution of [`Instant`] (RL-11).
///
/// There is no lock. While nothing was ever limited a question costs one relaxed load; after that one or two more.
/// A limit that is learned on one thread is seen by others at once, but not in a fixed order: that of one category may
/// be seen a moment before that of another from the same reply.
///
/// Categories without limits of their own ([`DataCategory::is_limitable`]) are held only by the limit on everything;
/// among them is `internal`, that of client reports (RL-9).
#[derive(Clone)]
pub struct RateLimits {
    table: Arc<Table>,
}

struct Table {
    options: LimitOptions,
    /// Where ticks are counted from; any instant would do.
    origin: Instant,
    /// The latest of all ends: the gate of the idle path.
    latest: AtomicU64,
    everything: AtomicU64,
    own: [AtomicU64; DataCategory::KNOWN.len()],
}

/// A limit that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveLimit {
    /// What is limited; `None` is everything.
    pub category: Option<DataCategory>,
    /// For how much longer; never nought.
    pub remaining: Duration,
}

/// The tick of the origin: ends are kept as nanoseconds from it, and instants before it must have room too. Tick 0
/// (146 years before the origin) is "never".
const ORIGIN: u64 = 1 << 62;
const NEVER: u64 = 0;

impl Table {
    fn ticks(&self, at: Instant) -> u64 {
        match at.checked_duration_since(self.origin) {
            Some(after) => ORIGIN.saturating_add(nanos(after)),
            // Not down to "never".
            None => ORIGIN.saturating_sub(nanos(self.origin.saturating_duration_since(at))).max(1),
        }
    }

    /// The instant of an end that is after `now`.
    fn instant(now: Instant, now_ticks: u64, end: u64) -> Instant {
        // No end lies further ahead than the ceiling, so the sum is in range whenever `now` is a real instant.
        now.checked_add(Duration::from_nanos(end - now_ticks)).unwrap_or(now)
    }

    /// Puts a limit on `category`, or on everything, until `end`. The later end wins (RL-6).
    fn hold(&self, category: Option<&DataCategory>, end: u64) {
        let slot = match category {
            None => Some(&self.everything),
            Some(category) => category.index().and_then(|index| self.own.get(index)),
        };
        if let Some(slot) = slot {
            slot.fetch_max(end, Ordering::Relaxed);
            self.latest.fetch_max(end, Ordering::Relaxed);
        }
    }

    /// The end of the limit on `category` alone, or on everything; [`NEVER`] if there was none.
    fn end(&self, category: Option<&DataCategory>) -> u64 {
        let slot = match category {
            None => Some(&self.everything),
            Some(category) => category.index().and_then(|index| self.own.get(index)),
        };
        slot.map_or(NEVER, |slot| slot.load(Ordering::Relaxed))
    }

    /// Whether no limit can be in force. The one relaxed load.
    fn is_idle(&self) -> bool {
        self.latest.load(Ordering::Relaxed) == NEVER
    }

    fn until(&self, category: Option<&DataCategory>, now: Instant) -> Option<Instant> {
        if self.is_idle() {
            return None;
        }
        let ticks = self.ticks(now);
        let end = self.end(category);
        (end > ticks).then(|| Self::instant(now, ticks, end))
    }

    /// Everything that is in force, with what remains in nanoseconds: the limit on everything first.
    fn active(&self, now: Instant) -> impl Iterator<Item = (Option<DataCategory>, u64)> {
        let ticks = self.ticks(now);
        let own = DataCategory::KNOWN.into_iter().map(Some);
        let slots = std::iter::once(&self.everything).chain(&self.own);
        std::iter::once(None).chain(own).zip(slots).filter_map(move |(category, slot)| {
            let remaining = slot.load(Ordering::Relaxed).checked_sub(ticks)?;
            (remaining > 0).then_some((category, remaining))
        })
    }
}

/// Saturates after 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl RateLimits {
    /// An empty table.
    #[must_use]
    pub fn new(options: LimitOptions) -> Self {
        Self {
            table: Arc::new(Table {
                options,
                origin: SystemClock.now(),
                latest: AtomicU64::new(NEVER),
                everything: AtomicU64::new(NEVER),
                own: std::array::from_fn(|_| AtomicU64::new(NEVER)),
            }),
        }
    }

    /// Limits `category`, or everything, for `duration` from `now`, as if a server had said so. Cut to the ceiling;
    /// the later end wins.
    pub fn limit(&self, category: Option<&DataCategory>, duration: Duration, now: Instant) {
        if category.is_none_or(DataCategory::is_limitable) && !duration.is_zero() {
            let duration = nanos(self.table.options.cut(duration));
            self.table.hold(category, self.table.ticks(now).saturating_add(duration));
        }
    }

    /// Whether `category` is held back, by its own limit or by the one on everything, so that a producer can skip
    /// the work (RL-12).
    #[must_use]
    pub fn is_limited(&self, category: &DataCategory, now: Instant) -> bool {
        self.until(category, now).is_some()
    }

    /// Until when `category` is held back, by its own limit or by the one on everything (RL-12).
    #[must_use]
    pub fn until(&self, category: &DataCategory, now: Instant) -> Option<Instant> {
        if self.table.is_idle() {
            return None;
        }
        self.table.until(None, now).max(self.table.until(Some(category), now))
    }

    /// All limits that are in force (RL-12), the one on everything first.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Vec<ActiveLimit> {
        self.table
            .active(now)
            .map(|(category, remaining)| ActiveLimit { category, remaining: Duration::from_nanos(remaining) })
            .collect()
    }

    /// The limits that are in force, by wall-clock time, to outlive a restart (RL-12).
    #[must_use]
    pub fn save(&self, now: Instant, wall: SystemTime) -> LimitsSnapshot {
        let active = self.snapshot(now);
        LimitsSnapshot::new(
            active.into_iter().filter_map(|limit| Some((limit.category, wall.checked_add(limit.remaining)?))),
        )
    }

    /// Puts saved limits in force for what is left of them (RL-12). None lasts longer than the ceiling, whatever
    /// became of the wall clock in between, and none shortens a limit that is in force.
    pub fn restore(&self, saved: &LimitsSnapshot, now: Instant, wall: SystemTime) {
        for (category, end) in saved.iter() {
            if let Ok(remaining) = end.duration_since(wall) {
                self.limit(category, remaining, now);
            }
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self::new(LimitOptions::new())
    }
}

impl Limits<DataCategory> for RateLimits {
    fn is_idle(&self) -> bool {
        self.table.is_idle()
    }

    fn any_active(&self, now: Instant) -> bool {
        let latest = self.table.latest.load(Ordering::Relaxed);
        latest != NEVER && latest > self.table.ticks(now)
    }

    fn all_until(&self, now: Instant) -> Option<Instant> {
        self.table.until(None, now)
    }

    fn category_until(&self, category: &DataCategory, now: Instant) -> Option<Instant> {
        self.table.until(Some(category), now)
    }

    fn next_end(&self, now: Instant) -> Option<Instant> {
        if self.table.is_idle() {
            return None;
        }
        let remaining = self.table.active(now).map(|(_, remaining)| remaining).min()?;
        now.checked_add(Duration::from_nanos(remaining))
    }

    fn is_limited(&self, category: &DataCategory, now: Instant) -> bool {
        Self::is_limited(self, category, now)
    }

    fn learn(&self, reply: &Reply, now: Instant, wall: SystemTime) {
        for limit in limits_of_reply(reply.status, &reply.headers, wall, &self.table.options) {
            self.limit(limit.category.as_ref(), limit.duration, now);
        }
    }
}

impl fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ends mean nothing without a clock; what remains is in `snapshot`.
        f.debug_struct("RateLimits").field("options", &self.table.options).finish_non_exhaustive()
    }
}
