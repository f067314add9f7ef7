use std::fmt;
use std::time::Duration;

use tower_layer::Layer;

use super::{Proxy, ProxyConfig};
use crate::client::observe::SharedObserver;
#[cfg(feature = "tls")]
use crate::tls::{TlsConfig, TlsConfigError, TlsLayer};

/// The [`Layer`] of [`Proxy`]: the way through proxies, for a connector of TCP connections. See the module
/// documentation.
#[derive(Clone)]
#[must_use = "a layer does nothing until it is put around a connector"]
pub struct ProxyLayer {
    pub(super) config: ProxyConfig,
    pub(super) handshake_timeout: Duration,
    pub(super) observer: Option<SharedObserver>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsLayer>,
    #[cfg(feature = "tls")]
    pub(super) tls_timeout: Duration,
}

impl ProxyLayer {
    /// By these proxies. What is asked of a proxy may take 10 s.
    pub const fn new(config: ProxyConfig) -> Self {
        Self {
            config,
            handshake_timeout: Duration::from_secs(10),
            observer: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "tls")]
            tls_timeout: Duration::from_secs(10),
        }
    }

    /// How long a proxy may take to make the way free, once there is a connection to it: it looks up the name of the
    /// target and connects meanwhile (TR-9). Default 10 s.
    pub const fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake_timeout = limit;
        self
    }

    /// How TLS is spoken to proxies that are addressed by `https`. Without it those cannot be used.
    ///
    /// For the settings of the target: of the protocols only HTTP/1.1 is offered to the proxy, and the name that is
    /// expected in its certificate is the host of its URL, whatever they say. Its client certificate is shown to a proxy
    /// that asks for one.
    ///
    /// # Errors
    /// As [`TlsLayer::new`].
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, config: &TlsConfig) -> Result<Self, TlsConfigError> {
        self.tls = Some(TlsLayer::new(&config.for_proxy())?);
        Ok(self)
    }

    /// How long the TLS handshake with a proxy may take (TR-9). Default 10 s.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub const fn tls_timeout(mut self, limit: Duration) -> Self {
        self.tls_timeout = limit;
        self
    }

    /// Who is told when a proxy has made the way free, or has not, and of the TLS handshake with it.
    pub fn observer(mut self, observer: SharedObserver) -> Self {
        self.observer = Some(observer);
        self
    }
}

impl fmt::Debug for ProxyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyLayer")
            .field("config", &self.config)
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

impl<C: Clone> Layer<C> for ProxyLayer {
    type Service = Proxy<C>;

    fn layer(&self, inner: C) -> Proxy<C> {
        Proxy::new(inner, self)
    }
}
