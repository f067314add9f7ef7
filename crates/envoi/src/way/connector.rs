use std::any::Any;
use std::fmt;

use envoi_http::HttpClient;
use envoi_http::client::{Connect, TcpConnector};
#[cfg(feature = "proxy")]
use envoi_http::proxy::{Forward, ForwardLayer, Proxy, ProxyConfig, ProxyLayer};
#[cfg(feature = "tls")]
use envoi_http::tls::{Tls, TlsLayer};
use http::Uri;
use http::uri::Scheme;
#[cfg(any(feature = "tls", feature = "proxy"))]
use tower_layer::Layer;

use super::{Way, WayError};

#[cfg(not(feature = "proxy"))]
type ProxyOrTcp = TcpConnector;
#[cfg(feature = "proxy")]
type ProxyOrTcp = Proxy<TcpConnector>;

/// The connector that the presets make of a [`Way`]: TLS over proxies over TCP, by features.
#[cfg(feature = "tls")]
pub type DefaultConnector = Tls<ProxyOrTcp>;
/// The connector that the presets make of a [`Way`]: TLS over proxies over TCP, by features.
#[cfg(not(feature = "tls"))]
pub type DefaultConnector = ProxyOrTcp;

/// What stands below all layers of a preset: the client, and with the feature `proxy` the part of proxies that concerns
/// requests.
#[cfg(feature = "proxy")]
pub type Core<C = DefaultConnector> = Forward<HttpClient<C>>;
/// What stands below all layers of a preset: the client.
#[cfg(not(feature = "proxy"))]
pub type Core<C = DefaultConnector> = HttpClient<C>;

/// Where the connector of a preset comes from: of the user, or made of the way when the address is known.
#[derive(Clone)]
pub(crate) enum Source<C> {
    Given(C),
    Made(fn(&Parts<'_>) -> Result<C, WayError>),
}

/// What a connector is made of.
pub(crate) struct Parts<'a> {
    way: &'a Way,
    url: &'a Uri,
    #[cfg(feature = "proxy")]
    proxies: &'a ProxyConfig,
}

impl Source<DefaultConnector> {
    /// By the settings of a way.
    pub(crate) fn of_way() -> Self {
        Self::Made(connector)
    }
}

impl<C> fmt::Debug for Source<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given",
            Self::Made(_) => "Made",
        })
    }
}

/// How many unused connections are kept for a stack that does not say how many requests there may be at once.
const CONNECTIONS: usize = 8;

impl Way {
    /// The client that the presets make of this way, for requests to `url` and the host in it: the core of a stack of
    /// your own, or of a single exchange. The proxies of the environment are looked at now (TR-3).
    ///
    /// ```
    /// use envoi::Way;
    /// use http::Request;
    /// use tower::ServiceExt;
    ///
    /// # let server = envoi_testkit::ingest::IngestServer::spawn_thread()?;
    /// # let url = server.server().url();
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let request = Request::post(&url).body(envoi::core::Segments::from("{}"))?;
    /// let reply = Way::new().client(request.uri())?.oneshot(request).await?;
    /// assert!(reply.status().is_client_error()); // this is no envelope, and nobody said who sends it
    /// # Ok::<(), envoi::core::BoxError>(()) })?;
    /// # Ok::<(), envoi::core::BoxError>(())
    /// ```
    ///
    /// # Errors
    /// If the settings of TLS or of proxies are of no use, or `url` is `https` and TLS is not built in.
    pub fn client(self, url: &Uri) -> Result<Core, WayError> {
        self.core(Source::of_way(), url, CONNECTIONS)
    }

    /// The core of a stack for requests to `url`, up to `connections` of them at once.
    pub(crate) fn core<C: Connect>(
        self,
        source: Source<C>,
        url: &Uri,
        connections: usize,
    ) -> Result<Core<C>, WayError> {
        #[cfg(feature = "proxy")]
        let proxies = match (&source, &self.proxy) {
            // A connector of the user's has its own idea of the way.
            (Source::Given(_), _) => ProxyConfig::direct(),
            // TR-3: a proxy that was given spares whom the environment spares, unless it was told whom.
            (_, Some(proxies)) => proxies.clone().or_no_proxy_from_env(),
            (_, None) => ProxyConfig::from_env_for(url)?,
        };
        let connector = match source {
            // It would send credentials in clear text.
            Source::Given(connector)
                if url.scheme() == Some(&Scheme::HTTPS) && (&connector as &dyn Any).is::<TcpConnector>() =>
            {
                return Err(WayError::TlsUnavailable(url.clone()));
            }
            Source::Given(connector) => connector,
            Source::Made(make) => make(&Parts {
                way: &self,
                url,
                #[cfg(feature = "proxy")]
                proxies: &proxies,
            })?,
        };
        let mut client = HttpClient::builder()
            .connector(connector)
            .timeouts(self.timeouts)
            .resend(self.resend)
            .pool_idle_timeout(self.idle_timeout)
            .pool_max_idle_per_host(self.max_idle.unwrap_or(connections))
            .http2_ping(self.http2_ping);
        if self.http2_prior_knowledge {
            client = client.http2_prior_knowledge();
        }
        if let Some(observer) = self.observer {
            client = client.observer(observer);
        }
        let client = client.build();
        #[cfg(feature = "proxy")]
        let client = ForwardLayer::new(proxies).layer(client);
        Ok(client)
    }
}

/// What makes the default connector.
fn connector(parts: &Parts<'_>) -> Result<DefaultConnector, WayError> {
    let Parts { way, url, .. } = parts;
    let is_https = url.scheme() == Some(&Scheme::HTTPS);
    if is_https && cfg!(not(feature = "tls")) {
        return Err(WayError::TlsUnavailable((*url).clone()));
    }
    let connector = tcp(way);
    #[cfg(feature = "proxy")]
    let connector = proxy(parts)?.layer(connector);
    #[cfg(feature = "tls")]
    let connector = {
        // The certificates of the platform are read only if they are needed, and may be missing otherwise.
        let layer = if is_https { TlsLayer::new(&way.tls)? } else { TlsLayer::cleartext_only() };
        let layer = layer.timeout(way.timeouts.tls);
        match &way.observer {
            Some(observer) => layer.observer(observer.clone()).layer(connector),
            None => layer.layer(connector),
        }
    };
    Ok(connector)
}

fn tcp(way: &Way) -> TcpConnector {
    let tcp = TcpConnector::new()
        .resolve_timeout(way.timeouts.resolve)
        .connect_timeout(way.timeouts.connect)
        .nodelay(way.nodelay)
        .keepalive(way.keepalive)
        .local_address(way.local_address);
    let tcp = if cfg!(feature = "tls") { tcp.any_scheme() } else { tcp };
    match &way.observer {
        Some(observer) => tcp.observer(observer.clone()),
        None => tcp,
    }
}

#[cfg(feature = "proxy")]
fn proxy(parts: &Parts<'_>) -> Result<ProxyLayer, WayError> {
    let Parts { way, proxies, .. } = parts;
    let layer = ProxyLayer::new((*proxies).clone()).handshake_timeout(way.timeouts.proxy);
    #[cfg(feature = "tls")]
    let layer = {
        use envoi_http::proxy::ProxyScheme;
        let chosen = proxies.choose(parts.url);
        let is_secure = chosen.is_some_and(|proxy| proxy.scheme() == ProxyScheme::Https);
        if is_secure { layer.tls(&way.tls)?.tls_timeout(way.timeouts.tls) } else { layer }
    };
    Ok(match &way.observer {
        Some(observer) => layer.observer(observer.clone()),
        None => layer,
    })
}
