use envoi_core::Lane;
use metrics::{counter, gauge};

use super::Transport;

/// Publishes the figures of a transport through the `metrics` facade. Counters are set, not added to, so that it does
/// not matter how often this is done.
pub(super) fn publish(transport: &Transport) {
    for (category, account) in transport.ledger().iter() {
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
    let Some(stats) = transport.stats() else { return };
    for lane in Lane::ALL {
        let depth = stats.outbox.lanes[lane.index()];
        gauge!("envoi_queue_envelopes", "lane" => lane.as_str()).set(as_f64(depth.parcels as u64));
        gauge!("envoi_queue_bytes", "lane" => lane.as_str()).set(as_f64(depth.bytes as u64));
    }
    gauge!("envoi_in_flight").set(as_f64(stats.outbox.in_flight as u64));
    gauge!("envoi_limits_active").set(as_f64(stats.limits.len() as u64));
    counter!("envoi_attempts_total").absolute(stats.outbox.attempts);
}

/// Gauges are floating point; beyond 2^53 the last digits do not matter.
#[expect(clippy::cast_precision_loss, reason = "see above")]
const fn as_f64(value: u64) -> f64 {
    value as f64
}
