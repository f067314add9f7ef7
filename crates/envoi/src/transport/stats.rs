use std::collections::BTreeMap;

use envoi_envelope::DataCategory;
use envoi_envelope::limits::ActiveLimit;
use envoi_layers::outbox::Stats;

/// What a transport is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportStats {
    /// The queue: depth and oldest entry per lane, deliveries that run, the last failure in the server's words.
    pub outbox: Stats,
    /// The rate limits that are in force (RL-12).
    pub limits: Vec<ActiveLimit>,
    /// Items that wait for their container to be full or old enough, by category; not in the ledger yet.
    pub batching: BTreeMap<DataCategory, u64>,
    /// Whether losses wait to be reported.
    pub has_pending_reports: bool,
}
