use std::sync::Arc;
use std::time::Duration;

use envoi_core::{Lane, SharedClock};
use envoi_envelope::LimitOptions;
use envoi_envelope::batch::BatchConfig;
use envoi_envelope::limits::LimitsSnapshot;
use envoi_http::{Encoding, Policy};
use envoi_layers::TokioClock;
use envoi_layers::outbox::{Backoff, Capacity, Overflow};
use http::HeaderMap;

use crate::way::Way;

const CLIENT: &str = concat!("envoi/", env!("CARGO_PKG_VERSION"));

/// What does not depend on the type parameters.
pub(super) struct Settings {
    pub(super) client: String,
    pub(super) user_agent: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) encoding: Encoding,
    pub(super) level: Option<u32>,
    pub(super) way: Way,
    pub(super) shutdown_timeout: Duration,
    pub(super) max_age: Duration,
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
    pub(super) concurrency: usize,
    pub(super) capacities: [Capacity; Lane::COUNT],
    pub(super) overflow: Overflow,
    pub(super) lane_weights: [u32; Lane::COUNT],
    pub(super) client_reports: bool,
    pub(super) report_interval: Option<Duration>,
    pub(super) batching: BatchConfig,
    pub(super) policy: Policy,
    pub(super) limit_options: LimitOptions,
    pub(super) saved_limits: Option<LimitsSnapshot>,
    pub(super) hold_limited: bool,
    pub(super) dsn_header: bool,
    pub(super) replay_pace: Duration,
    pub(super) replay_on_close: bool,
    pub(super) clock: SharedClock,
    #[cfg(feature = "spool")]
    pub(super) disk: Option<(std::path::PathBuf, envoi_spool::SpoolConfig)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client: CLIENT.to_owned(),
            user_agent: None,
            headers: HeaderMap::new(),
            #[cfg(feature = "gzip")]
            encoding: Encoding::Gzip,
            #[cfg(not(feature = "gzip"))]
            encoding: Encoding::Identity,
            level: None,
            way: Way::new(),
            shutdown_timeout: Duration::from_secs(2),
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            max_attempts: 20,
            backoff: Backoff::default(),
            concurrency: 8,
            capacities: [Capacity::default(); Lane::COUNT],
            overflow: Overflow::default(),
            lane_weights: Lane::ALL.map(Lane::default_weight),
            client_reports: true,
            report_interval: Some(Duration::from_secs(30)),
            batching: BatchConfig::default(),
            policy: Policy::sentry(),
            limit_options: LimitOptions::new(),
            saved_limits: None,
            hold_limited: true,
            dsn_header: false,
            replay_pace: Duration::from_millis(100),
            replay_on_close: false,
            clock: Arc::new(TokioClock),
            #[cfg(feature = "spool")]
            disk: None,
        }
    }
}
