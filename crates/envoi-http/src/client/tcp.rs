use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use envoi_core::BoxError;
use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tower_service::Service;

/// Opens TCP connections: the innermost service of the connect level.
///
/// ```
/// use envoi_http::client::{HttpClient, TcpConnector};
/// use std::time::Duration;
/// let client = HttpClient::builder().connector(TcpConnector::new().connect_timeout(Duration::from_secs(2))).build();
/// # let _ = client;
/// ```
#[derive(Clone, Debug)]
pub struct TcpConnector {
    http: HttpConnector,
    timeout: Duration,
    any_scheme: bool,
}

impl TcpConnector {
    /// A connector with `TCP_NODELAY`, keep-alive probes after 60 s of silence, and 5 s for a connection.
    #[must_use]
    pub fn new() -> Self {
        let mut http = HttpConnector::new();
        // The scheme is checked here, where the error can say what to do.
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(60)));
        Self { http, timeout: Duration::ZERO, any_scheme: false }.connect_timeout(Duration::from_secs(5))
    }

    /// How long a connection may take, name look-up included (TR-9). Default 5 s.
    ///
    /// Where a name has several addresses each gets its share.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.http.set_connect_timeout(Some(limit));
        self.timeout = limit;
        self
    }

    /// Whether small writes go out at once (`TCP_NODELAY`). Default yes.
    #[must_use]
    pub fn nodelay(mut self, on: bool) -> Self {
        self.http.set_nodelay(on);
        self
    }

    /// After how much silence the system probes whether the peer is still there. Default 60 s; `None` is never.
    #[must_use]
    pub fn keepalive(mut self, after: Option<Duration>) -> Self {
        self.http.set_keepalive(after);
        self
    }

    /// Opens the TCP connection for every scheme, as a TLS connector around this one needs it.
    ///
    /// Without that an `https` address is refused with [`TlsUnavailable`]: the alternative would be to send
    /// credentials in clear text.
    #[must_use]
    pub const fn any_scheme(mut self) -> Self {
        self.any_scheme = true;
        self
    }
}

impl Default for TcpConnector {
    fn default() -> Self {
        Self::new()
    }
}

impl Service<Uri> for TcpConnector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = TcpConnecting;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> TcpConnecting {
        if !self.any_scheme && uri.scheme() == Some(&Scheme::HTTPS) {
            return TcpConnecting { state: State::Refused };
        }
        let sleep = Box::pin(tokio::time::sleep(self.timeout));
        TcpConnecting {
            state: State::Connecting { connecting: self.http.call(uri), sleep, limit: self.timeout },
        }
    }
}

/// The future of [`TcpConnector`]. Dropping it gives up the connection.
pub struct TcpConnecting {
    state: State,
}

enum State {
    Connecting {
        connecting: <HttpConnector as Service<Uri>>::Future,
        sleep: Pin<Box<Sleep>>,
        limit: Duration,
    },
    Refused,
}

impl Future for TcpConnecting {
    type Output = Result<TokioIo<TcpStream>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Refused => Poll::Ready(Err(TlsUnavailable::new().into())),
            State::Connecting { connecting, sleep, limit } => {
                if let Poll::Ready(result) = Pin::new(connecting).poll(cx) {
                    return Poll::Ready(result.map_err(Into::into));
                }
                match sleep.as_mut().poll(cx) {
                    Poll::Ready(()) => {
                        let error = io::Error::new(
                            io::ErrorKind::TimedOut,
                            format!("no connection within {limit:?}"),
                        );
                        Poll::Ready(Err(error.into()))
                    }
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

impl fmt::Debug for TcpConnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpConnecting").finish_non_exhaustive()
    }
}

/// The address is `https`, and the connector has no TLS.
///
/// Judged as [`Kind::Tls`](envoi_core::Kind::Tls) with the advice to drop: no later attempt of this process would
/// fare better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsUnavailable(());

impl TlsUnavailable {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for TlsUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the address is https but TLS is not built into this client, give it a connector with TLS or use http",
        )
    }
}

impl std::error::Error for TlsUnavailable {}
