use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use envoi_core::{Advice, BoxError, Fault, Kind, Phase};
use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

use super::observe::{self, Event, SharedObserver};
use super::{TimedOut, TlsUnavailable, entering, host_and_port, unreachable_error, written_port};

/// Opens TCP connections: the innermost service of the connect level.
///
/// Where a name has several addresses, they are tried in turn; IPv4 gets its chance 300 ms after IPv6 (RFC 8305), so
/// that a broken IPv6 costs no more than that.
///
/// ```
/// use envoi_http::client::{HttpClient, TcpConnector};
/// use std::time::Duration;
/// let client = HttpClient::builder().connector(TcpConnector::new().connect_timeout(Duration::from_secs(2))).build();
/// # let _ = client;
/// ```
#[derive(Clone, Debug)]
pub struct TcpConnector<R = GaiResolver> {
    resolver: R,
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    resolve_limit: Duration,
    connect_limit: Duration,
    nodelay: bool,
    keepalive: Option<Duration>,
    local_address: Option<IpAddr>,
    happy_eyeballs: Option<Duration>,
    any_scheme: bool,
    observer: Option<SharedObserver>,
}

impl TcpConnector {
    /// A connector with `TCP_NODELAY`, keep-alive probes after 60 s of silence, 5 s for the look-up of the name and 5 s
    /// for the connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            resolver: GaiResolver::new(),
            settings: Settings {
                resolve_limit: Duration::from_secs(5),
                connect_limit: Duration::from_secs(5),
                nodelay: true,
                keepalive: Some(Duration::from_secs(60)),
                local_address: None,
                happy_eyeballs: Some(Duration::from_millis(300)),
                any_scheme: false,
                observer: None,
            },
        }
    }
}

impl<R> TcpConnector<R> {
    /// Replaces who looks up names: by default the system, on a thread for blocking calls.
    #[must_use]
    pub fn resolver<Q>(self, resolver: Q) -> TcpConnector<Q> {
        TcpConnector { resolver, settings: self.settings }
    }

    /// How long the look-up of a name may take (TR-9). Default 5 s.
    #[must_use]
    pub const fn resolve_timeout(mut self, limit: Duration) -> Self {
        self.settings.resolve_limit = limit;
        self
    }

    /// How long a connection may take, after the look-up of the name (TR-9). Default 5 s.
    ///
    /// Where a name has several addresses each gets its share.
    #[must_use]
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect_limit = limit;
        self
    }

    /// Whether small writes go out at once (`TCP_NODELAY`). Default yes.
    #[must_use]
    pub const fn nodelay(mut self, on: bool) -> Self {
        self.settings.nodelay = on;
        self
    }

    /// After how much silence the system probes whether the peer is still there. Default 60 s; `None` is never.
    #[must_use]
    pub const fn keepalive(mut self, after: Option<Duration>) -> Self {
        self.settings.keepalive = after;
        self
    }

    /// Which address of this machine connections come from. Default: the system chooses.
    #[must_use]
    pub const fn local_address(mut self, address: Option<IpAddr>) -> Self {
        self.settings.local_address = address;
        self
    }

    /// How long the first family of addresses is tried alone. Default 300 ms; `None` tries one after the other.
    #[must_use]
    pub const fn happy_eyeballs(mut self, head_start: Option<Duration>) -> Self {
        self.settings.happy_eyeballs = head_start;
        self
    }

    /// Opens the TCP connection for every scheme, as a TLS connector around this one needs it.
    ///
    /// Without that an `https` address is refused with [`TlsUnavailable`]: the alternative would be to send
    /// credentials in clear text.
    #[must_use]
    pub const fn any_scheme(mut self) -> Self {
        self.settings.any_scheme = true;
        self
    }

    /// Who is told of look-ups and connections.
    #[must_use]
    pub fn observer(mut self, observer: SharedObserver) -> Self {
        self.settings.observer = Some(observer);
        self
    }
}

impl Default for TcpConnector {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Service<Uri> for TcpConnector<R>
where
    R: Service<Name, Error: Into<BoxError>> + Clone + Send + 'static,
    R::Response: Iterator<Item = SocketAddr> + Send,
    R::Future: Send,
{
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = TcpConnecting;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.resolver.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> TcpConnecting {
        if !self.settings.any_scheme && uri.scheme() == Some(&Scheme::HTTPS) {
            return TcpConnecting::new(async { Err(TlsUnavailable::new().into()) });
        }
        // The instance that was asked is the one that is ready.
        let clone = self.resolver.clone();
        let resolver = std::mem::replace(&mut self.resolver, clone);
        let settings = self.settings.clone();
        TcpConnecting::new(async move {
            let addresses = settings.resolve(resolver, &uri).await?;
            settings.connect(uri, addresses).await
        })
    }
}

/// The addresses of a host that need no look-up, or that one gave.
type Addresses = Vec<SocketAddr>;

impl Settings {
    async fn resolve<R>(&self, mut resolver: R, uri: &Uri) -> Result<Addresses, BoxError>
    where
        R: Service<Name, Error: Into<BoxError>>,
        R::Response: Iterator<Item = SocketAddr>,
    {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let Some(port) = written_port(uri) else {
            let words = format!("what follows the host {host} in the address is not a port");
            return Err(Fault::new(Kind::Connect).with_advice(Advice::Drop).with_message(words).into());
        };
        let port = port.unwrap_or(default);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, port).into()]);
        }
        entering(Phase::Resolve);
        let begun = Instant::now();
        let name = host.parse::<Name>().map_err(|error| unreachable_error(Phase::Resolve, host, error))?;
        let result = match tokio::time::timeout(self.resolve_limit, resolver.call(name)).await {
            Ok(Ok(found)) => {
                let mut addresses: Addresses = found.collect();
                addresses.iter_mut().for_each(|address| address.set_port(port));
                if addresses.is_empty() {
                    let none = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
                    Err(unreachable_error(Phase::Resolve, host, none))
                } else {
                    Ok(addresses)
                }
            }
            Ok(Err(error)) => Err(unreachable_error(Phase::Resolve, host, error)),
            Err(_) => Err(TimedOut::new(Phase::Resolve, self.resolve_limit).at(host).into()),
        };
        let took = begun.elapsed();
        match (&result, &self.observer) {
            (Ok(addresses), Some(observer)) => observer.event(&Event::Resolved { host, addresses, took }),
            (Err(error), observer) => observe::failed(observer.as_ref(), Phase::Resolve, &**error, took),
            _ => {}
        }
        result
    }

    async fn connect(&self, uri: Uri, addresses: Addresses) -> Result<TokioIo<TcpStream>, BoxError> {
        entering(Phase::Connect);
        let begun = Instant::now();
        let host = uri.authority().map_or_else(String::new, host_and_port);
        let mut http = self.http(addresses);
        let result = match tokio::time::timeout(self.connect_limit, http.call(uri)).await {
            Ok(Ok(stream)) => Ok(stream),
            // The share of the last address ends when the time of all of them does.
            Ok(Err(_)) if begun.elapsed() >= self.connect_limit => {
                Err(TimedOut::new(Phase::Connect, self.connect_limit).at(host).into())
            }
            Ok(Err(error)) => Err(unreachable_error(Phase::Connect, &host, error)),
            Err(_) => Err(TimedOut::new(Phase::Connect, self.connect_limit).at(host).into()),
        };
        let took = begun.elapsed();
        match (&result, &self.observer) {
            (Ok(stream), Some(observer)) => {
                let (peer, local) = (stream.inner().peer_addr().ok(), stream.inner().local_addr().ok());
                observer.event(&Event::Connected { peer, local, took });
            }
            (Err(error), observer) => observe::failed(observer.as_ref(), Phase::Connect, &**error, took),
            _ => {}
        }
        result
    }

    /// The library's connector, for addresses that are known.
    fn http(&self, addresses: Addresses) -> HttpConnector<Known> {
        let mut http = HttpConnector::new_with_resolver(Known(addresses));
        // The scheme is checked above, where the error can say what to do.
        http.enforce_http(false);
        http.set_nodelay(self.nodelay);
        http.set_keepalive(self.keepalive);
        http.set_local_address(self.local_address);
        http.set_happy_eyeballs_timeout(self.happy_eyeballs);
        http.set_connect_timeout(Some(self.connect_limit));
        http
    }
}

/// A resolver that has been asked already.
#[derive(Clone)]
struct Known(Addresses);

impl Service<Name> for Known {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        std::future::ready(Ok(std::mem::take(&mut self.0).into_iter()))
    }
}

/// The future of [`TcpConnector`]. Dropping it gives up the connection.
pub struct TcpConnecting {
    // Connections are few; a box costs nothing next to a handshake.
    inner: Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, BoxError>> + Send>>,
}

impl TcpConnecting {
    fn new(inner: impl Future<Output = Result<TokioIo<TcpStream>, BoxError>> + Send + 'static) -> Self {
        Self { inner: Box::pin(inner) }
    }
}

impl Future for TcpConnecting {
    type Output = Result<TokioIo<TcpStream>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for TcpConnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpConnecting").finish_non_exhaustive()
    }
}
