//! Which proxy, and who says so.

use std::cell::RefCell;

use envoi::http::proxy::{InvalidProxy, NoProxy};
use envoi::way::ProxyConfig;
use http::Uri;

/// A choice of proxies for one target.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// For the way.
    pub(crate) config: ProxyConfig,
    /// Who says so.
    pub(crate) why: Why,
}

/// Who decided on a proxy, or on none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The option `--proxy`.
    Option,
    /// This variable.
    Variable(String),
    /// None: the option `--no-proxy` lists the host.
    NoProxyOption,
    /// None: this variable lists the host.
    NoProxyVariable(String),
    /// None: the proxies of the environment are not for this machine.
    Loopback,
    /// None: nobody names one.
    Unset,
}

impl Choice {
    /// The rules are those of the library (TR-3); here it is noted which variables it asks for. An option stands for the
    /// variables that it replaces.
    pub(crate) fn make(
        proxy: Option<&str>,
        no_proxy: Option<&str>,
        target: &Uri,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidProxy> {
        let asked: RefCell<Vec<(String, String)>> = RefCell::default();
        let var = |name: &str| {
            let value = match no_proxy {
                Some(list) if spares(name) => Some(list.to_owned()),
                _ => environment(name),
            };
            asked.borrow_mut().push((name.to_owned(), value.clone().unwrap_or_default()));
            value
        };
        let config = match proxy {
            Some(url) => ProxyConfig::new(url)?.or_no_proxy_from_vars(var),
            None => ProxyConfig::from_vars_for(target, var)?,
        };
        // A list that is empty spares nobody, whatever the environment says.
        let config = match no_proxy {
            Some(list) => config.no_proxy(list),
            None => config,
        };
        let asked = asked.into_inner();
        let first = |wanted: fn(&str) -> bool| {
            asked.iter().find(|(name, value)| wanted(name) && !value.trim().is_empty())
        };
        let listed = first(spares).filter(|(_, list)| NoProxy::parse(list).matches(target));
        let why = match (listed, first(leads)) {
            (Some(_), _) if no_proxy.is_some() => Why::NoProxyOption,
            (Some((name, _)), _) => Why::NoProxyVariable(name.clone()),
            _ if proxy.is_some() => Why::Option,
            (None, Some((name, _))) => Why::Variable(name.clone()),
            // It did not even ask.
            (None, None) if !asked.iter().any(|(name, _)| leads(name)) => Why::Loopback,
            (None, None) => Why::Unset,
        };
        Ok(Self { config, why })
    }

    /// Which proxy it is for a target, and why, in words without credentials.
    pub(crate) fn words(&self, target: &Uri) -> String {
        let server = self.config.choose(target).map_or_else(|| "none".to_owned(), ToString::to_string);
        format!("{server}: {}", self.why.words())
    }
}

impl Why {
    /// Where whoever wants another proxy has to write it.
    pub(crate) fn place(&self) -> &str {
        match self {
            Self::Variable(name) => name,
            _ => "--proxy",
        }
    }

    /// In words, for whoever wonders.
    fn words(&self) -> String {
        match self {
            Self::Option => "--proxy says so".to_owned(),
            Self::Variable(name) => format!("the environment variable {name} says so"),
            Self::NoProxyOption => "--no-proxy names the host".to_owned(),
            Self::NoProxyVariable(name) => format!("the environment variable {name} names the host"),
            Self::Loopback => "this machine is reached without those of the environment".to_owned(),
            Self::Unset => "neither --proxy nor the environment names one".to_owned(),
        }
    }
}

fn spares(name: &str) -> bool {
    name.eq_ignore_ascii_case("no_proxy")
}

fn leads(name: &str) -> bool {
    !spares(name) && name.to_ascii_lowercase().ends_with("_proxy")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(options: [Option<&str>; 2], target: &str, vars: &[(&str, &str)]) -> (Option<String>, Why) {
        let target: Uri = target.parse().unwrap();
        let environment =
            |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let [proxy, no_proxy] = options;
        let choice = Choice::make(proxy, no_proxy, &target, environment).unwrap();
        (choice.config.choose(&target).map(ToString::to_string), choice.why)
    }

    /// TR-3: what is said to have decided is what decided.
    #[test]
    fn the_reason_belongs_to_the_choice() {
        const FAR: &str = "https://sentry.example/";
        const NEAR: &str = "http://127.0.0.1:9/";
        let all =
            [("http_proxy", "one"), ("https_proxy", " "), ("HTTPS_PROXY", "two"), ("all_proxy", "three")];
        let spared = [("http_proxy", "one"), ("NO_PROXY", ".example")];
        let variable = |name: &str| Why::Variable(name.to_owned());
        let none = [None, None];
        type Vars<'a> = &'a [(&'a str, &'a str)];
        type Row<'a> = ([Option<&'a str>; 2], &'a str, Vars<'a>, Option<&'a str>, Why);
        let table: [Row<'_>; 13] = [
            (none, FAR, &[], None, Why::Unset),
            (none, FAR, &[("no_proxy", "other")], None, Why::Unset),
            (none, FAR, &all, Some("http://two:80"), variable("HTTPS_PROXY")),
            (none, "http://sentry.example/", &all, Some("http://one:80"), variable("http_proxy")),
            (none, FAR, &[("ALL_PROXY", "socks5h://x")], Some("socks5h://x:1080"), variable("ALL_PROXY")),
            (none, FAR, &spared, None, Why::NoProxyVariable("NO_PROXY".to_owned())),
            (none, NEAR, &all, None, Why::Loopback),
            ([Some("four"), None], FAR, &all, Some("http://four:80"), Why::Option),
            ([Some("four"), None], NEAR, &all, Some("http://four:80"), Why::Option),
            ([Some("four"), None], FAR, &spared, None, Why::NoProxyVariable("NO_PROXY".to_owned())),
            ([Some("four"), Some("")], FAR, &spared, Some("http://four:80"), Why::Option),
            ([None, Some("")], FAR, &spared, Some("http://one:80"), variable("http_proxy")),
            ([None, Some("sentry.example")], FAR, &all, None, Why::NoProxyOption),
        ];
        for (options, target, vars, server, why) in table {
            assert_eq!(
                choose(options, target, vars),
                (server.map(str::to_owned), why),
                "{options:?} {target} {vars:?}"
            );
        }
    }

    /// TR-3: the choice holds in the preset, too, which asks the environment of the process for what was not said.
    #[test]
    fn an_empty_list_is_said() {
        let target: Uri = "https://sentry.example/".parse().unwrap();
        let config = Choice::make(Some("four"), Some(""), &target, |_| None).unwrap().config;
        let config = config.or_no_proxy_from_vars(|name| (name == "no_proxy").then(|| "*".to_owned()));
        assert!(config.choose(&target).is_some());
    }
}
