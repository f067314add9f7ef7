//! Client reports: how a server learns what a client lost.
//!
//! * [`ClientReports`] is the aggregator, one per client (CR-1). It is a [`LossSink`](envoi_core::LossSink), which is
//!   told of every loss, and a [`Reporter`](envoi_core::Reporter), which lets the counts ride on the next envelope.
//! * [`ClientReport`] is the payload of a `client_report` item.
//!
//! ```
//! use envoi_core::{DiscardReason, LossSink};
//! use envoi_envelope::{DataCategory, reports::ClientReports};
//!
//! let reports = ClientReports::new();
//! reports.lost(DiscardReason::QueueOverflow, &DataCategory::Error, 2);
//! reports.lost(DiscardReason::QueueOverflow, &DataCategory::Error, 3);
//! let taken = reports.take();
//! assert_eq!(taken[0].discarded_events[0].quantity, 5);
//! assert!(reports.take().is_empty()); // taken and reset
//! ```

mod aggregator;
mod counts;
mod grid;
mod payload;
mod reporter;
#[cfg(test)]
mod tests;

pub use aggregator::ClientReports;
pub use payload::{ClientReport, Discarded, MAX_REPORT_BYTES, ReportError, ReportTime, parse_discarded};
