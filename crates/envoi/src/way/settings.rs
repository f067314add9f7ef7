use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use envoi_http::client::observe::SharedObserver;
use envoi_http::client::{Resend, Timeouts};
#[cfg(feature = "proxy")]
use envoi_http::proxy::ProxyConfig;
#[cfg(feature = "tls")]
use envoi_http::tls::TlsConfig;

/// For what the layers around the client do, compression above all.
const MARGIN: Duration = Duration::from_secs(1);

/// What stands for no limit where a number is needed.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How a server is reached. See the [module](crate::way).
#[derive(Clone)]
#[must_use = "settings do nothing until they are given to a builder"]
pub struct Way {
    pub(super) timeouts: Timeouts,
    pub(super) resend: Resend,
    pub(super) nodelay: bool,
    pub(super) keepalive: Option<Duration>,
    pub(super) local_address: Option<IpAddr>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_idle: Option<usize>,
    pub(super) http2_prior_knowledge: bool,
    pub(super) http2_ping: Option<(Duration, Duration)>,
    pub(super) observer: Option<SharedObserver>,
    #[cfg(feature = "tls")]
    pub(super) tls: TlsConfig,
    /// `None` asks the environment.
    #[cfg(feature = "proxy")]
    pub(super) proxy: Option<ProxyConfig>,
}

impl Way {
    /// The defaults of the parts, the proxies of the environment, the roots of the platform, and
    /// [`Resend::Stale`]: what is sent with a transport may be sent again anyway.
    pub fn new() -> Self {
        Self {
            timeouts: Timeouts::new(),
            resend: Resend::Stale,
            nodelay: true,
            keepalive: Some(Duration::from_secs(60)),
            local_address: None,
            idle_timeout: Some(Duration::from_secs(50)),
            max_idle: None,
            http2_prior_knowledge: false,
            http2_ping: Some((Duration::from_secs(30), Duration::from_secs(10))),
            observer: None,
            #[cfg(feature = "tls")]
            tls: TlsConfig::new(),
            #[cfg(feature = "proxy")]
            proxy: None,
        }
    }

    /// How long the phases of an attempt may take (TR-9).
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The same, to change some of them.
    pub fn map_timeouts(mut self, change: impl FnOnce(Timeouts) -> Timeouts) -> Self {
        self.timeouts = change(self.timeouts);
        self
    }

    /// When the client sends a request again by itself: [`Resend::Stale`] unless told otherwise.
    pub const fn resend(mut self, resend: Resend) -> Self {
        self.resend = resend;
        self
    }

    /// How TLS is spoken (TR-5).
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, config: TlsConfig) -> Self {
        self.tls = config;
        self
    }

    /// The same, to change a part of it.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn map_tls(mut self, change: impl FnOnce(TlsConfig) -> TlsConfig) -> Self {
        self.tls = change(self.tls);
        self
    }

    /// Which proxies are used, instead of those of the environment (TR-3). [`ProxyConfig::direct`] is none.
    ///
    /// The hosts that `no_proxy` of the environment names are reached without them, unless the config
    /// [says](ProxyConfig::no_proxy) which; `.no_proxy("")` is none.
    #[cfg(feature = "proxy")]
    #[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
    pub fn proxy(mut self, config: ProxyConfig) -> Self {
        self.proxy = Some(config);
        self
    }

    /// Whether small writes go out at once (`TCP_NODELAY`): yes unless told otherwise.
    pub const fn nodelay(mut self, on: bool) -> Self {
        self.nodelay = on;
        self
    }

    /// After how much silence the system probes whether the peer is still there: 60 s unless told otherwise.
    pub const fn keepalive(mut self, after: Option<Duration>) -> Self {
        self.keepalive = after;
        self
    }

    /// Which address of this machine connections come from: the system chooses unless told otherwise.
    pub const fn local_address(mut self, address: Option<IpAddr>) -> Self {
        self.local_address = address;
        self
    }

    /// How long an unused connection is kept: 50 s unless told otherwise.
    pub const fn pool_idle_timeout(mut self, limit: Option<Duration>) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// How many unused connections are kept: as many as there may be requests at once, unless told otherwise.
    pub const fn pool_max_idle(mut self, connections: usize) -> Self {
        self.max_idle = Some(connections);
        self
    }

    /// Speaks HTTP/2 from the first byte, without negotiating. For servers without TLS that know it.
    ///
    /// With TLS it goes along with [`Alpn::Http2`](crate::way::Alpn::Http2): then many first requests at once share one
    /// handshake, where each begins its own as long as nobody knows what the server speaks.
    pub const fn http2_prior_knowledge(mut self) -> Self {
        self.http2_prior_knowledge = true;
        self
    }

    /// After how much silence an HTTP/2 peer is asked for a sign of life, and how long it may take: 30 s and 10 s unless
    /// told otherwise.
    pub const fn http2_ping(mut self, ping: Option<(Duration, Duration)>) -> Self {
        self.http2_ping = ping;
        self
    }

    /// Who is told of every phase of every attempt.
    pub fn observer(mut self, observer: SharedObserver) -> Self {
        self.observer = Some(observer);
        self
    }

    /// How long one attempt may take, or what stands for no limit where a number is needed.
    pub(crate) fn attempt_limit(&self) -> Duration {
        self.timeouts.attempt.unwrap_or(FOREVER)
    }

    /// The limit around all parts of an attempt: for layers in between that do not come to an end. That of the client,
    /// which can say what took so long, comes first.
    pub(crate) fn backstop(&self) -> Duration {
        self.attempt_limit().saturating_add(MARGIN)
    }
}

impl Default for Way {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows neither keys nor credentials of proxies (AU-7).
impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Way");
        debug.field("timeouts", &self.timeouts).field("resend", &self.resend);
        #[cfg(feature = "tls")]
        debug.field("tls", &self.tls);
        #[cfg(feature = "proxy")]
        debug.field("proxy", &self.proxy);
        debug.finish_non_exhaustive()
    }
}
