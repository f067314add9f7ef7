use envoi_layers::breaker::BreakerState;
use metrics::{counter, gauge};

use super::BatchTransport;
use crate::publish::{as_f64, ledger};

/// Publishes the figures of a transport. Those that are not by category have names of their own, since a program may have
/// one for Sentry as well.
pub(super) fn publish(transport: &BatchTransport) {
    ledger(&transport.ledger());
    let stats = transport.stats();
    gauge!("envoi_batch_queue_events").set(as_f64(stats.waiting as u64));
    gauge!("envoi_batch_queue_bytes").set(as_f64(stats.waiting_bytes as u64));
    gauge!("envoi_batch_in_flight").set(as_f64(stats.outbox.in_flight as u64));
    counter!("envoi_batch_deliveries_total").absolute(stats.outbox.attempts);
    let is_open = !matches!(stats.breaker, BreakerState::Closed { .. });
    gauge!("envoi_batch_breaker_open").set(as_f64(is_open.into()));
    gauge!("envoi_batch_disabled").set(as_f64(stats.is_disabled.into()));
}
