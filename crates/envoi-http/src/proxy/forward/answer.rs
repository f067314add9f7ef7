use http::header::{PROXY_AUTHENTICATE, SERVER};
use http::{HeaderMap, StatusCode};

/// How known forward proxies name themselves in answers of their own. What they forward keeps the server's name.
const NAMES: [&str; 4] = ["squid", "tinyproxy", "privoxy", "zscaler"];

/// Whether an answer to a request that was sent through a forward proxy was made by the proxy itself.
///
/// In plain HTTP nothing marks such an answer reliably, so this is an estimate, on the safe side: what is not known to
/// be the proxy's counts as the server's.
///
/// | sign | why |
/// |---|---|
/// | 407, `Proxy-Authenticate` | only a proxy asks for credentials of proxies (RFC 9110 §15.5.8) |
/// | `Proxy-Status` with `error` | an intermediary says that it made the answer (RFC 9209 §2.1.1) |
/// | `X-Squid-Error` | Squid's error pages |
/// | `Server: squid`, `tinyproxy`, `Privoxy`, `Zscaler` | their error pages; what is forwarded keeps the server's name |
///
/// A success is never the proxy's, nor is anything with a header of Sentry's in it. `Via` is no sign: some proxies put
/// it into everything, some into nothing.
///
/// **What cannot be told apart**: the error page of a proxy that gives no sign of itself (a company's own name, a load
/// balancer), a captive portal that answers 200, and a sign of the list in an answer that the *server's* side made
/// with the same software. `https`, or [`tunnel_http`](crate::proxy::ProxyConfig::tunnel_http), leaves no doubt.
#[must_use]
pub fn made_by_proxy(status: StatusCode, headers: &HeaderMap) -> bool {
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return true;
    }
    let is_sentrys =
        ["x-sentry-error", "x-sentry-rate-limits"].iter().any(|name| headers.contains_key(*name));
    if status.is_success() || is_sentrys {
        return false;
    }
    let values = |name| headers.get_all(name).iter().map(|value| value.as_bytes().to_ascii_lowercase());
    headers.contains_key(PROXY_AUTHENTICATE)
        || headers.contains_key("x-squid-error")
        || values("proxy-status").any(|value| has_error(&value))
        || values(SERVER.as_str()).any(|value| NAMES.iter().any(|name| is_named(&value, name.as_bytes())))
}

/// Whether a member of a `Proxy-Status` has the parameter `error`. All in lower case.
fn has_error(value: &[u8]) -> bool {
    let mut parameters = value.split(|byte| matches!(byte, b';' | b','));
    parameters.any(|text| text.trim_ascii().strip_prefix(b"error=").is_some())
}

/// `squid` and `squid/5.7`, but not `squidward`.
fn is_named(value: &[u8], name: &[u8]) -> bool {
    match value.strip_prefix(name) {
        Some(rest) => rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()),
        None => false,
    }
}
