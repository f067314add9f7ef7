use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use envoi_core::{SharedClock, SystemClock};
use envoi_envelope::SizeLimits;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::accept;
use super::book::Book;
use super::judge::Bounds;
use super::shared::Shared;
use super::thread;
use super::{IngestServer, IngestThread};

/// How an [`IngestServer`] is set up. The defaults are in the methods.
#[derive(Clone, Debug)]
#[must_use = "nothing listens until `start`"]
pub struct IngestBuilder {
    address: SocketAddr,
    latency: Duration,
    max_body: u64,
    sizes: SizeLimits,
    remember: (usize, usize),
    clock: SharedClock,
    requests_per_connection: u64,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::ServerTls>,
}

impl Default for IngestBuilder {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            latency: Duration::ZERO,
            max_body: 200 * 1024 * 1024,
            sizes: SizeLimits::default(),
            remember: (10_000, 256 * 1024 * 1024),
            clock: Arc::new(SystemClock),
            requests_per_connection: u64::MAX,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl IngestBuilder {
    /// Where to listen: by default on loopback, at a port that is free.
    pub const fn with_address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// A delay before every answer, on top of those of steps: by default none.
    pub const fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// The largest body that is read, before and after decoding: 200 MiB (EN-7).
    pub const fn with_max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// The size limits of items: those of the specification (EN-7).
    pub fn with_size_limits(mut self, sizes: SizeLimits) -> Self {
        self.sizes = sizes;
        self
    }

    /// How many requests are remembered, and how many bytes they may take: 10,000 and 256 MiB. The oldest go first;
    /// counters are not affected.
    pub const fn remembering(mut self, requests: usize, bytes: usize) -> Self {
        self.remember = (requests, bytes);
        self
    }

    /// Where the time of requests comes from: the system.
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// How many requests a connection may carry: after the last of them HTTP/1.1 answers `connection: close`, and
    /// HTTP/2 sends GOAWAY, as load balancers do. By default any number.
    pub const fn requests_per_connection(mut self, requests: u64) -> Self {
        self.requests_per_connection = requests;
        self
    }

    /// Speaks TLS: [`IngestServer::dsn`] and [`IngestServer::url`] are `https` then.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, tls: crate::tls::ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts the server as a task of the current runtime.
    ///
    /// # Errors
    /// If it cannot listen at the address.
    pub async fn start(self) -> io::Result<IngestServer> {
        let listener = TcpListener::bind(self.address).await?;
        let address = listener.local_addr()?;
        let bounds = Bounds { body: self.max_body, sizes: self.sizes };
        let book = Book::new(self.remember.0, self.remember.1);
        let mut shared = Shared::new(bounds, self.latency, self.clock, book);
        shared.requests_per_connection = self.requests_per_connection;
        #[cfg(feature = "tls")]
        let scheme = match &self.tls {
            Some(tls) => {
                shared.tls = Some(tls.config()?);
                "https"
            }
            None => "http",
        };
        #[cfg(not(feature = "tls"))]
        let scheme = "http";
        let shared = Arc::new(shared);
        let (commands, receiver) = mpsc::unbounded_channel();
        tokio::spawn(accept::run(listener, address, Arc::clone(&shared), receiver));
        Ok(IngestServer::new(address, scheme, shared, commands))
    }

    /// Starts the server on a thread of its own, for callers without a runtime.
    ///
    /// # Errors
    /// If it cannot listen at the address, or if no thread can be had.
    pub fn spawn_thread(self) -> io::Result<IngestThread> {
        thread::spawn(self)
    }
}
