use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::observe::SharedObserver;
use super::service::Settings;
use super::status_first::StatusFirst;
use super::{Connect, HttpClient, Resend, TcpConnector, Timeouts};

/// Settings of an [`HttpClient`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct HttpClientBuilder<C = TcpConnector> {
    connector: C,
    pool: Pool,
    http2: Http2,
    settings: Settings,
}

/// As good as never, for libraries that add a limit to the time without a check.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

#[derive(Clone, Copy, Debug)]
struct Pool {
    idle_timeout: Option<Duration>,
    max_idle: usize,
}

#[derive(Clone, Copy, Debug)]
struct Http2 {
    prior_knowledge: bool,
    ping: Option<(Duration, Duration)>,
    ping_while_idle: bool,
}

impl HttpClientBuilder {
    pub(super) fn new() -> Self {
        Self {
            connector: TcpConnector::new(),
            // Idle connections go before a load balancer's usual 60 s, so that it does not close them under a request.
            pool: Pool { idle_timeout: Some(Duration::from_secs(50)), max_idle: 8 },
            http2: Http2 {
                prior_knowledge: false,
                ping: Some((Duration::from_secs(30), Duration::from_secs(10))),
                ping_while_idle: false,
            },
            settings: Settings { timeouts: Timeouts::new(), resend: Resend::default(), observer: None },
        }
    }
}

impl<C> HttpClientBuilder<C> {
    /// Replaces the connector. The place for TLS, proxies, Unix sockets and mocks.
    pub fn connector<D>(self, connector: D) -> HttpClientBuilder<D> {
        let Self { pool, http2, settings, .. } = self;
        HttpClientBuilder { connector, pool, http2, settings }
    }

    /// How long the phases of an attempt may take (TR-9). The limits for the connection itself are for the connector.
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// When the client sends a request a second time by itself. Default [`Resend::Idempotent`].
    pub const fn resend(mut self, resend: Resend) -> Self {
        self.settings.resend = resend;
        self
    }

    /// Who is told of requests and replies.
    pub fn observer(mut self, observer: SharedObserver) -> Self {
        self.settings.observer = Some(observer);
        self
    }

    /// How long an unused connection is kept. Default 50 s; `None` keeps it until the server closes it.
    pub const fn pool_idle_timeout(mut self, limit: Option<Duration>) -> Self {
        self.pool.idle_timeout = limit;
        self
    }

    /// How many unused connections are kept per host. Default 8.
    pub const fn pool_max_idle_per_host(mut self, connections: usize) -> Self {
        self.pool.max_idle = connections;
        self
    }

    /// Speaks HTTP/2 from the first byte, without negotiating (RFC 9113 §3.3). The server must know.
    ///
    /// A connector that negotiates by ALPN needs no such word: it says so with the connection. But only who knows it before
    /// can wait for one connection: of many first requests at once each begins a handshake of its own otherwise, of
    /// which one connection is kept. With this and `Alpn::Http2` there is one handshake.
    pub const fn http2_prior_knowledge(mut self) -> Self {
        self.http2.prior_knowledge = true;
        self
    }

    /// Asks the peer of an HTTP/2 connection for a sign of life after so much silence, and gives the connection up if
    /// none comes in time. Default 30 s and 10 s, while requests are under way; `None` never asks.
    pub const fn http2_ping(mut self, ping: Option<(Duration, Duration)>) -> Self {
        self.http2.ping = ping;
        self
    }

    /// Whether to ask also while no request is under way, so that a dead connection is known before it is needed.
    /// Default no: some servers take it for an attack (GOAWAY with `ENHANCE_YOUR_CALM`).
    pub const fn http2_ping_while_idle(mut self, on: bool) -> Self {
        self.http2.ping_while_idle = on;
        self
    }

    /// The client. Clones of it share the pool.
    #[must_use]
    pub fn build(self) -> HttpClient<C>
    where
        C: Connect,
    {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(self.pool.idle_timeout.map(|limit| limit.min(NEVER)))
            .pool_max_idle_per_host(self.pool.max_idle)
            .retry_canceled_requests(true)
            .http2_only(self.http2.prior_knowledge)
            .http2_keep_alive_while_idle(self.http2.ping_while_idle)
            .http2_keep_alive_interval(self.http2.ping.map(|(after, _)| after.min(NEVER)));
        if let Some((_, patience)) = self.http2.ping {
            builder.http2_keep_alive_timeout(patience.min(NEVER));
        }
        HttpClient::new(builder.build(StatusFirst::new(self.connector)), self.settings)
    }
}
