use std::time::Duration;

use envoi_http::client::observe::SharedObserver;
#[cfg(feature = "proxy")]
use envoi_http::proxy::ProxyConfig;
#[cfg(feature = "tls")]
use envoi_http::tls::{CaBundle, Identity, TlsConfig};

use super::{BatchBuilder, Http};
use crate::way::{Source, Timeouts, Way};

/// The way to the server.
impl<D, H, C> BatchBuilder<D, Http<H, C>> {
    /// All settings of the way to the server at once: what was said of it before is forgotten.
    pub fn way(mut self, way: Way) -> Self {
        self.settings.http.way = way;
        self
    }

    fn map_way(mut self, change: impl FnOnce(Way) -> Way) -> Self {
        self.settings.http.way = change(self.settings.http.way);
        self
    }

    /// How long the phases of one attempt may take, from the look-up of the name to the head of the reply (TR-9): the
    /// defaults of [`Timeouts`] unless told otherwise.
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        self.map_way(|way| way.timeouts(timeouts))
    }

    /// How long a connection may take: 5 s for the look-up of the name, and 5 s for the rest, unless told otherwise
    /// (TR-9).
    pub fn connect_timeout(self, limit: Duration) -> Self {
        self.map_way(|way| way.map_timeouts(|timeouts| timeouts.resolve(limit).connect(limit)))
    }

    /// How long one attempt may take, from the connection to the end of the reply's head, and again for its body: 10 s
    /// unless told otherwise (BD-6).
    pub fn attempt_timeout(self, limit: Duration) -> Self {
        self.map_way(|way| way.map_timeouts(|timeouts| timeouts.attempt(Some(limit))))
    }

    /// How TLS is spoken (TR-5): with the platform's roots, TLS 1.2 or later, HTTP/2 or HTTP/1.1, unless told otherwise.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(self, config: TlsConfig) -> Self {
        self.map_way(|way| way.tls(config))
    }

    /// Believes certificates of these authorities, too (TR-5).
    ///
    /// ```no_run
    /// use envoi::way::CaBundle;
    /// let transport = envoi::batch("https://logs.internal/v1/events")
    ///     .ca_certificate(CaBundle::from_file("company-ca.pem")?)
    ///     .build()?;
    /// # drop(transport);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn ca_certificate(self, bundle: CaBundle) -> Self {
        self.map_way(|way| way.map_tls(|tls| tls.ca(bundle)))
    }

    /// Shows this certificate to a server that asks for one (TR-5).
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn identity(self, identity: Identity) -> Self {
        self.map_way(|way| way.map_tls(|tls| tls.identity(identity)))
    }

    /// Which proxies are used, instead of those of the environment (TR-3). The hosts that `no_proxy` of the environment
    /// names are spared, unless the config says which.
    ///
    /// ```
    /// use envoi::way::ProxyConfig;
    /// let builder = envoi::batch("https://logs.example/v1/events")
    ///     .proxy(ProxyConfig::new("http://user:secret@proxy.internal:3128")?);
    /// assert!(!format!("{builder:?}").contains("secret"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "proxy")]
    #[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
    pub fn proxy(self, config: ProxyConfig) -> Self {
        self.map_way(|way| way.proxy(config))
    }

    /// Uses no proxy, whatever the environment says.
    #[cfg(feature = "proxy")]
    #[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
    pub fn no_env_proxy(self) -> Self {
        self.proxy(ProxyConfig::direct())
    }

    /// Who is told of every phase of every attempt: name, connection, proxy, TLS, request, reply.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use envoi::way::Event;
    /// let builder = envoi::batch("http://127.0.0.1:9/v1/events")
    ///     .observer(Arc::new(|event: &Event<'_>| eprintln!("{event:?}")));
    /// # drop(builder);
    /// ```
    pub fn observer(self, observer: SharedObserver) -> Self {
        self.map_way(|way| way.observer(observer))
    }

    /// Replaces the connector: the place for Unix sockets and mocks. It has TLS, proxies and time bounds of its own or
    /// none: those of the [way](Self::way) that concern the connection do not reach it.
    pub fn connector<E>(self, connector: E) -> BatchBuilder<D, Http<H, E>> {
        let Self { settings, handler, delivery, receiver: Http { exchange, .. } } = self;
        let receiver = Http { exchange, connector: Source::Given(connector) };
        BatchBuilder { settings, handler, delivery, receiver }
    }
}
