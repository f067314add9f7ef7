//! What a fault on the way means, and what to do about it. Pure.

use std::error::Error;
use std::io;

use envoi::Kind;
use envoi::core::{Fault, Phase};
use envoi::http::proxy::{ProxyError, ProxyProblem, ProxyScheme, ProxyServer};
use envoi::http::tls::TlsProblem;
use http::Uri;
use http::uri::{Authority, Scheme};

use super::sheet::Part;
use crate::way::{Choice, Why};

/// Where the way leads.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Host of the server, and its port if the DSN has one: as the library tells it.
    pub(crate) host: String,
    /// Host and port.
    address: String,
    is_https: bool,
    proxy: Option<(ProxyServer, Why)>,
}

impl Scene {
    /// By the address of the server, and the proxy that was chosen for it.
    pub(crate) fn new(target: &Uri, choice: &Choice) -> Self {
        let is_https = target.scheme() == Some(&Scheme::HTTPS);
        let host = target.host().unwrap_or_default();
        let port = target.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let given = target.authority().and_then(Authority::port_u16);
        Self {
            host: given.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            address: format!("{host}:{port}"),
            is_https,
            proxy: choice.config.choose(target).map(|server| (server.clone(), choice.why.clone())),
        }
    }

    /// What there is to check, in its order.
    pub(crate) fn plan(&self) -> Vec<Part> {
        let server = self.proxy.as_ref().map(|(server, _)| server);
        let first = server
            .map_or_else(|| self.address.clone(), |server| format!("{}:{}", server.host(), server.port()));
        let is_forwarded = server.is_some_and(|server| server.scheme().is_http()) && !self.is_https;
        let parts = [
            (Part::Name, first.parse::<std::net::SocketAddr>().is_err()),
            (Part::Tcp, true),
            (Part::ProxyTls, server.is_some_and(|server| server.scheme() == ProxyScheme::Https)),
            (Part::Tunnel, server.is_some() && !is_forwarded),
            (Part::Tls, self.is_https),
            (Part::Request, true),
            (Part::Reply, true),
            (Part::Clock, true),
        ];
        parts.into_iter().filter_map(|(part, is_there)| is_there.then_some(part)).collect()
    }

    /// Host and port of what is connected to, and what it is.
    fn first(&self) -> (String, &'static str) {
        match &self.proxy {
            Some((server, _)) => (format!("{}:{}", server.host(), server.port()), "the proxy"),
            None => (self.address.clone(), "the server"),
        }
    }

    /// Where the first host was written.
    fn place(&self) -> &str {
        self.proxy.as_ref().map_or("the DSN", |(_, why)| why.place())
    }
}

/// Which part of the way a fault without an answer is about.
pub(crate) fn part(fault: &Fault, scene: &Scene) -> Part {
    let of_proxy = ProxyError::find(fault).map(ProxyError::problem);
    match (fault.phase(), of_proxy) {
        (Some(Phase::Resolve), _) => Part::Name,
        (Some(Phase::Connect), _) => Part::Tcp,
        (Some(Phase::Tls), Some(_)) => Part::ProxyTls,
        (Some(Phase::Tls), None) => Part::Tls,
        (Some(Phase::Proxy), _) if scene.plan().contains(&Part::Tunnel) => Part::Tunnel,
        (Some(Phase::Write), _) => Part::Request,
        _ => Part::Reply,
    }
}

/// The way out.
pub(crate) fn advice(fault: &Fault, scene: &Scene) -> Option<String> {
    let problem = ProxyError::find(fault).map(ProxyError::problem);
    if let Some(words) = problem.and_then(|problem| proxy(problem, scene)) {
        return Some(words);
    }
    match (part(fault, scene), fault.kind()) {
        (Part::Name, _) => {
            let (host, what) = scene.first();
            let host = host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host);
            let (place, way_out) = match scene.proxy {
                Some(_) => (scene.place(), "go without it: --no-proxy '*'"),
                None => ("the DSN", "if only a proxy can look up names here, name it with --proxy"),
            };
            Some(format!(
                "is {host} spelled right in {place}, and can this machine look up names (try `getent hosts {host}`)? \
                 {what} may be known in a VPN or a company's network only; {way_out}"
            ))
        }
        (Part::Tcp, _) => Some(unreachable(fault, scene)),
        (part @ (Part::ProxyTls | Part::Tls), _) => tls(fault, part, scene),
        (Part::Tunnel, _) => Some(format!("the proxy cannot get through to {}: ask who runs it", scene.address)),
        (_, Kind::Timeout) => Some(
            "the connection is there, but no answer comes: is the server overloaded, or does something in between \
             swallow requests? --timeout waits longer"
                .to_owned(),
        ),
        (Part::Request | Part::Reply, _) if !scene.is_https => Some(
            "what listens there closes the connection without an answer in HTTP: is it the right port, and does it \
             speak https while the DSN says http?"
                .to_owned(),
        ),
        (Part::Request | Part::Reply, _) => Some(
            "what listens there closes the connection without an answer: look into the logs of the server and of what \
             stands in front of it"
                .to_owned(),
        ),
        _ => None,
    }
}

/// There is no TCP connection.
fn unreachable(fault: &Fault, scene: &Scene) -> String {
    let (address, what) = scene.first();
    let place = scene.place();
    match io_kind(fault) {
        _ if fault.kind() == Kind::Timeout => format!(
            "nothing answers at {address}, which is what a firewall does that drops packets: let this machine out to \
             {address}, or go through a proxy that may (--proxy)"
        ),
        Some(io::ErrorKind::ConnectionRefused) => {
            format!("nothing listens at {address}: is {what} running, and the port right in {place}?")
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            format!(
                "there is no route to {address}: is this machine online, and in the VPN that {what} needs?"
            )
        }
        _ => format!("is {what} running, and {address} right in {place}?"),
    }
}

/// What the operating system said, wherever in the chain.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        cause = match current.downcast_ref::<io::Error>() {
            Some(error) if error.get_ref().is_none() => return Some(error.kind()),
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => current.source(),
        };
    }
    None
}

/// There is no TLS. The words of the fault say what to mend; here is how this command is told.
fn tls(fault: &Fault, part: Part, scene: &Scene) -> Option<String> {
    let (address, place) = match part {
        Part::ProxyTls => (scene.first().0, scene.place()),
        _ => (scene.address.clone(), "the DSN"),
    };
    if fault.kind() == Kind::Timeout {
        return Some(format!(
            "the connection is there, but TLS is not answered: is {address} a port for https, or does a firewall look \
             into it?"
        ));
    }
    let words = fault.to_string();
    let found = |problem: &TlsProblem| words.contains(problem.advice());
    let known = [
        TlsProblem::UnknownIssuer,
        TlsProblem::ClientCertificateRequired,
        TlsProblem::ClientCertificateRefused,
        TlsProblem::WrongName,
        TlsProblem::BadName,
        TlsProblem::Expired,
        TlsProblem::NotYetValid,
        TlsProblem::NotTls,
        TlsProblem::Cut,
    ];
    Some(match known.into_iter().find(found)? {
        TlsProblem::UnknownIssuer => {
            "if you trust it, save the certificate of the authority and say --cacert FILE; an application is told with \
             `ca_certificate`, or by SSL_CERT_FILE in its environment"
                .to_owned()
        }
        TlsProblem::ClientCertificateRequired => "say --cert FILE --key FILE".to_owned(),
        TlsProblem::ClientCertificateRefused => "give another one with --cert FILE --key FILE".to_owned(),
        TlsProblem::WrongName => {
            format!("write one of its names into {place}, or have a certificate issued for this one")
        }
        TlsProblem::BadName => format!("write a host into {place} that a certificate can be for"),
        TlsProblem::Expired => "renew it on the server; or is the clock of this machine wrong?".to_owned(),
        TlsProblem::NotYetValid => "is the clock of this machine wrong?".to_owned(),
        TlsProblem::NotTls => format!("write http into {place} if it is meant, or the port for https"),
        _ => "a firewall may look into connections, or the port is not for https".to_owned(),
    })
}

/// The proxy is the problem.
fn proxy(problem: &ProxyProblem, scene: &Scene) -> Option<String> {
    let (place, address) = (scene.place(), &scene.address);
    Some(match problem {
        ProxyProblem::CredentialsWanted => {
            format!("write user and password into {place}: http://user:password@host:port")
        }
        ProxyProblem::CredentialsRefused => {
            format!("check user and password in {place}, and percent-encode what is no letter or digit")
        }
        ProxyProblem::SchemeUnsupported => {
            "ask for an entry without a password, or run a local proxy that knows the other scheme".to_owned()
        }
        ProxyProblem::Refused(status) if status.is_server_error() => {
            format!("the proxy could not reach {address}: is the host of the DSN spelled right and running?")
        }
        ProxyProblem::Refused(_) | ProxyProblem::Socks(2) => {
            format!("ask who runs the proxy to allow {address}, or go without it: --no-proxy {}", scene.host)
        }
        ProxyProblem::Socks(_) => {
            format!("the proxy could not reach {address}: is it spelled right and running?")
        }
        ProxyProblem::Closed | ProxyProblem::Malformed => {
            format!("check scheme and port in {place}: is it an HTTP proxy, or a SOCKS server?")
        }
        ProxyProblem::NoAddress => {
            format!("write socks5h or socks4a into {place}: then the proxy looks up the name")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(target: &str, proxy: Option<&str>) -> Scene {
        let target: Uri = target.parse().unwrap();
        Scene::new(&target, &Choice::make(proxy, None, &target, |_| None).unwrap())
    }

    /// TR-9: what no test can bring about on every machine: packets that are dropped, and no route.
    #[test]
    fn silence_and_no_route_are_told_apart() {
        let direct = scene("https://sentry.test/", None);
        let through = scene("https://sentry.test/", Some("proxy.test:3128"));
        let timeout = || Fault::new(Kind::Timeout).with_phase(Phase::Connect);
        let route = |kind| Fault::caused_by(Kind::Connect, io::Error::from(kind)).with_phase(Phase::Connect);
        for (fault, scene, words) in [
            (timeout(), &direct, "nothing answers at sentry.test:443, which is what a firewall does"),
            (timeout(), &through, "nothing answers at proxy.test:3128, which is what a firewall does"),
            (route(io::ErrorKind::NetworkUnreachable), &direct, "no route to sentry.test:443"),
            (route(io::ErrorKind::HostUnreachable), &through, "the VPN that the proxy needs"),
            (route(io::ErrorKind::ConnectionRefused), &through, "nothing listens at proxy.test:3128"),
            (route(io::ErrorKind::Other), &direct, "is the server running"),
        ] {
            assert_eq!(part(&fault, scene), Part::Tcp);
            let advice = advice(&fault, scene).unwrap();
            assert!(advice.contains(words), "{words}: {advice}");
        }
        let fault = Fault::new(Kind::Timeout).with_phase(Phase::Resolve);
        assert!(advice(&fault, &through).unwrap().contains("is proxy.test spelled right in --proxy"));
    }

    /// TR-4: the plan follows from scheme and proxy.
    #[test]
    fn the_plan_has_what_there_is() {
        use Part::{Clock, Name, ProxyTls, Reply, Request, Tcp, Tls, Tunnel};
        for (target, proxy, start) in [
            ("http://127.0.0.1:1/", None, &[Tcp] as &[Part]),
            ("https://[::1]:1/", None, &[Tcp, Tls]),
            ("https://sentry.test/", None, &[Name, Tcp, Tls]),
            ("http://sentry.test/", Some("proxy.test"), &[Name, Tcp]),
            ("https://sentry.test/", Some("10.0.0.1:3128"), &[Tcp, Tunnel, Tls]),
            ("http://sentry.test/", Some("socks5h://10.0.0.1"), &[Tcp, Tunnel]),
            ("https://sentry.test/", Some("https://proxy.test"), &[Name, Tcp, ProxyTls, Tunnel, Tls]),
        ] {
            let plan = scene(target, proxy).plan();
            assert_eq!(plan, [start, &[Request, Reply, Clock]].concat(), "{target} {proxy:?}");
        }
    }
}
