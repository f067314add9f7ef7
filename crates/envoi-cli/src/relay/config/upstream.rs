//! Where envelopes go, and who may say so.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use envoi::envelope::{Dsn, Scheme};
use serde::de::{Deserialize, Deserializer};

use super::units::Parsed;

/// Where envelopes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// All to this project, whatever project and key the client uses.
    Project(Dsn),
    /// All to this host, to the project and with the key that the client uses.
    Host(HostUrl),
    /// Each to the DSN in its own header, if the host of that is on the list.
    PassThrough(Vec<HostRule>),
}

/// As it is written, before the list of hosts is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamText {
    Project(Dsn),
    Host(HostUrl),
    PassThrough,
}

/// `scheme://host[:port][/path]`: a DSN without key and project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostUrl {
    scheme: Scheme,
    /// Host, port and path.
    rest: String,
}

/// One entry of the list: `[scheme://][*.]host[:port]`. Without a scheme it is https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostRule {
    scheme: Scheme,
    host: String,
    /// Whether it is for all names below `host`.
    below: bool,
    port: u16,
}

const EXPECTED: &str = "expected a DSN (scheme://key@host/project), a host (https://host), or `pass-through`";

impl FromStr for UpstreamText {
    type Err = String;

    /// The error does not repeat the text, which may hold a secret (AU-7).
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "pass-through" {
            return Ok(Self::PassThrough);
        }
        if text.contains('@') {
            return Dsn::parse(text).map(Self::Project).map_err(|error| error.to_string());
        }
        let (scheme, rest) = text.split_once("://").ok_or(EXPECTED)?;
        let rest = rest.trim_end_matches('/');
        // The rules for hosts, ports and paths are those of a DSN.
        let dsn = Dsn::parse(&format!("{scheme}://key@{rest}/project")).map_err(|_| EXPECTED)?;
        Ok(Self::Host(HostUrl { scheme: dsn.scheme(), rest: rest.to_owned() }))
    }
}

impl HostUrl {
    /// The DSN of a project on this host; `None` if key or project are not fit for one.
    fn project(&self, key: &str, project: &str) -> Option<Dsn> {
        let is_plain = |text: &str| {
            (1..=128).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if !is_plain(key) || !is_plain(project) {
            return None;
        }
        Dsn::parse(&format!("{}://{key}@{}/{project}", self.scheme, self.rest)).ok()
    }
}

impl fmt::Display for HostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.rest)
    }
}

impl FromStr for HostRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not a host; write for example `sentry.example`, `*.ingest.sentry.io` or `http://localhost:9000`";
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let (below, host) = match rest.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, rest),
        };
        if host.contains(['/', '@', '*']) {
            return Err(wrong().to_owned());
        }
        let dsn = Dsn::parse(&format!("{scheme}://key@{host}/project")).map_err(|_| wrong())?;
        let port = dsn.port().unwrap_or(dsn.scheme().default_port());
        Ok(Self { scheme: dsn.scheme(), host: dsn.host().to_owned(), below, port })
    }
}

impl HostRule {
    /// Whether envelopes may go there: same scheme, same port, same host or a name below it.
    fn allows(&self, dsn: &Dsn) -> bool {
        let host = match dsn.host().strip_suffix(self.host.as_str()) {
            Some("") => !self.below,
            Some(above) => self.below && above.len() > 1 && above.ends_with('.'),
            None => false,
        };
        host && dsn.scheme() == self.scheme && dsn.port().unwrap_or(dsn.scheme().default_port()) == self.port
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "*." } else { "" };
        write!(f, "{}://{below}{}", self.scheme, self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Without secrets, for people.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(dsn) => write!(f, "all to the project {}", label(dsn)),
            Self::Host(host) => write!(f, "each to its project on {host}"),
            Self::PassThrough(hosts) => {
                f.write_str("each to the DSN in its header, on ")?;
                for (position, host) in hosts.iter().enumerate() {
                    write!(f, "{}{host}", if position == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

/// `scheme://host/project`: enough to recognise a DSN, without its key.
pub(crate) fn label(dsn: &Dsn) -> String {
    let port = dsn.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}/{}", dsn.scheme(), dsn.host(), dsn.path(), dsn.project_id())
}

/// Why there is no way for an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// Key or project cannot be part of a DSN.
    Unfit,
    /// The header of the envelope has no DSN that can be read.
    NoDsn,
    /// The host of that DSN is not on the list.
    HostNotAllowed,
    /// The DSN in the header names another project or key than the request.
    Conflict,
}

impl Upstream {
    /// Where an envelope goes that was posted with this key to this project, and has this DSN in its header.
    pub(crate) fn route(&self, key: &str, project: &str, header: Option<&Dsn>) -> Result<Dsn, NoRoute> {
        match self {
            Self::Project(dsn) => Ok(dsn.clone()),
            Self::Host(host) => host.project(key, project).ok_or(NoRoute::Unfit),
            Self::PassThrough(_) => {
                let dsn = header.ok_or(NoRoute::NoDsn)?;
                if dsn.public_key() != key || dsn.project_id() != project {
                    return Err(NoRoute::Conflict);
                }
                if self.allows(dsn) { Ok(dsn.clone()) } else { Err(NoRoute::HostNotAllowed) }
            }
        }
    }

    /// Whether all that comes to `listen` would be forwarded there again, and again.
    pub(crate) fn is_at(&self, listen: SocketAddr) -> bool {
        let dsn = match self {
            Self::Project(dsn) => Some(dsn.clone()),
            Self::Host(host) => host.project("key", "project"),
            // Somebody has to put the relay on its own list.
            Self::PassThrough(hosts) => {
                return hosts.iter().any(|host| !host.below && leads_to(&host.host, host.port, listen));
            }
        };
        dsn.is_some_and(|dsn| leads_to(dsn.host(), dsn.port().unwrap_or(dsn.scheme().default_port()), listen))
    }

    /// Whether what an earlier run has kept for `dsn` may be sent there now. What was kept for a project or host that was
    /// the upstream then is not lost only because another one is now; but a list of hosts is a fence.
    pub(crate) fn allows(&self, dsn: &Dsn) -> bool {
        match self {
            Self::PassThrough(hosts) => hosts.iter().any(|host| host.allows(dsn)),
            Self::Project(_) | Self::Host(_) => true,
        }
    }
}

/// Whether a host as it is written is what somebody listens at. Names other than `localhost` are not looked up.
fn leads_to(host: &str, port: u16, listen: SocketAddr) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = match host.parse::<IpAddr>() {
        Ok(address) if listen.ip().is_unspecified() => address.is_loopback() || address.is_unspecified(),
        Ok(address) => address == listen.ip() || (address.is_unspecified() && listen.ip().is_loopback()),
        Err(_) => {
            host.eq_ignore_ascii_case("localhost")
                && (listen.ip().is_loopback() || listen.ip().is_unspecified())
        }
    };
    is_here && port == listen.port() && port != 0
}

impl<'de> Deserialize<'de> for UpstreamText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed(str::parse, "a DSN, a host or `pass-through` in quotes"))
    }
}

impl<'de> Deserialize<'de> for HostRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed(str::parse, "a host in quotes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dsn(text: &str) -> Dsn {
        Dsn::parse(text).unwrap()
    }

    fn rules(texts: &[&str]) -> Upstream {
        Upstream::PassThrough(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn an_upstream_is_a_dsn_a_host_or_pass_through() {
        assert!(matches!("https://k@h/1".parse(), Ok(UpstreamText::Project(_))));
        assert_eq!("pass-through".parse(), Ok(UpstreamText::PassThrough));
        let Ok(UpstreamText::Host(host)) = "https://h.example:8443/pre/".parse() else { panic!() };
        assert_eq!(host.to_string(), "https://h.example:8443/pre");
        for bad in ["", "h.example", "ftp://h", "https://", "https://h:x", "https://k@h"] {
            let error = bad.parse::<UpstreamText>().unwrap_err();
            assert!(error.contains("expected") || error.contains("DSN"), "{bad}: {error}");
        }
        let error = "https://k:topsecret@".parse::<UpstreamText>().unwrap_err();
        assert!(!error.contains("topsecret"), "{error}");
    }

    /// RL-7, AU-1: with a host as upstream each project and key has a DSN of its own, and a client cannot talk its way
    /// to another host.
    #[test]
    fn project_and_key_of_a_client_stay_on_the_host() {
        let Ok(UpstreamText::Host(host)) = "http://h.example/pre".parse() else { panic!() };
        let upstream = Upstream::Host(host);
        let routed = upstream.route("abc", "42", None).unwrap();
        assert_eq!(routed.to_string(), "http://abc@h.example/pre/42");
        for (key, project) in [
            ("a@evil", "1"),
            ("a", "1/../2"),
            ("a", ".."),
            ("a:b", "1"),
            ("", "1"),
            ("a", ""),
            ("a", "1?x"),
            ("a", "1#"),
        ] {
            assert_eq!(upstream.route(key, project, None), Err(NoRoute::Unfit), "{key} {project}");
        }
    }

    /// Pass-through is no open proxy: scheme, host and port must be on the list.
    #[test]
    fn pass_through_goes_to_listed_hosts_only() {
        let upstream = rules(&["*.ingest.example", "http://localhost:9000"]);
        let ok = dsn("https://k@o1.ingest.example/7");
        assert_eq!(upstream.route("k", "7", Some(&ok)), Ok(ok.clone()));
        assert_eq!(upstream.route("k", "8", Some(&ok)), Err(NoRoute::Conflict));
        assert_eq!(upstream.route("other", "7", Some(&ok)), Err(NoRoute::Conflict));
        assert_eq!(upstream.route("k", "7", None), Err(NoRoute::NoDsn));
        for bad in [
            "https://k@ingest.example/7",
            "https://k@evilingest.example/7",
            "https://k@o1.ingest.example.evil/7",
            "https://k@o1.ingest.example:444/7",
            "http://k@o1.ingest.example/7",
            "http://k@localhost/7",
            "https://k@localhost:9000/7",
            "http://k@169.254.169.254/7",
        ] {
            assert_eq!(upstream.route("k", "7", Some(&dsn(bad))), Err(NoRoute::HostNotAllowed), "{bad}");
        }
        assert!(upstream.allows(&dsn("http://k@LOCALHOST:9000/1")));
    }

    /// A relay that forwards to itself would send one envelope round for ever.
    #[test]
    fn an_upstream_that_is_the_relay_itself_is_recognised() {
        let at = |upstream: &str, listen: &str| {
            let upstream = match upstream.parse().unwrap() {
                UpstreamText::Project(dsn) => Upstream::Project(dsn),
                UpstreamText::Host(host) => Upstream::Host(host),
                UpstreamText::PassThrough => unreachable!("not asked for"),
            };
            upstream.is_at(listen.parse().unwrap())
        };
        for (upstream, listen) in [
            ("http://k@127.0.0.1:8970/1", "127.0.0.1:8970"),
            ("http://localhost:8970", "127.0.0.1:8970"),
            ("http://k@LOCALHOST:8970/1", "0.0.0.0:8970"),
            ("http://127.0.0.1:8970", "[::]:8970"),
            ("http://k@[::1]:8970/1", "[::1]:8970"),
            ("http://10.0.0.1", "10.0.0.1:80"),
        ] {
            assert!(at(upstream, listen), "{upstream} {listen}");
        }
        for (upstream, listen) in [
            ("http://k@127.0.0.1:8969/1", "127.0.0.1:8970"),
            ("http://k@127.0.0.2:8970/1", "127.0.0.1:8970"),
            ("http://k@10.0.0.2:8970/1", "10.0.0.1:8970"),
            ("http://sentry.example:8970", "127.0.0.1:8970"),
            ("https://k@localhost/1", "127.0.0.1:8970"),
        ] {
            assert!(!at(upstream, listen), "{upstream} {listen}");
        }
        assert!(rules(&["http://localhost:8970"]).is_at("127.0.0.1:8970".parse().unwrap()));
        assert!(!rules(&["http://localhost:9000"]).is_at("127.0.0.1:8970".parse().unwrap()));
    }

    #[test]
    fn what_is_no_host_is_no_rule() {
        for bad in ["", "*", "*.", "a/b", "k@h", "ftp://h", "a b", "h:port", "*.*.h"] {
            assert!(bad.parse::<HostRule>().is_err(), "{bad}");
        }
        let rule: HostRule = "*.Ingest.example:8443".parse().unwrap();
        assert_eq!(rule.to_string(), "https://*.ingest.example:8443");
    }

    proptest::proptest! {
        /// Whatever a client calls its key and its project, the DSN stays on the host.
        #[test]
        fn no_name_leaves_the_host(key in "\\PC{0,12}|[a-z@:/?#.%]{0,8}", project in "\\PC{0,12}|[0-9@:/?#.%]{0,8}") {
            let Ok(UpstreamText::Host(host)) = "http://h.example:81/pre".parse() else { panic!() };
            if let Ok(dsn) = Upstream::Host(host).route(&key, &project, None) {
                proptest::prop_assert_eq!((dsn.host(), dsn.port(), dsn.path()), ("h.example", Some(81), "/pre"));
                proptest::prop_assert_eq!((dsn.public_key(), dsn.project_id()), (&*key, &*project));
            }
        }

        /// Whatever somebody writes for a host, a rule shows itself so that it can be read again.
        #[test]
        fn rules_are_read_as_they_are_shown(text in "\\PC{0,16}|(https?://)?(\\*\\.)?[a-z.]{1,8}(:[0-9]{1,5})?") {
            if let Ok(rule) = text.parse::<HostRule>() {
                proptest::prop_assert_eq!(rule.to_string().parse(), Ok(rule));
            }
            let _ = text.parse::<UpstreamText>();
        }
    }
}
