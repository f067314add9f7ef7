//! What the presets have in common that publish figures through the `metrics` facade. Counters are set, not added to, so that
//! it does not matter how often this is done.

use std::fmt::Display;
use std::time::Duration;

use envoi_core::LedgerSnapshot;
use metrics::{counter, gauge};

/// How often figures are published.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// The books, by category.
pub(crate) fn ledger<C: Ord + Display>(ledger: &LedgerSnapshot<C>) {
    for (category, account) in ledger.iter() {
        let category = category.to_string();
        counter!("envoi_items_posted_total", "category" => category.clone()).absolute(account.posted);
        counter!("envoi_items_delivered_total", "category" => category.clone()).absolute(account.delivered);
        for (status, quantity) in &account.refused {
            counter!("envoi_items_refused_total", "category" => category.clone(), "status" => status.to_string())
                .absolute(*quantity);
        }
        for (reason, quantity) in &account.lost {
            counter!("envoi_items_lost_total", "category" => category.clone(), "reason" => reason.to_string())
                .absolute(*quantity);
        }
        gauge!("envoi_items_held", "category" => category).set(as_f64(account.held().unwrap_or(0)));
    }
}

/// Gauges are floating point; beyond 2^53 the last digits do not matter.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) const fn as_f64(value: u64) -> f64 {
    value as f64
}
