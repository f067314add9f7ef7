//! The grammar of DSNs (AU-1, decision 25), on the characters that RFC 3986 allows in each part.

use std::net::Ipv6Addr;

use http::Uri;

use super::{Dsn, DsnError, DsnErrorKind as Kind, Scheme};

/// Longer texts are no DSNs; also keeps every URL within what `http::Uri` takes.
pub(super) const MAX_BYTES: usize = 4096;

pub(super) fn parse(text: &str) -> Result<Dsn, DsnError> {
    let fail = |kind| Err(DsnError::new(kind));
    let text = text.trim();
    if text.is_empty() {
        return fail(Kind::Empty);
    }
    if text.len() > MAX_BYTES {
        return fail(Kind::TooLong);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return fail(Kind::MissingScheme);
    };
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
        _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
        "" => return fail(Kind::MissingScheme),
        _ => return fail(Kind::UnsupportedScheme),
    };
    if rest.contains(['?', '#']) {
        return fail(Kind::UnexpectedQuery);
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));

    let Some((keys, address)) = authority.rsplit_once('@') else {
        return fail(Kind::MissingPublicKey);
    };
    let (public_key, secret_key) =
        keys.split_once(':').map_or((keys, None), |(public, secret)| (public, Some(secret)));
    let secret_key = secret_key.filter(|secret| !secret.is_empty());
    if public_key.is_empty() {
        return fail(Kind::MissingPublicKey);
    }
    if !is_written_with(public_key, is_key_byte) {
        return fail(Kind::InvalidPublicKey);
    }
    if secret_key.is_some_and(|secret| !is_written_with(secret, |byte| is_key_byte(byte) || byte == b':')) {
        return fail(Kind::InvalidSecretKey);
    }

    let (host, port) = split_address(address);
    if host.is_empty() {
        return fail(Kind::MissingHost);
    }
    if !is_host(host) {
        return fail(Kind::InvalidHost);
    }
    let port = match port.map(read_port) {
        None => None,
        Some(Some(port)) => Some(port),
        Some(None) => return fail(Kind::InvalidPort),
    };

    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let Some(project_id) = parts.pop() else {
        return fail(Kind::MissingProjectId);
    };
    if !is_segment(project_id) {
        return fail(Kind::InvalidProjectId);
    }
    if !parts.iter().all(|part| is_segment(part)) {
        return fail(Kind::InvalidPath);
    }

    let host = host.to_ascii_lowercase();
    let path: String = parts.iter().flat_map(|part| ["/", part]).collect();
    let authority = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    let envelope_url = format!("{scheme}://{authority}{path}/api/{project_id}/envelope/");
    let Ok(envelope_url) = Uri::try_from(envelope_url) else {
        return fail(Kind::InvalidHost);
    };
    Ok(Dsn {
        scheme,
        public_key: public_key.to_owned(),
        secret_key: secret_key.map(str::to_owned),
        host,
        port,
        path,
        project_id: project_id.to_owned(),
        envelope_url,
    })
}

/// Host and port. The colons of an IPv6 literal are inside its brackets.
fn split_address(address: &str) -> (&str, Option<&str>) {
    let after_literal = address.rfind(']').unwrap_or(0);
    match address[after_literal..].rfind(':') {
        Some(colon) => {
            let colon = after_literal + colon;
            (&address[..colon], Some(&address[colon + 1..]))
        }
        None => (address, None),
    }
}

fn read_port(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        // `Ipv6Addr` takes no zone ids.
        Some(literal) => literal.is_some_and(|literal| literal.parse::<Ipv6Addr>().is_ok()),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A comma would end the value in the auth header.
const fn is_key_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
}

/// `@` is left out although RFC 3986 allows it here: it shows a secret with a slash that was not escaped.
fn is_segment(segment: &str) -> bool {
    let is_byte = |byte| is_key_byte(byte) || matches!(byte, b':' | b',');
    !matches!(segment, "." | "..") && is_written_with(segment, is_byte)
}

/// Whether `text` is made of these bytes and of whole percent escapes.
fn is_written_with(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut is_digit = || bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
            if !(is_digit() && is_digit()) {
                return false;
            }
        } else if !is_allowed(byte) {
            return false;
        }
    }
    true
}
