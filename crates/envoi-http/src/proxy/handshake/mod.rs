//! What is said to a proxy before it is out of the way: bytes written and read, over anything that reads and writes.

mod http_connect;
#[cfg(feature = "socks")]
mod socks4;
#[cfg(feature = "socks")]
mod socks5;
mod target;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::error::{ProxyError, ProxyProblem};
use super::{ProxyScheme, ProxyServer};
pub(super) use http_connect::offers_basic;
pub(super) use target::Target;

/// Asks the proxy for the way to a target. What it gives is what the target has sent already.
///
/// Every read is bounded; the time is for the caller to bound.
pub(super) async fn shake_hands<T>(
    io: &mut T,
    proxy: &ProxyServer,
    target: &Target,
) -> Result<Bytes, ProxyError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    match proxy.scheme() {
        ProxyScheme::Http | ProxyScheme::Https => http_connect::connect(io, proxy, target).await,
        #[cfg(feature = "socks")]
        ProxyScheme::Socks5 | ProxyScheme::Socks5h => {
            socks5::connect(io, proxy, target).await.map(|()| Bytes::new())
        }
        #[cfg(feature = "socks")]
        ProxyScheme::Socks4 | ProxyScheme::Socks4a => {
            socks4::connect(io, proxy, target).await.map(|()| Bytes::new())
        }
        #[cfg(not(feature = "socks"))]
        _ => Err(ProxyError::new(proxy, ProxyProblem::Malformed)),
    }
}

/// The problem behind an error of the connection to the proxy.
fn broken(proxy: &ProxyServer) -> impl Fn(std::io::Error) -> ProxyError + '_ {
    |error| ProxyError::new(proxy, ProxyProblem::Closed).caused_by(error)
}
