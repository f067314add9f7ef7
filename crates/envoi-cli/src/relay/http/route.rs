//! What a path means.

/// The parts of the relay that have a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Envelope { project: &'a str },
    Legacy,
    Page,
    Style,
    Script,
    StatusJson,
    Live,
    Ready,
    Metrics,
    Nothing,
}

/// Envelopes are taken behind any prefix (AU-2): a DSN may have a path.
pub(super) fn route(path: &str) -> Route<'_> {
    match path {
        "/" => Route::Page,
        "/status.css" => Route::Style,
        "/status.js" => Route::Script,
        "/status.json" => Route::StatusJson,
        "/healthz/live" => Route::Live,
        "/healthz" | "/healthz/ready" => Route::Ready,
        "/metrics" => Route::Metrics,
        _ => endpoint(path).unwrap_or(Route::Nothing),
    }
}

/// `{prefix}/api/{project}/{endpoint}[/]`.
fn endpoint(path: &str) -> Option<Route<'_>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let (before, endpoint) = path.rsplit_once('/')?;
    let (prefix, project) = before.rsplit_once('/')?;
    let is_api =
        prefix.strip_suffix("/api").is_some_and(|before| before.is_empty() || before.starts_with('/'));
    if !is_api || project.is_empty() {
        return None;
    }
    match endpoint {
        "envelope" => Some(Route::Envelope { project }),
        "store" => Some(Route::Legacy),
        _ => None,
    }
}

/// Whether a page may be shown under this `Host`, by a relay that listens on loopback: a name that somebody else has
/// made point to this machine would let any web page read it.
pub(super) fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AU-2: path prefixes are kept, project ids need not be numbers.
    #[test]
    fn envelopes_are_taken_behind_any_prefix() {
        for (path, expected) in [
            ("/api/42/envelope/", Route::Envelope { project: "42" }),
            ("/api/42/envelope", Route::Envelope { project: "42" }),
            ("/a/b/api/shop/envelope/", Route::Envelope { project: "shop" }),
            ("/api/42/store/", Route::Legacy),
            ("/api//envelope/", Route::Nothing),
            ("/xapi/42/envelope/", Route::Nothing),
            ("api/42/envelope/", Route::Nothing),
            ("/api/42/minidump/", Route::Nothing),
            ("/healthz", Route::Ready),
            ("/healthz/live", Route::Live),
            ("/", Route::Page),
            ("//", Route::Nothing),
            ("", Route::Nothing),
            ("*", Route::Nothing),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn a_page_is_shown_under_addresses_and_localhost_only() {
        for host in ["localhost", "LOCALHOST:8970", "127.0.0.1:8970", "[::1]:8970", "[::1]", "10.0.0.1"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:8970", "localhost.evil.example", "127.0.0.1.evil:80"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
