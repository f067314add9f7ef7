//! What a relay shows of itself: a page, the same as JSON, and metrics.
//!
//! [`view`] collects, the others only write down what is in it. [`history`] is the throughput of the last minutes.

mod escape;
mod history;
mod metrics;
mod page;
mod plot;
mod view;

#[cfg(test)]
mod tests;

use super::state::Relay;
use view::View;

pub(super) use history::{EVERY, History};
pub(super) use view::{AccountView, accounts, forwarded};

/// The style sheet of the page.
pub(super) const STYLE: &str = include_str!("status.css");
/// The script of the page.
pub(super) const SCRIPT: &str = include_str!("status.js");

/// The page.
pub(super) fn html(relay: &Relay) -> String {
    page::html(&View::of(relay))
}

/// The same for machines.
pub(super) fn json(relay: &Relay) -> serde_json::Value {
    serde_json::to_value(View::of(relay)).unwrap_or_default()
}

/// The figures in the text format of Prometheus.
pub(super) fn metrics(relay: &Relay) -> String {
    metrics::metrics(&View::of(relay))
}
