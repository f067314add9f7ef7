use std::fmt;
use std::sync::Arc;

use http::Uri;

use super::no_proxy::Target;
use super::{InvalidProxy, NoProxy, ProxyServer};

/// Which requests go through which proxy. A value; nothing is read after it has been made.
///
/// In this order (TR-3): a proxy that was [given](ProxyConfig::new); for `https` targets `https_proxy`; `http_proxy`
/// for all targets; `all_proxy`. See [`ProxyConfig::from_vars`] for the variables. `no_proxy` is asked before any of
/// them, and one config decides for all requests: where a proxy applies, every request uses it (TR-4).
///
/// ```
/// use envoi_http::proxy::ProxyConfig;
/// let config = ProxyConfig::new("http://user:secret@proxy.example:3128")?.no_proxy("internal, 10.0.0.0/8");
/// let by = |target: &str| config.choose(&target.parse().unwrap()).map(ToString::to_string);
/// assert_eq!(by("https://o1.ingest.sentry.io/").as_deref(), Some("http://proxy.example:3128"));
/// assert_eq!(by("https://sentry.internal/"), None);
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<_, envoi_http::proxy::InvalidProxy>(())
/// ```
#[derive(Clone, Default)]
pub struct ProxyConfig {
    shared: Arc<Shared>,
}

#[derive(Clone, Default)]
struct Shared {
    /// For `https` targets, and for all others.
    https: Option<ProxyServer>,
    other: Option<ProxyServer>,
    /// `None` as long as nobody has said anything about it.
    no_proxy: Option<NoProxy>,
    /// Loopback goes its own way, because nobody has asked for anything else.
    spare_loopback: bool,
    tunnel_http: bool,
}

impl ProxyConfig {
    /// No proxy, whatever the environment says.
    #[must_use]
    pub fn direct() -> Self {
        Self::default()
    }

    /// One proxy for everything: `[scheme://][user[:password]@]host[:port]`, see [`ProxyServer::parse`].
    ///
    /// Nothing is read from the environment; [`or_no_proxy_from_env`](Self::or_no_proxy_from_env) adds the hosts that
    /// it spares.
    ///
    /// # Errors
    /// [`InvalidProxy`], without the credentials.
    pub fn new(url: &str) -> Result<Self, InvalidProxy> {
        Ok(Self::through(ProxyServer::parse(url)?))
    }

    /// The same, with a proxy that has been read before.
    #[must_use]
    pub fn through(server: ProxyServer) -> Self {
        Self::default().change(|shared| {
            shared.https = Some(server.clone());
            shared.other = Some(server);
        })
    }

    pub(super) fn by_scheme(https: Option<ProxyServer>, other: Option<ProxyServer>) -> Self {
        Self::default().change(|shared| {
            shared.https = https;
            shared.other = other;
            shared.spare_loopback = true;
        })
    }

    /// Which hosts are reached without the proxy, instead of what was said before. See [`NoProxy`].
    #[must_use]
    pub fn no_proxy(self, list: &str) -> Self {
        self.change(|shared| shared.no_proxy = Some(NoProxy::parse(list)))
    }

    pub(super) fn has_no_proxy(&self) -> bool {
        self.shared.no_proxy.is_some()
    }

    /// Whether `localhost`, 127.0.0.0/8 and ::1 go through the proxy, too.
    ///
    /// A proxy of the environment is meant for the world outside and does not get them by default; one that was given
    /// by name gets everything.
    #[must_use]
    pub fn proxy_loopback(self, yes: bool) -> Self {
        self.change(|shared| shared.spare_loopback = !yes)
    }

    /// Whether `http` targets, too, are reached through a CONNECT tunnel. Default no.
    ///
    /// Then the proxy's own answers can always be told from the server's, and HTTP/2 with prior knowledge gets
    /// through; but many proxies allow CONNECT to port 443 only.
    #[must_use]
    pub fn tunnel_http(self, yes: bool) -> Self {
        self.change(|shared| shared.tunnel_http = yes)
    }

    /// The proxy for a target, `None` to go there directly.
    ///
    /// A pure function of the target and this value, so that every layer of a stack comes to the same answer.
    #[must_use]
    pub fn choose(&self, target: &Uri) -> Option<&ProxyServer> {
        let shared = &*self.shared;
        let https = target.scheme() == Some(&http::uri::Scheme::HTTPS);
        let server = if https { shared.https.as_ref() } else { shared.other.as_ref() }?;
        // Nobody can be asked for a way to nowhere.
        target.host()?;
        if self.spares(target) {
            return None;
        }
        Some(server)
    }

    /// Whether a target is reached directly, whatever the proxies are.
    pub(super) fn spares(&self, target: &Uri) -> bool {
        let shared = &*self.shared;
        let Some(target) = Target::of(target) else { return false };
        let listed = shared.no_proxy.as_ref().is_some_and(|list| list.contains(&target));
        listed || (shared.spare_loopback && target.is_loopback())
    }

    /// Whether no target at all goes through a proxy.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.shared.https.is_none() && self.shared.other.is_none()
    }

    /// The entries of `no_proxy` that could not be read: something to show to whoever wrote them.
    #[must_use]
    pub fn unreadable_no_proxy(&self) -> &[String] {
        self.shared.no_proxy.as_ref().map_or(&[], NoProxy::unreadable)
    }

    /// The proxy that requests to this target are addressed to in absolute-form.
    pub(crate) fn forwarder(&self, target: &Uri) -> Option<&ProxyServer> {
        let plain = target.scheme() == Some(&http::uri::Scheme::HTTP) && !self.shared.tunnel_http;
        self.choose(target).filter(|server| plain && server.scheme().is_http())
    }

    fn change(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.shared));
        self
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &*self.shared;
        f.debug_struct("ProxyConfig")
            .field("https", &shared.https)
            .field("other", &shared.other)
            .field("no_proxy", &shared.no_proxy)
            .field("spare_loopback", &shared.spare_loopback)
            .field("tunnel_http", &shared.tunnel_http)
            .finish()
    }
}
