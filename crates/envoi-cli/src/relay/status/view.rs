//! What is to be seen, as plain data: everything that is shown is taken from here, so that all forms agree.

use std::time::{Duration, SystemTime};

use envoi::core::{Account, Clock, Lane, SystemClock};
use envoi::spool::SpoolState;
use envoi::{DataCategory, TransportStats};
use serde::Serialize;

use super::history::Rate;
use crate::relay::config::Ack;
use crate::relay::destinations::{Destination, Totals};
use crate::relay::state::{Counters, Relay};

#[derive(Clone, Debug, Serialize)]
pub(crate) struct View {
    pub(crate) version: &'static str,
    pub(crate) stopping: bool,
    pub(crate) uptime_seconds: u64,
    pub(crate) listen: String,
    pub(crate) upstream: String,
    pub(crate) acknowledges: &'static str,
    pub(crate) accepted: u64,
    pub(crate) accepted_bytes: u64,
    pub(crate) forwarded: u64,
    pub(crate) not_durable: u64,
    pub(crate) connections: usize,
    pub(crate) connections_limit: usize,
    pub(crate) memory_bytes: usize,
    pub(crate) memory_limit_bytes: usize,
    pub(crate) answers: Vec<(u16, u64)>,
    pub(crate) refusals: Vec<(&'static str, u64)>,
    pub(crate) rates: Vec<RateView>,
    pub(crate) destinations: Vec<DestinationView>,
    pub(crate) destinations_limit: usize,
    pub(crate) destinations_closed: u64,
    pub(crate) closed: Vec<AccountView>,
}

/// Envelopes per second.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RateView {
    pub(crate) accepted: f64,
    pub(crate) forwarded: f64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct DestinationView {
    pub(crate) name: String,
    /// The beginning of the public key.
    pub(crate) key: String,
    /// Tells DSNs apart whose keys begin alike: what the directory of its disk buffer ends with.
    pub(crate) id: String,
    pub(crate) lanes: Vec<LaneView>,
    pub(crate) in_flight: usize,
    pub(crate) attempts: u64,
    pub(crate) discharged: u64,
    pub(crate) unused_seconds: u64,
    pub(crate) limits: Vec<LimitView>,
    pub(crate) troubles: Vec<TroubleView>,
    pub(crate) disk: Option<DiskView>,
    pub(crate) ledger: Vec<AccountView>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct LaneView {
    pub(crate) lane: &'static str,
    pub(crate) envelopes: usize,
    pub(crate) bytes: usize,
    pub(crate) waiting: usize,
    pub(crate) oldest_seconds: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct LimitView {
    /// `None` is everything.
    pub(crate) category: Option<String>,
    pub(crate) seconds: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct TroubleView {
    pub(crate) ago_seconds: u64,
    pub(crate) times: u64,
    pub(crate) status: Option<u16>,
    pub(crate) message: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct DiskView {
    pub(crate) state: String,
    pub(crate) entries: usize,
    pub(crate) bytes: u64,
    pub(crate) evicted: u64,
    pub(crate) corrupt: u64,
    pub(crate) last_error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct AccountView {
    pub(crate) category: String,
    pub(crate) posted: u64,
    pub(crate) delivered: u64,
    pub(crate) refused: Vec<(u16, u64)>,
    pub(crate) lost: Vec<(String, u64)>,
    /// Underway; `None` if the books do not balance.
    pub(crate) held: Option<u64>,
}

impl AccountView {
    pub(crate) fn refused_total(&self) -> u64 {
        self.refused.iter().fold(0, |sum, (_, quantity)| sum.saturating_add(*quantity))
    }

    pub(crate) fn lost_total(&self) -> u64 {
        self.lost.iter().fold(0, |sum, (_, quantity)| sum.saturating_add(*quantity))
    }

    pub(crate) fn of(category: &DataCategory, account: &Account) -> Self {
        Self {
            category: category.to_string(),
            posted: account.posted,
            delivered: account.delivered,
            refused: account.refused.iter().map(|(status, quantity)| (*status, *quantity)).collect(),
            lost: account.lost.iter().map(|(reason, quantity)| (reason.to_string(), *quantity)).collect(),
            held: account.held(),
        }
    }
}

/// Accounts of many as rows.
pub(crate) fn accounts(totals: &Totals) -> Vec<AccountView> {
    totals.iter().map(|(category, account)| AccountView::of(category, account)).collect()
}

/// Rounded up, so that a limit that is in force never shows nought.
fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

impl DestinationView {
    fn of(destination: &Destination, wall: SystemTime) -> Self {
        let stats = destination.transport.stats();
        let disk = destination.transport.disk_stats().map(|disk| DiskView {
            state: match disk.state {
                SpoolState::Healthy => "in order".to_owned(),
                SpoolState::Degraded { message, .. } => format!("not in use: {message}"),
                _ => "in an unknown state".to_owned(),
            },
            entries: disk.entries,
            bytes: disk.disk_bytes,
            evicted: disk.evicted,
            corrupt: disk.corrupt,
            last_error: disk.last_error,
        });
        let troubles = destination.troubles().into_iter().map(|trouble| TroubleView {
            ago_seconds: wall.duration_since(trouble.last).unwrap_or_default().as_secs(),
            times: trouble.times,
            status: trouble.status.map(|status| status.as_u16()),
            message: trouble.message,
        });
        let limits = destination.limits().into_iter().map(|limit| LimitView {
            category: limit.category.map(|category| category.to_string()),
            seconds: seconds_up(limit.remaining),
        });
        let ledger = destination.transport.ledger();
        Self {
            name: destination.label.clone(),
            key: destination.dsn.public_key().chars().take(6).collect(),
            id: destination.name.rsplit('-').next().unwrap_or_default().to_owned(),
            lanes: stats.as_ref().map(lanes).unwrap_or_default(),
            in_flight: stats.as_ref().map_or(0, |stats| stats.outbox.in_flight),
            attempts: stats.as_ref().map_or(0, |stats| stats.outbox.attempts),
            discharged: stats.as_ref().map_or(0, |stats| stats.outbox.discharged),
            unused_seconds: destination.unused_for().as_secs(),
            limits: limits.collect(),
            troubles: troubles.collect(),
            disk,
            ledger: ledger.iter().map(|(category, account)| AccountView::of(category, account)).collect(),
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.lanes.iter().map(|lane| lane.envelopes).sum()
    }
}

fn lanes(stats: &TransportStats) -> Vec<LaneView> {
    // The clock of transports.
    let now = tokio::time::Instant::now().into_std();
    Lane::ALL
        .map(|lane| {
            let depth = stats.outbox.lanes[lane.index()];
            LaneView {
                lane: lane.as_str(),
                envelopes: depth.parcels,
                bytes: depth.bytes,
                waiting: depth.waiting,
                oldest_seconds: depth.oldest.map(|oldest| now.saturating_duration_since(oldest).as_secs()),
            }
        })
        .into()
}

/// Envelopes that the upstream has, or that nothing was left of, since the start.
pub(crate) fn forwarded(relay: &Relay) -> u64 {
    let open = relay.destinations.all();
    let open = open.iter().filter_map(|destination| destination.transport.stats());
    let (_, closed, _) = relay.destinations.closings();
    open.fold(closed, |sum, stats| sum.saturating_add(stats.outbox.discharged))
}

impl View {
    pub(crate) fn of(relay: &Relay) -> Self {
        let settings = relay.settings();
        let counters = &relay.counters;
        let wall = SystemClock.wall();
        let mut destinations: Vec<_> = relay
            .destinations
            .all()
            .iter()
            .map(|destination| DestinationView::of(destination, wall))
            .collect();
        destinations.sort_by(|one, other| (&one.name, &one.key).cmp(&(&other.name, &other.key)));
        let (closed, _, destinations_closed) = relay.destinations.closings();
        let rates = relay.history().rates();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            stopping: relay.stopping.is_cancelled(),
            uptime_seconds: SystemClock.now().saturating_duration_since(relay.started).as_secs(),
            listen: relay.address.to_string(),
            upstream: settings.upstream.to_string(),
            acknowledges: match settings.ack {
                Ack::Queue => "when queued",
                Ack::Durable => "when on disk",
            },
            accepted: Counters::get(&counters.accepted),
            accepted_bytes: Counters::get(&counters.accepted_bytes),
            forwarded: forwarded(relay),
            not_durable: Counters::get(&counters.not_durable),
            connections: counters.connections.load(std::sync::atomic::Ordering::Relaxed),
            connections_limit: settings.limits.connections,
            memory_bytes: relay.memory.used(),
            memory_limit_bytes: relay.memory.total(),
            answers: counters.statuses().into_iter().collect(),
            refusals: counters.refusals().into_iter().collect(),
            rates: rates.into_iter().map(RateView::from).collect(),
            destinations,
            destinations_limit: settings.limits.destinations,
            destinations_closed,
            closed: accounts(&closed),
        }
    }
}

impl From<Rate> for RateView {
    fn from(rate: Rate) -> Self {
        Self { accepted: rate.accepted, forwarded: rate.forwarded }
    }
}
