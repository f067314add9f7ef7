use std::sync::Arc;
use std::time::Duration;

use envoi_batch::{BatcherConfig, Framing};
use envoi_core::SharedClock;
use envoi_http::{Encoding, HeaderAuth, InvalidCredential, Policy};
use envoi_layers::TokioClock;
use envoi_layers::breaker::BreakerConfig;
use envoi_layers::retry::{Budget, Schedule};
use http::{HeaderMap, Uri};

use super::InvalidUrl;
use crate::way::Way;

/// What does not depend on the type parameters of the builder.
pub(super) struct Settings {
    pub(super) batching: BatcherConfig,
    pub(super) concurrency: u64,
    pub(super) schedule: Schedule,
    pub(super) budget: Option<Budget>,
    pub(super) seed: Option<u64>,
    pub(super) breaker: BreakerConfig,
    pub(super) shutdown_timeout: Duration,
    pub(super) clock: SharedClock,
    pub(super) http: HttpSettings,
    #[cfg(feature = "spool")]
    pub(super) disk: Option<(std::path::PathBuf, envoi_spool::SpoolConfig)>,
}

/// What only a receiver over HTTP needs. Whether it is there and makes sense is found out when it is built.
pub(super) struct HttpSettings {
    pub(super) url: Result<Uri, InvalidUrl>,
    pub(super) auth: Option<Result<HeaderAuth, InvalidCredential>>,
    pub(super) framing: Framing,
    pub(super) user_agent: String,
    pub(super) headers: HeaderMap,
    pub(super) encoding: Encoding,
    pub(super) level: Option<u32>,
    pub(super) way: Way,
    pub(super) policy: Policy,
}

impl Settings {
    pub(super) fn new(url: &str) -> Self {
        Self {
            batching: BatcherConfig::default(),
            concurrency: 1,
            schedule: Schedule::brief(),
            budget: None,
            seed: None,
            breaker: BreakerConfig::new(),
            shutdown_timeout: Duration::from_secs(2),
            clock: Arc::new(TokioClock),
            http: HttpSettings {
                url: InvalidUrl::check(url),
                auth: None,
                framing: Framing::default(),
                user_agent: concat!("envoi/", env!("CARGO_PKG_VERSION")).to_owned(),
                headers: HeaderMap::new(),
                #[cfg(feature = "gzip")]
                encoding: Encoding::Gzip,
                #[cfg(not(feature = "gzip"))]
                encoding: Encoding::Identity,
                level: None,
                way: Way::new().map_timeouts(|limits| limits.attempt(Some(Duration::from_secs(10)))),
                policy: Policy::at_least_once(),
            },
            #[cfg(feature = "spool")]
            disk: None,
        }
    }
}
