use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::status_first::StatusFirst;
use super::{Connect, HttpClient, TcpConnector};

/// Settings of an [`HttpClient`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct HttpClientBuilder<C = TcpConnector> {
    connector: C,
    idle_timeout: Option<Duration>,
    max_idle: usize,
    http2: bool,
}

impl HttpClientBuilder {
    pub(super) fn new() -> Self {
        // Idle connections go before a load balancer's usual 60 s, so that it does not close them under a request.
        let idle_timeout = Some(Duration::from_secs(50));
        Self { connector: TcpConnector::new(), idle_timeout, max_idle: 8, http2: false }
    }
}

impl<C> HttpClientBuilder<C> {
    /// Replaces the connector. The place for TLS, proxies, Unix sockets and mocks.
    pub fn connector<D>(self, connector: D) -> HttpClientBuilder<D> {
        let Self { idle_timeout, max_idle, http2, .. } = self;
        HttpClientBuilder { connector, idle_timeout, max_idle, http2 }
    }

    /// How long an unused connection is kept. Default 50 s; `None` keeps it until the server closes it.
    pub const fn pool_idle_timeout(mut self, limit: Option<Duration>) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// How many unused connections are kept per host. Default 8.
    pub const fn pool_max_idle_per_host(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// Speaks HTTP/2 from the first byte, without negotiating (RFC 9113 §3.3). The server must know.
    ///
    /// A connector that negotiates by ALPN needs no such word: it says so with the connection.
    pub const fn http2_prior_knowledge(mut self) -> Self {
        self.http2 = true;
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
            .pool_idle_timeout(self.idle_timeout)
            .pool_max_idle_per_host(self.max_idle)
            .retry_canceled_requests(true)
            .http2_only(self.http2)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(10));
        HttpClient::new(builder.build(StatusFirst::new(self.connector)))
    }
}
