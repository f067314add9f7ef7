use http::Uri;
use http::uri::Scheme;

use super::{InvalidProxy, ProxyConfig, ProxyServer};

type Names = [&'static str; 2];

const HTTPS: Names = ["https_proxy", "HTTPS_PROXY"];
const HTTP: Names = ["http_proxy", "HTTP_PROXY"];
const ALL: Names = ["all_proxy", "ALL_PROXY"];
const FOR_HTTPS: [Names; 3] = [HTTPS, HTTP, ALL];
const FOR_HTTP: [Names; 2] = [HTTP, ALL];
const NO: Names = ["no_proxy", "NO_PROXY"];

impl ProxyConfig {
    /// What the environment of this process says, read once, now. See [`ProxyConfig::from_vars`].
    ///
    /// # Errors
    /// [`InvalidProxy`] names the variable.
    pub fn from_env() -> Result<Self, InvalidProxy> {
        Self::from_vars(environment)
    }

    /// What an environment says; `var` gives the value of a variable.
    ///
    /// | target | first of these that is set |
    /// |---|---|
    /// | `https` | `https_proxy`, `http_proxy`, `all_proxy` |
    /// | `http` | `http_proxy`, `all_proxy` |
    ///
    /// Each in lower case, then in upper case; a variable that is empty or blank counts as not set, so an empty one
    /// never hides the other. Under CGI, known by `REQUEST_METHOD`, `HTTP_PROXY` is the request header `Proxy` of a
    /// stranger and is ignored. `no_proxy` likewise, see [`NoProxy`](super::NoProxy). Loopback is spared, see
    /// [`proxy_loopback`](Self::proxy_loopback).
    ///
    /// # Errors
    /// [`InvalidProxy`] for a value that some request would use and that cannot be read. To go on without would be to
    /// send past a proxy that somebody has asked for.
    ///
    /// ```
    /// use envoi_http::proxy::ProxyConfig;
    /// let config = ProxyConfig::from_vars(|name| (name == "http_proxy").then(|| "proxy.example:3128".into()))?;
    /// assert!(config.choose(&"https://o1.ingest.sentry.io/".parse().unwrap()).is_some());
    /// assert!(config.choose(&"http://127.0.0.1:9000/".parse().unwrap()).is_none());
    /// # Ok::<_, envoi_http::proxy::InvalidProxy>(())
    /// ```
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidProxy> {
        let https = read(&var, &FOR_HTTPS)?;
        let other = read(&var, &FOR_HTTP)?;
        Ok(Self::by_scheme(https, other).or_no_proxy_from_vars(var))
    }

    /// What the environment of this process says about one target, now. See [`ProxyConfig::from_vars_for`].
    ///
    /// # Errors
    /// [`InvalidProxy`] names the variable.
    pub fn from_env_for(target: &Uri) -> Result<Self, InvalidProxy> {
        Self::from_vars_for(target, environment)
    }

    /// What an environment says about one target, for stacks that have no other: a variable that does not concern it may
    /// hold what it likes.
    ///
    /// So a transport to a relay on this host comes up however wrong a proxy for the world outside is written.
    ///
    /// # Errors
    /// [`InvalidProxy`] for a value that requests to this target would use and that cannot be read.
    pub fn from_vars_for(target: &Uri, var: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidProxy> {
        let none = Self::by_scheme(None, None).or_no_proxy_from_vars(&var);
        if none.spares(target) {
            return Ok(none);
        }
        let is_https = target.scheme() == Some(&Scheme::HTTPS);
        let server = read(&var, if is_https { &FOR_HTTPS } else { &FOR_HTTP })?;
        Ok(Self::by_scheme(server.clone(), server).or_no_proxy_from_vars(var))
    }

    /// Takes `no_proxy` from the environment of this process, now, unless [`no_proxy`](Self::no_proxy) was said.
    ///
    /// For a proxy that was given by name: the hosts that the environment spares are spared then, too (TR-3). To have
    /// none spared say `.no_proxy("")`.
    #[must_use]
    pub fn or_no_proxy_from_env(self) -> Self {
        self.or_no_proxy_from_vars(environment)
    }

    /// The same with another environment; `var` gives the value of a variable.
    #[must_use]
    pub fn or_no_proxy_from_vars(self, var: impl Fn(&str) -> Option<String>) -> Self {
        if self.has_no_proxy() {
            return self;
        }
        match NO.iter().find_map(|name| set(&var, name)) {
            Some(list) => self.no_proxy(&list),
            None => self,
        }
    }
}

/// The proxy of the first variable that is set.
fn read(
    var: &impl Fn(&str) -> Option<String>,
    choices: &[Names],
) -> Result<Option<ProxyServer>, InvalidProxy> {
    let cgi = var("REQUEST_METHOD").is_some();
    let mut names = choices.iter().flatten().filter(|name| !(cgi && **name == "HTTP_PROXY"));
    match names.find_map(|name| Some((*name, set(var, name)?))) {
        None => Ok(None),
        Some((name, url)) => ProxyServer::parse(&url).map(Some).map_err(|error| error.in_variable(name)),
    }
}

/// The value of a variable that is set and not blank.
fn set(var: &impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    var(name).filter(|value| !value.trim().is_empty())
}

/// A value that is no Unicode cannot be a URL; what is left of it says so in the error.
fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}
