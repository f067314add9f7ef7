use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use super::PROTOCOL_VERSION;

/// The credentials that a client sent, as a server reads them: from `X-Sentry-Auth` or from the query string.
///
/// A missing version is 7, versions up to 7 are accepted, values may contain `=` (decision 26). What is not known is
/// ignored, also a `sentry_timestamp`. `Debug` does not show the secret (AU-7).
///
/// ```
/// use envoi_envelope::AuthHeader;
/// let auth = AuthHeader::parse("Sentry sentry_version=7, sentry_client=sentry.rust/0.49.5, sentry_key=abc")?;
/// assert_eq!((auth.key(), auth.client()), ("abc", Some("sentry.rust/0.49.5")));
/// assert_eq!(AuthHeader::from_query("sentry_key=abc&x=1")?.key(), "abc");
/// # Ok::<(), envoi_envelope::AuthError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AuthHeader {
    version: u16,
    key: String,
    client: Option<String>,
    secret: Option<String>,
}

/// Why credentials cannot be read. Never shows a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthError {
    /// The header does not begin with `Sentry`.
    MissingScheme,
    /// There is no `sentry_key`, or it is empty.
    MissingKey,
    /// A part of the header has no `=`.
    Malformed,
    /// A known name occurs twice.
    Duplicate(
        /// The name.
        &'static str,
    ),
    /// `sentry_version` is not a number.
    InvalidVersion,
    /// `sentry_version` is above 7.
    UnsupportedVersion(
        /// The version.
        u16,
    ),
    /// A percent escape in the query string is broken, or what it stands for is not UTF-8.
    InvalidEscape,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingScheme => f.write_str("the auth header does not begin with \"Sentry \""),
            Self::MissingKey => f.write_str("the credentials have no sentry_key"),
            Self::Malformed => f.write_str("a part of the auth header is not name=value"),
            Self::Duplicate(name) => write!(f, "{name} occurs twice"),
            Self::InvalidVersion => f.write_str("sentry_version is not a number"),
            Self::UnsupportedVersion(version) => {
                write!(f, "sentry_version is {version}; at most {PROTOCOL_VERSION} is supported")
            }
            Self::InvalidEscape => f.write_str("the query string has a percent escape that cannot be read"),
        }
    }
}

impl Error for AuthError {}

impl AuthHeader {
    /// Reads the value of `X-Sentry-Auth`.
    ///
    /// # Errors
    /// If it is not one, has no key, or speaks a newer version.
    pub fn parse(value: &str) -> Result<Self, AuthError> {
        let value = value.trim();
        let rest = match (value.get(..6), value.get(6..)) {
            (Some(scheme), Some(rest)) if scheme.eq_ignore_ascii_case("sentry") => rest,
            _ => return Err(AuthError::MissingScheme),
        };
        if !rest.starts_with([' ', '\t']) {
            return Err(if rest.is_empty() { AuthError::MissingKey } else { AuthError::MissingScheme });
        }
        let mut found = Found::default();
        for part in rest.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or(AuthError::Malformed)?;
            found.take(name.trim(), Cow::Borrowed(value.trim()))?;
        }
        found.finish()
    }

    /// Reads the same values from a query string (AU-4), with or without the `?`. Other parameters are ignored.
    ///
    /// # Errors
    /// As [`AuthHeader::parse`], and if an escape cannot be read.
    pub fn from_query(query: &str) -> Result<Self, AuthError> {
        let mut found = Found::default();
        for part in query.strip_prefix('?').unwrap_or(query).split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if name.starts_with("sentry_") {
                found.take(name, unescape(value)?)?;
            }
        }
        found.finish()
    }

    /// The version of the protocol.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Name and version of the client, if it says.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The secret, if one was sent.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }
}

impl fmt::Debug for AuthHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthHeader")
            .field("version", &self.version)
            .field("key", &self.key)
            .field("client", &self.client)
            .field("secret", &self.secret.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}

#[derive(Default)]
struct Found<'a> {
    version: Option<Cow<'a, str>>,
    key: Option<Cow<'a, str>>,
    client: Option<Cow<'a, str>>,
    secret: Option<Cow<'a, str>>,
}

impl<'a> Found<'a> {
    fn take(&mut self, name: &str, value: Cow<'a, str>) -> Result<(), AuthError> {
        let (slot, name) = match name {
            "sentry_version" => (&mut self.version, "sentry_version"),
            "sentry_key" => (&mut self.key, "sentry_key"),
            "sentry_client" => (&mut self.client, "sentry_client"),
            "sentry_secret" => (&mut self.secret, "sentry_secret"),
            _ => return Ok(()),
        };
        if slot.replace(value).is_some() { Err(AuthError::Duplicate(name)) } else { Ok(()) }
    }

    fn finish(self) -> Result<AuthHeader, AuthError> {
        let filled = |value: Option<Cow<'_, str>>| value.filter(|v| !v.is_empty()).map(Cow::into_owned);
        let version = match &self.version {
            None => PROTOCOL_VERSION,
            Some(text) if !text.bytes().all(|digit| digit.is_ascii_digit()) => {
                return Err(AuthError::InvalidVersion);
            }
            Some(text) => text.parse().map_err(|_| AuthError::InvalidVersion)?,
        };
        if version > PROTOCOL_VERSION {
            return Err(AuthError::UnsupportedVersion(version));
        }
        let key = filled(self.key).ok_or(AuthError::MissingKey)?;
        Ok(AuthHeader { version, key, client: filled(self.client), secret: filled(self.secret) })
    }
}

/// Undoes the escapes of a query string.
fn unescape(text: &str) -> Result<Cow<'_, str>, AuthError> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let mut result = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        result.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit(), digit());
                let value = high.zip(low).map(|(high, low)| high * 16 + low);
                value.and_then(|value| u8::try_from(value).ok()).ok_or(AuthError::InvalidEscape)?
            }
            other => other,
        });
    }
    String::from_utf8(result).map(Cow::Owned).map_err(|_| AuthError::InvalidEscape)
}
