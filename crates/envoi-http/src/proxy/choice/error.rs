use std::fmt;

use super::ProxyScheme;

/// A proxy URL that cannot be used. The credentials in it are not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidProxy {
    why: Why,
    variable: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Empty,
    /// White space or a control character, at an offset.
    Blank(usize),
    Scheme(String),
    NotBuiltIn {
        scheme: ProxyScheme,
        feature: &'static str,
    },
    /// The host as written, where it cannot be part of a password.
    Host(Option<String>),
    Encoding,
    ColonInUser,
    Socks4Password,
    Socks5Length,
}

impl Why {
    /// The name of a scheme, as long as it can be one and not half a password.
    pub(super) fn scheme(name: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        Self::Scheme(if name.len() <= 16 && name.bytes().all(plain) {
            name.to_owned()
        } else {
            "…".to_owned()
        })
    }
}

impl InvalidProxy {
    pub(super) const fn new(why: Why) -> Self {
        Self { why, variable: None }
    }

    pub(super) const fn in_variable(mut self, name: &'static str) -> Self {
        self.variable = Some(name);
        self
    }

    /// The environment variable that holds it, if it came from one.
    #[must_use]
    pub const fn variable(&self) -> Option<&'static str> {
        self.variable
    }
}

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy URL")?;
        if let Some(name) = self.variable {
            write!(f, " in the environment variable {name}")?;
        }
        match &self.why {
            Why::Empty => f.write_str(" is empty, leave it out to send without a proxy"),
            Why::Blank(offset) => {
                write!(f, " holds white space or a control character at offset {offset}, remove or percent-encode it")
            }
            Why::Scheme(name) => write!(
                f,
                " has the scheme `{name}`, use one of http, https, socks4, socks4a, socks5 and socks5h"
            ),
            Why::NotBuiltIn { scheme, feature } => write!(
                f,
                " has the scheme `{}`, which is not built in, enable the feature `{feature}` of envoi-http",
                scheme.as_str()
            ),
            Why::Host(Some(text)) => {
                write!(f, " has no usable host and port in {text:?}, write it as scheme://user:password@host:port")
            }
            Why::Host(None) => {
                f.write_str(" has no usable host and port, write it as scheme://user:password@host:port")
            }
            Why::Encoding => f.write_str(
                " has a user or password with a reserved character, percent-encode it (`/` is %2F, `%` is %25)",
            ),
            Why::ColonInUser => f.write_str(" has a colon in the user, which Basic credentials cannot carry"),
            Why::Socks4Password => {
                f.write_str(" has a password, which SOCKS4 cannot carry, leave it out or use socks5h")
            }
            Why::Socks5Length => {
                f.write_str(" has an empty user, or a user or password above 255 bytes, which SOCKS5 cannot carry")
            }
        }
    }
}

impl std::error::Error for InvalidProxy {}
