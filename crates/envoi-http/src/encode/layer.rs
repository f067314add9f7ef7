use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use envoi_core::{SharedClock, SystemClock};
use tokio_util::sync::CancellationToken;
use tower_layer::Layer;

use super::Encode;
use crate::Policy;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) policy: Policy,
    pub(super) halt: Option<CancellationToken>,
    pub(super) keep: usize,
    pub(super) drain: u64,
    pub(super) body_timeout: Duration,
    pub(super) clock: SharedClock,
}

/// The [`Layer`](tower_layer::Layer) of [`Encode`]. See the module documentation.
pub struct EncodeLayer<C> {
    codec: Arc<C>,
    settings: Settings,
}

impl<C> EncodeLayer<C> {
    /// The bridge for a codec, with [`Policy::sentry`].
    #[must_use]
    pub fn new(codec: C) -> Self {
        Self {
            codec: Arc::new(codec),
            settings: Settings {
                policy: Policy::sentry(),
                halt: None,
                keep: 64 * 1024,
                drain: 1024 * 1024,
                body_timeout: Duration::from_secs(10),
                clock: Arc::new(SystemClock),
            },
        }
    }

    /// What statuses and errors mean.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// When the token is cancelled, exchanges under way are dropped and later ones are not begun; their parcels come
    /// back as [`Kind::Halted`](envoi_core::Kind::Halted) with the advice to retry.
    ///
    /// An exchange whose status is known already is judged by it instead (decision 17).
    #[must_use]
    pub fn halt_on(mut self, token: CancellationToken) -> Self {
        self.settings.halt = Some(token);
        self
    }

    /// How long the body of a reply may take after the head has arrived. Default 10 s.
    ///
    /// The timer starts only if the body is not there at once; it needs a tokio runtime with time.
    #[must_use]
    pub const fn body_timeout(mut self, limit: Duration) -> Self {
        self.settings.body_timeout = limit;
        self
    }

    /// How many bytes of a reply's body are kept. Default 64 KiB.
    #[must_use]
    pub const fn keep(mut self, bytes: usize) -> Self {
        self.settings.keep = bytes;
        self
    }

    /// How many bytes beyond the kept ones are read and thrown away so that the connection can be used again.
    /// Default 1 MiB. A longer body costs its connection.
    #[must_use]
    pub const fn drain(mut self, bytes: u64) -> Self {
        self.settings.drain = bytes;
        self
    }

    /// Where the wall time for `Retry-After` dates comes from. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.settings.clock = clock;
        self
    }
}

impl<C> Clone for EncodeLayer<C> {
    fn clone(&self) -> Self {
        Self { codec: self.codec.clone(), settings: self.settings.clone() }
    }
}

impl<C> fmt::Debug for EncodeLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodeLayer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<S, C> Layer<S> for EncodeLayer<C> {
    type Service = Encode<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Encode::new(inner, self.codec.clone(), Arc::new(self.settings.clone()))
    }
}
