use std::net::IpAddr;

use http::Uri;

use crate::client::written_port;

/// Where the proxy is asked to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Target {
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let host = uri.host().filter(|host| !host.is_empty())?;
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = plain.parse().map_or_else(|_| Host::Name(plain.to_owned()), Host::Address);
        // Never a default for the wrong scheme: SOCKS carries both.
        let port = written_port(uri)?.or(match uri.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        })?;
        Some(Self { host, port })
    }

    /// The name that has to be looked up, if it is one.
    #[cfg(feature = "socks")]
    pub(crate) fn name(&self) -> Option<(&str, u16)> {
        match &self.host {
            Host::Name(name) => Some((name, self.port)),
            Host::Address(_) => None,
        }
    }

    /// The same place by its address.
    #[cfg(feature = "socks")]
    pub(crate) const fn at(address: IpAddr, port: u16) -> Self {
        Self { host: Host::Address(address), port }
    }

    /// `host:port` (RFC 9110 §9.3.6).
    pub(super) fn authority(&self) -> String {
        match &self.host {
            Host::Name(name) => format!("{name}:{}", self.port),
            Host::Address(IpAddr::V4(address)) => format!("{address}:{}", self.port),
            Host::Address(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
        }
    }
}
