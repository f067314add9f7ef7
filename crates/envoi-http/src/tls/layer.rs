use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower_layer::Layer;

use super::build::{client_config, server_name};
use super::{Alpn, Tls, TlsConfig, TlsConfigError, TlsConfigProblem};
use crate::client::observe::SharedObserver;

/// The [`Layer`] of [`Tls`]. See the module documentation.
#[derive(Clone)]
pub struct TlsLayer {
    pub(super) setup: Option<Arc<Setup>>,
    pub(super) limit: Duration,
    pub(super) observer: Option<SharedObserver>,
}

/// What the handshakes of a layer have in common.
pub(super) struct Setup {
    pub(super) connector: TlsConnector,
    pub(super) name: Option<ServerName<'static>>,
    pub(super) only_http2: bool,
}

impl TlsLayer {
    const LIMIT: Duration = Duration::from_secs(10);

    /// TLS by these settings. Reads the platform's certificates here and now, unless they are not wanted.
    ///
    /// # Errors
    /// If the settings are of no use: no authorities to believe, a server name that is none.
    pub fn new(config: &TlsConfig) -> Result<Self, TlsConfigError> {
        let name = match &config.server_name {
            Some(name) => Some(server_name(name).ok_or_else(|| {
                let problem = TlsConfigProblem::BadServerName(name.clone());
                TlsConfigError::new("the server name", problem)
            })?),
            None => None,
        };
        let connector = TlsConnector::from(client_config(config)?);
        let only_http2 = config.alpn == Alpn::Http2;
        let setup = Some(Arc::new(Setup { connector, name, only_http2 }));
        Ok(Self { setup, limit: Self::LIMIT, observer: None })
    }

    /// No TLS: an `https` address is refused with [`TlsUnavailable`](crate::client::TlsUnavailable). For stacks whose
    /// type has a place for TLS but whose server needs none; nothing is read or set up.
    #[must_use]
    pub const fn cleartext_only() -> Self {
        Self { setup: None, limit: Self::LIMIT, observer: None }
    }

    /// How long a handshake may take (TR-9). Default 10 s.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Who is told of handshakes.
    #[must_use]
    pub fn observer(mut self, observer: SharedObserver) -> Self {
        self.observer = Some(observer);
        self
    }
}

impl fmt::Debug for TlsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLayer")
            .field("enabled", &self.setup.is_some())
            .field("timeout", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<C> Layer<C> for TlsLayer {
    type Service = Tls<C>;

    fn layer(&self, inner: C) -> Tls<C> {
        Tls::new(inner, self.clone())
    }
}
