use envoi_core::Fault;

/// One event per failed attempt (TR-7): only the fault, which holds no address, no header and no payload.
///
/// Most are at debug level, since the answer goes up the stack with the goods and whoever gives up may say so
/// louder. Two are not: a 413 is an error of the application (OC-3), and a status that is neither success nor
/// refusal is a misconfigured address (decision 15).
#[cfg(feature = "tracing")]
pub(super) fn failure(fault: &Fault) {
    match fault.status().map(|status| status.as_u16()) {
        Some(413) => tracing::error!(%fault, "payload too large"),
        Some(100..=199 | 300..=399 | 600..) => tracing::warn!(%fault, "unexpected status"),
        _ => tracing::debug!(%fault, advice = ?fault.advice(), "delivery attempt failed"),
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) const fn failure(_: &Fault) {}
