//! The way to the upstream, where the file says something about it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use envoi::Way;
use envoi::way::{CaBundle, ProxyConfig};
use serde::de::{Deserialize, Deserializer};

use super::units::Parsed;
use crate::error::{CliError, chain};

/// A proxy as it is written. It may have a password, which is shown nowhere (AU-7).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ProxyUrl(String);

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WayTable {
    /// Authorities that are believed besides those of the machine.
    pub(crate) ca: Option<PathBuf>,
    /// In the place of those that the environment names.
    pub(crate) proxy: Option<ProxyUrl>,
    pub(crate) no_proxy: Option<String>,
}

impl WayTable {
    /// The way; `None` if nothing is said, which leaves it to the machine and its environment.
    ///
    /// # Errors
    /// If a file is not what it should be, or what is said makes no sense.
    pub(crate) fn resolve(&self) -> Result<Option<Way>, CliError> {
        if self.no_proxy.is_some() && self.proxy.is_none() {
            return Err(CliError::usage(
                "forward.no_proxy is for forward.proxy; besides the proxies of the environment set the variable \
                 no_proxy",
            ));
        }
        if *self == Self::default() {
            return Ok(None);
        }
        let mut way = Way::new();
        if let Some(path) = &self.ca {
            let bundle = CaBundle::from_file(path)
                .map_err(|error| CliError::usage(format_args!("forward.ca: {}", chain(&error))))?;
            way = way.map_tls(|tls| tls.ca(bundle));
        }
        if let Some(ProxyUrl(url)) = &self.proxy {
            let proxy = ProxyConfig::new(url)
                .map_err(|error| CliError::usage(format_args!("forward.proxy: {}", chain(&error))))?;
            let proxy = match &self.no_proxy {
                Some(list) => proxy.no_proxy(list),
                None => proxy.or_no_proxy_from_env(),
            };
            if let ([entry, ..], Some(_)) = (proxy.unreadable_no_proxy(), &self.no_proxy) {
                return Err(CliError::usage(format_args!(
                    "forward.no_proxy: `{entry}` is no name, .domain, address, network, host:port or *, separate them \
                     by commas"
                )));
            }
            way = way.proxy(proxy);
        }
        Ok(Some(way))
    }
}

impl FromStr for ProxyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ProxyConfig::new(text).map(|_| Self(text.to_owned())).map_err(|error| chain(&error))
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyUrl(***)")
    }
}

impl<'de> Deserialize<'de> for ProxyUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed(str::parse, "the URL of a proxy in quotes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AU-7: a proxy may have a password.
    #[test]
    fn a_password_is_shown_nowhere() {
        let proxy: ProxyUrl = "http://user:topsecret@proxy:3128".parse().unwrap();
        let table = WayTable { proxy: Some(proxy), ..WayTable::default() };
        let way = table.resolve().unwrap();
        assert!(way.is_some());
        assert!(!format!("{table:?} {way:?}").contains("topsecret"));
        for bad in ["ftp://user:topsecret@proxy", "http://user:topsecret@", "http://user:topsecret@h:x"] {
            let error = bad.parse::<ProxyUrl>().unwrap_err();
            assert!(!error.contains("topsecret"), "{error}");
        }
    }

    /// TR-3, TR-5: what cannot be used is told before anything is accepted.
    #[test]
    fn what_cannot_be_used_is_told_at_once() {
        assert!(WayTable::default().resolve().unwrap().is_none());
        let error = |table: WayTable| table.resolve().unwrap_err().to_string();
        let missing = WayTable { ca: Some("/nowhere/ca.pem".into()), ..WayTable::default() };
        assert!(error(missing).contains("/nowhere/ca.pem"));
        let alone = WayTable { no_proxy: Some("h".to_owned()), ..WayTable::default() };
        assert!(error(alone).contains("forward.proxy"));
        let proxy = "socks5://proxy".parse().ok();
        let strange = WayTable { proxy, no_proxy: Some("a b/c".to_owned()), ..WayTable::default() };
        assert!(error(strange).contains("forward.no_proxy"));
    }
}
