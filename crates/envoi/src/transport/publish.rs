use envoi_core::Lane;
use metrics::{counter, gauge};

use super::Transport;
use crate::publish::{as_f64, ledger};

/// Publishes the figures of a transport.
pub(super) fn publish(transport: &Transport) {
    ledger(&transport.ledger());
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
