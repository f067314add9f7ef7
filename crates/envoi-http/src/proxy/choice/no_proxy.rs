use std::net::{IpAddr, Ipv6Addr};

use http::Uri;
use ipnet::IpNet;

/// Which hosts are reached without a proxy: a list as in the environment variable `no_proxy` (TR-3).
///
/// Entries are separated by commas or white space; blank ones do not count, and case does not matter.
///
/// | entry | bypasses the proxy |
/// |---|---|
/// | `*` | always |
/// | `example.com`, `.example.com`, `*.example.com` | for the domain and everything below it; never for `notexample.com` |
/// | `example.com.` | the same: the dot at the end does not matter, neither here nor in the address |
/// | `10.1.2.3`, `fd00::1`, `[fd00::1]` | for that address |
/// | `10.0.0.0/8`, `fd00::/8`, `[fd00::/8]` | for the addresses of that network |
/// | any of them but networks with `:port` | for that port only; an IPv6 address then needs its brackets |
///
/// A name is never looked up to compare it with an address. What cannot be read is left out and can be asked for:
/// [`NoProxy::unreadable`].
///
/// ```
/// use envoi_http::proxy::NoProxy;
/// let list = NoProxy::parse("localhost, .internal, 10.0.0.0/8, example.com:8443");
/// assert!(list.matches(&"https://sentry.INTERNAL/".parse()?));
/// assert!(list.matches(&"http://10.20.30.40:9000/".parse()?));
/// assert!(!list.matches(&"https://example.com/".parse()?));
/// # Ok::<_, http::uri::InvalidUri>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    rules: Vec<Rule>,
    unreadable: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// Lower case, without dots around.
    Domain(String),
    Address(IpAddr),
    Network(IpNet),
}

impl NoProxy {
    /// Reads a list.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        let mut read = Self::default();
        let entries = list.split(|letter: char| letter == ',' || letter.is_whitespace());
        for entry in entries.filter(|entry| !entry.is_empty()) {
            match Rule::parse(entry) {
                Some(rule) => read.rules.push(rule),
                None => read.unreadable.push(entry.to_owned()),
            }
        }
        read
    }

    /// Whether there is nothing that would bypass the proxy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The entries that could not be read, as they were written.
    #[must_use]
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// Whether an address is reached without a proxy. An address without a host is not in any list.
    #[must_use]
    pub fn matches(&self, target: &Uri) -> bool {
        Target::of(target).is_some_and(|target| self.contains(&target))
    }

    pub(super) fn contains(&self, target: &Target) -> bool {
        self.rules.iter().any(|rule| rule.contains(target))
    }
}

impl Rule {
    fn parse(entry: &str) -> Option<Self> {
        // What is an address as a whole has no port: `::1:80` is one.
        let (place, port) = match entry.rsplit_once(':') {
            _ if entry.parse::<Ipv6Addr>().is_ok() || entry.parse::<IpNet>().is_ok() => (entry, None),
            Some((place, digits)) if !digits.ends_with(']') => (place, Some(digits.parse().ok()?)),
            _ => (entry, None),
        };
        let bracketed = place.strip_prefix('[').and_then(|place| place.strip_suffix(']'));
        let hosts = match bracketed {
            Some(text) => Hosts::numeric(text).filter(|_| text.contains(':'))?,
            // Without brackets nobody knows where the address ends.
            None if port.is_some() && place.contains(':') => return None,
            None => match Hosts::numeric(place) {
                Some(hosts) => hosts,
                None if place == "*" => Hosts::All,
                None => Hosts::Domain(domain(place)?),
            },
        };
        match (&hosts, port) {
            (_, Some(0)) | (Hosts::Network(_), Some(_)) => None,
            _ => Some(Self { hosts, port }),
        }
    }

    fn contains(&self, target: &Target) -> bool {
        let host = match (&self.hosts, &target.host) {
            (Hosts::All, _) => true,
            (Hosts::Address(rule), Host::Address(address)) => rule == address,
            (Hosts::Network(rule), Host::Address(address)) => rule.contains(address),
            (Hosts::Domain(rule), Host::Name(name)) => match name.strip_suffix(rule.as_str()) {
                Some(before) => before.is_empty() || before.ends_with('.'),
                None => false,
            },
            _ => false,
        };
        host && self.port.is_none_or(|port| target.port == Some(port))
    }
}

impl Hosts {
    fn numeric(text: &str) -> Option<Self> {
        let address = text.parse().ok().map(|address: IpAddr| Self::Address(address.to_canonical()));
        address.or_else(|| text.parse().ok().map(Self::Network))
    }
}

/// `example.com` of `*.example.com`, `.Example.com` and `example.com.`.
fn domain(text: &str) -> Option<String> {
    let text = text.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(text);
    let text = text.strip_prefix('.').unwrap_or(text);
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_'))
    };
    text.split('.').all(label).then(|| text.to_lowercase())
}

/// Where a request goes, as far as rules look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Target {
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let host = uri.host()?;
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let plain = plain.strip_suffix('.').unwrap_or(plain);
        let port = uri.port_u16().or(match uri.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        });
        let host = match plain.parse::<IpAddr>() {
            Ok(address) => Host::Address(address.to_canonical()),
            Err(_) if plain.is_empty() => return None,
            Err(_) => Host::Name(plain.to_lowercase()),
        };
        Some(Self { host, port })
    }

    /// Whether it is this machine: `localhost` and what is below it (RFC 6761 §6.3), 127.0.0.0/8 and ::1.
    pub(super) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Address(address) => address.is_loopback(),
        }
    }
}
