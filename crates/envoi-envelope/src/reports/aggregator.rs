use std::fmt;
use std::sync::Arc;

use envoi_core::{DiscardReason, LossSink, SharedClock, SystemClock};

use super::counts::Counts;
use super::{ClientReport, ReportTime};
use crate::DataCategory;

/// The losses of one client that are yet to be reported (CR-1). A cheap handle; clones share the counts.
///
/// Pairs of a known reason and a known category are counted without a lock; `is_pending` is one relaxed load. Unknown
/// names are kept as they are, up to 256 pairs at a time and 128 bytes a name; beyond that a loss counts under the
/// name `other` in place of the unknown one, so that the sum stays true.
///
/// A count is in exactly one place at any time: here, or in what was taken. Nothing is ever recorded of the category
/// `internal`: a report is not itself reported (CR-6).
///
/// As a [`Reporter`](envoi_core::Reporter) it attaches its reports to an envelope as `client_report` items, and
/// takes out again exactly those.
#[derive(Clone)]
pub struct ClientReports {
    /// `None` is disabled.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    clock: SharedClock,
    counts: Counts,
}

impl ClientReports {
    /// Nothing lost yet. Reports are stamped by the clock of the operating system.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// Nothing lost yet. Reports are stamped by `clock`.
    #[must_use]
    pub fn with_clock(clock: SharedClock) -> Self {
        Self { inner: Some(Arc::new(Inner { clock, counts: Counts::new() })) }
    }

    /// Records nothing and reports nothing, at no cost: `send_client_reports = false` (CR-7).
    #[must_use]
    pub const fn disabled() -> Self {
        Self { inner: None }
    }

    /// Whether losses are recorded.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.inner.is_some()
    }

    /// Whether there is anything to report: one relaxed load.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.counts.is_pending())
    }

    /// Takes all counts and starts from nought (CR-1), as reports that are at most
    /// [`MAX_REPORT_BYTES`](super::MAX_REPORT_BYTES) long each (CR-8).
    ///
    /// A count that is added at the same time is in this batch or in the next, never in both or neither. One entry
    /// says at most `u32::MAX`, which is what servers read; what is above stays for the next time.
    #[must_use = "what was taken is not reported unless it is sent or put back"]
    pub fn take(&self) -> Vec<ClientReport> {
        let Some(inner) = self.inner.as_ref().filter(|inner| inner.counts.is_pending()) else {
            return Vec::new();
        };
        ClientReport::pack(&ReportTime::At(inner.clock.wall()), inner.counts.take())
    }

    /// Puts the counts of a report that did not arrive back (CR-6). Fields that only relays use are not losses of
    /// this client and are left out.
    pub fn put_back(&self, report: &ClientReport) {
        for row in &report.discarded_events {
            self.restore(row.reason.clone(), &row.category, row.quantity);
        }
    }
}

impl Default for ClientReports {
    fn default() -> Self {
        Self::new()
    }
}

impl LossSink<DataCategory> for ClientReports {
    fn lost(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        if let Some(inner) = &self.inner
            && quantity > 0
            && category.as_str() != DataCategory::Internal.as_str()
        {
            inner.counts.add(reason, category, quantity);
        }
    }

    fn restore(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        self.lost(reason, category, quantity);
    }
}

impl fmt::Debug for ClientReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientReports")
            .field("enabled", &self.is_enabled())
            .field("pending", &self.has_pending())
            .finish()
    }
}
