use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::uri::Authority;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::InvalidProxy;
use super::error::Why;

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyScheme {
    /// `http`: CONNECT for `https` targets, absolute-form for `http` targets (TR-4).
    Http,
    /// `https`: the same inside of TLS, so that credentials and host names are not seen on the way to the proxy.
    Https,
    /// `socks4`: names are resolved here, IPv4 only.
    Socks4,
    /// `socks4a`: names are resolved by the proxy.
    Socks4a,
    /// `socks5`: names are resolved here (RFC 1928).
    Socks5,
    /// `socks5h`: names are resolved by the proxy.
    Socks5h,
}

impl ProxyScheme {
    fn parse(text: &str) -> Option<Self> {
        const ALL: [ProxyScheme; 6] = [
            ProxyScheme::Http,
            ProxyScheme::Https,
            ProxyScheme::Socks4,
            ProxyScheme::Socks4a,
            ProxyScheme::Socks5,
            ProxyScheme::Socks5h,
        ];
        ALL.into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
    }

    /// As it is written in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// The port of a URL without one: 80, 443 or 1080.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            _ => 1080,
        }
    }

    /// Whether it is an HTTP proxy, and not a SOCKS server.
    #[must_use]
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

/// User and password, percent-decoded.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Credentials {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl Credentials {
    /// `Basic` credentials (RFC 7617), marked sensitive.
    pub(crate) fn basic(&self) -> HeaderValue {
        let plain = [&self.user, b":".as_slice(), &self.password].concat();
        let Ok(mut value) = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(plain))) else {
            unreachable!("base64 has only characters that a header may have")
        };
        value.set_sensitive(true);
        value
    }
}

/// One proxy: how, where, and with which credentials.
///
/// `Debug` and `Display` leave the credentials out (AU-7).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyServer {
    scheme: ProxyScheme,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

impl ProxyServer {
    /// Reads `[scheme://][user[:password]@]host[:port]`.
    ///
    /// Without a scheme it is `http`, as everywhere. User and password are percent-decoded. A path is ignored.
    ///
    /// # Errors
    /// [`InvalidProxy`] names what is wrong, without the credentials.
    pub fn parse(url: &str) -> Result<Self, InvalidProxy> {
        let fail = |why| Err(InvalidProxy::new(why));
        let url = url.trim();
        if url.is_empty() {
            return fail(Why::Empty);
        }
        if let Some(offset) = url.find(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return fail(Why::Blank(offset));
        }
        let (scheme, rest) = match url.split_once("://") {
            None => (ProxyScheme::Http, url),
            Some((name, rest)) => match ProxyScheme::parse(name) {
                Some(scheme) => (scheme, rest),
                None => return fail(Why::scheme(name)),
            },
        };
        if !scheme.is_http() && cfg!(not(feature = "socks")) {
            return fail(Why::NotBuiltIn { scheme, feature: "socks" });
        }
        // A password may hold an `@`, a host may not.
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (userinfo, place) = match authority.rsplit_once('@') {
            Some((userinfo, place)) => (Some(userinfo), place),
            None if rest.contains('@') => return fail(Why::Encoding),
            None => (None, authority),
        };
        let (host, port) = match place_of(place) {
            Some((host, port)) => (host, port.unwrap_or(scheme.default_port())),
            None if userinfo.is_none() => return fail(Why::Host(Some(place.to_owned()))),
            None => return fail(Why::Host(None)),
        };
        let credentials = match userinfo.filter(|text| !text.is_empty()) {
            Some(text) => Some(credentials_of(scheme, text).map_err(InvalidProxy::new)?),
            None => None,
        };
        Ok(Self { scheme, host, port, credentials })
    }

    /// How it is spoken to.
    #[must_use]
    pub const fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// Its name or address, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether there are credentials for it.
    #[must_use]
    pub const fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    pub(crate) const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The address that the connector below is asked for.
    pub(crate) fn uri(&self, scheme: &http::uri::Scheme) -> Uri {
        let built = Uri::builder()
            .scheme(scheme.clone())
            .authority(format!("{}:{}", self.host, self.port))
            .path_and_query("/")
            .build();
        let Ok(uri) = built else { unreachable!("host and port were read out of an authority") };
        uri
    }
}

impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = if self.has_credentials() { "***@" } else { "" };
        write!(f, "{}://{hidden}{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

/// Host and port of `host[:port]`.
fn place_of(text: &str) -> Option<(String, Option<u16>)> {
    let authority: Authority = text.parse().ok()?;
    let host = authority.host();
    let after = text.get(host.len()..)?;
    let port = match after.strip_prefix(':') {
        None if after.is_empty() => None,
        None => return None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let valid = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains(['[', ']', ':', '%']),
    };
    valid.then(|| (host.to_ascii_lowercase(), port))
}

fn credentials_of(scheme: ProxyScheme, userinfo: &str) -> Result<Credentials, Why> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let (user, password) = (decode(user)?, decode(password)?);
    if scheme.is_http() {
        // RFC 7617 §2: the first colon ends the user.
        if user.contains(&b':') {
            return Err(Why::ColonInUser);
        }
    } else if matches!(scheme, ProxyScheme::Socks4 | ProxyScheme::Socks4a) {
        if !password.is_empty() {
            return Err(Why::Socks4Password);
        }
        if user.contains(&0) {
            return Err(Why::Encoding);
        }
    } else if user.len() > 255 || password.len() > 255 || user.is_empty() {
        // RFC 1929 §2.
        return Err(Why::Socks5Length);
    }
    Ok(Credentials { user, password })
}

fn decode(text: &str) -> Result<Vec<u8>, Why> {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        let digits = bytes.get(at + 1..at + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Why::Encoding);
        }
    }
    Ok(percent_decode_str(text).collect())
}
