use std::net::IpAddr;

use super::error::{ProxyError, ProxyProblem};
use super::handshake::Target;
use super::{ProxyScheme, ProxyServer};

/// The target as this proxy wants it: `socks4` and `socks5` leave the look-up of names to us.
///
/// An IPv4 address if there is one: nobody knows here what the network behind the proxy speaks, and IPv4 is what every
/// SOCKS server can be told.
pub(super) async fn resolved(proxy: &ProxyServer, target: Target) -> Result<Target, ProxyError> {
    let Some((name, port)) = target.name() else { return Ok(target) };
    if !matches!(proxy.scheme(), ProxyScheme::Socks4 | ProxyScheme::Socks5) {
        return Ok(target);
    }
    let none = || ProxyError::new(proxy, ProxyProblem::NoAddress);
    // On a thread for blocking calls.
    let found = tokio::net::lookup_host((name, port)).await.map_err(|error| none().caused_by(error))?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    let choice = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    choice.map(|address| Target::at(*address, port)).ok_or_else(none)
}
