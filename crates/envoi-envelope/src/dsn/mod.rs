//! The address of a project: see [`Dsn`].

mod error;
mod parse;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use http::{HeaderValue, Uri};

use crate::auth;

pub use error::{DsnError, DsnErrorKind};

/// A scheme that a DSN may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where none is given.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a project is and what it is entered with (AU-1):
/// `{scheme}://{public}[:{secret}]@{host}[:port]{path}/{project_id}`.
///
/// White space around it is trimmed, a slash at the end is ignored, empty parts of the path collapse, percent
/// escapes stay as they are written, IPv6 literals are allowed (decision 25). `Debug` and `Display` do not show the
/// secret (AU-7).
///
/// ```
/// use envoi_envelope::Dsn;
/// let dsn: Dsn = "https://public:secret@o42.ingest.de.sentry.io/prefix/4711".parse()?;
/// assert_eq!(dsn.envelope_url(), "https://o42.ingest.de.sentry.io/prefix/api/4711/envelope/");
/// assert_eq!((dsn.public_key(), dsn.project_id(), dsn.org_id()), ("public", "4711", Some("42")));
/// assert_eq!(dsn.to_string(), "https://public@o42.ingest.de.sentry.io/prefix/4711");
///
/// let error = "https://sentry.io/4711".parse::<Dsn>().unwrap_err();
/// assert_eq!(error.to_string(), "the DSN has no public key; expected {scheme}://{public key}@{host}/{project id}");
/// # Ok::<(), envoi_envelope::DsnError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Dsn {
    scheme: Scheme,
    public_key: String,
    secret_key: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
    project_id: String,
    envelope_url: Uri,
}

impl Dsn {
    /// Reads a DSN.
    ///
    /// # Errors
    /// The part that is malformed, without its secret. An empty text is an error here; see
    /// [`Dsn::parse_optional`] where it means that nothing is to be sent.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        parse::parse(text)
    }

    /// Reads a DSN where none means "do nothing" (AU-6).
    ///
    /// ```
    /// use envoi_envelope::Dsn;
    /// assert_eq!(Dsn::parse_optional("  ")?, None);
    /// assert!(Dsn::parse_optional("sentry.io").is_err());
    /// # Ok::<(), envoi_envelope::DsnError>(())
    /// ```
    ///
    /// # Errors
    /// If there is a text, but it is no DSN.
    pub fn parse_optional(text: &str) -> Result<Option<Self>, DsnError> {
        if text.trim().is_empty() { Ok(None) } else { Self::parse(text).map(Some) }
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Whether there is a secret.
    #[must_use]
    pub const fn has_secret(&self) -> bool {
        self.secret_key.is_some()
    }

    /// The host in lower case; an IPv6 literal with its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if one is given.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path before the project id: empty, or with a slash at its beginning and none at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The project id. Any text, usually a number.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// The id of the organisation, from a host of the form `o{digits}.ingest[.{region}].sentry.io` only.
    #[must_use]
    pub fn org_id(&self) -> Option<&str> {
        let (org, zone) = self.host.strip_suffix(".sentry.io")?.split_once('.')?;
        let digits = org.strip_prefix('o')?;
        let is_ingest = match zone.strip_prefix("ingest")? {
            "" => true,
            region => region.strip_prefix('.').is_some_and(|name| !name.is_empty() && !name.contains('.')),
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        (is_ingest && is_number).then_some(digits)
    }

    /// Where envelopes are posted to (AU-2).
    #[must_use]
    pub const fn envelope_url(&self) -> &Uri {
        &self.envelope_url
    }

    /// The value of `X-Sentry-Auth` (AU-3), marked as sensitive (AU-7). `client` is `{name}/{version}`; what a header
    /// cannot hold is replaced by `_`.
    ///
    /// ```
    /// use envoi_envelope::Dsn;
    /// let header = Dsn::parse("https://public:secret@sentry.io/1")?.auth_header("envoi/0.1.0");
    /// assert!(header.is_sensitive());
    /// assert_eq!(
    ///     header,
    ///     "Sentry sentry_version=7, sentry_client=envoi/0.1.0, sentry_key=public, sentry_secret=secret",
    /// );
    /// # Ok::<(), envoi_envelope::DsnError>(())
    /// ```
    #[must_use]
    pub fn auth_header(&self, client: &str) -> HeaderValue {
        auth::header(client, &self.public_key, self.secret_key.as_deref())
    }

    /// The same values as a query string, for where a header cannot be set (AU-4). Contains the secret, if there
    /// is one.
    ///
    /// ```
    /// use envoi_envelope::Dsn;
    /// let query = Dsn::parse("https://public@sentry.io/1")?.auth_query("my sdk/1");
    /// assert_eq!(query, "sentry_version=7&sentry_client=my_sdk%2F1&sentry_key=public");
    /// # Ok::<(), envoi_envelope::DsnError>(())
    /// ```
    #[must_use]
    pub fn auth_query(&self, client: &str) -> String {
        auth::query(client, &self.public_key, self.secret_key.as_deref())
    }

    /// The whole DSN, secret included. `Display` leaves the secret out.
    #[must_use]
    pub fn to_string_with_secret(&self) -> String {
        self.compose(self.secret_key.as_deref())
    }

    fn compose(&self, secret: Option<&str>) -> String {
        let Self { scheme, public_key, host, path, project_id, .. } = self;
        let secret = secret.map(|secret| format!(":{secret}")).unwrap_or_default();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{public_key}{secret}@{host}{port}{path}/{project_id}")
    }
}

impl FromStr for Dsn {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, DsnError> {
        Self::parse(text)
    }
}

/// Without the secret.
impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.compose(None))
    }
}

/// Without the secret; says whether there is one.
impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dsn").field(&self.compose(self.has_secret().then_some("[redacted]"))).finish()
    }
}
