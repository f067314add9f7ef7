use std::fmt;

use envoi_core::Fault;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderName, HeaderValue};

use super::Authorize;

/// Credentials in a header.
///
/// The value is marked sensitive, so that `Debug`, logs and HPACK tables of all layers below leave it out (AU-7).
///
/// ```
/// use envoi_http::HeaderAuth;
/// use http::HeaderName;
/// let auth = HeaderAuth::text(
///     HeaderName::from_static("x-sentry-auth"),
///     "Sentry sentry_version=7, sentry_client=envoi/0.1, sentry_key=public",
/// ).unwrap();
/// assert_eq!(format!("{auth:?}"), r#"HeaderAuth { name: "x-sentry-auth", value: Sensitive }"#);
/// ```
#[derive(Clone, Debug)]
pub struct HeaderAuth {
    name: HeaderName,
    value: HeaderValue,
}

impl HeaderAuth {
    /// A header with a ready value.
    #[must_use]
    pub fn new(name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        Self { name, value }
    }

    /// A header with a value from text.
    ///
    /// # Errors
    /// When the text holds what a header cannot carry, such as a line break.
    pub fn text(name: HeaderName, value: &str) -> Result<Self, InvalidCredential> {
        match HeaderValue::from_str(value) {
            Ok(value) => Ok(Self::new(name, value)),
            Err(_) => Err(InvalidCredential::in_header(name, bad_byte(value))),
        }
    }
}

impl Authorize for HeaderAuth {
    fn authorize(&self, parts: &mut Parts) -> Result<(), Fault> {
        parts.headers.insert(self.name.clone(), self.value.clone());
        Ok(())
    }
}

/// `Authorization: Bearer <token>` (AU-8, RFC 6750).
///
/// # Errors
/// When the token holds what a header cannot carry; most often the line break at the end of a token file. The token
/// is not part of the error.
///
/// ```
/// use envoi_http::{AuthLayer, bearer};
/// let layer = AuthLayer::new(bearer("s3cret")?);
/// assert!(bearer("s3cret\n").unwrap_err().to_string().contains("offset 6"));
/// # Ok::<_, envoi_http::InvalidCredential>(())
/// ```
pub fn bearer(token: &str) -> Result<HeaderAuth, InvalidCredential> {
    let invalid = |offset| InvalidCredential::in_header(AUTHORIZATION, offset);
    match HeaderValue::from_str(&format!("Bearer {token}")) {
        Ok(_) if token.trim().is_empty() => Err(invalid(None)),
        Ok(value) => Ok(HeaderAuth::new(AUTHORIZATION, value)),
        Err(_) => Err(invalid(bad_byte(token))),
    }
}

/// The first byte that a header value cannot carry (RFC 9110 §5.5).
fn bad_byte(text: &str) -> Option<usize> {
    text.bytes().position(|byte| (byte < 32 && byte != b'\t') || byte == 127)
}

/// A credential that its header, or the query string, cannot carry. The credential itself is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCredential {
    /// `None` is the query string.
    header: Option<HeaderName>,
    /// `None` is an empty credential.
    offset: Option<usize>,
}

impl InvalidCredential {
    const fn in_header(name: HeaderName, offset: Option<usize>) -> Self {
        Self { header: Some(name), offset }
    }

    pub(super) const fn in_query(offset: usize) -> Self {
        Self { header: None, offset: Some(offset) }
    }
}

impl fmt::Display for InvalidCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.header, self.offset) {
            (Some(name), Some(offset)) => write!(
                f,
                "the credential for the {name} header holds a control character at offset {offset}, remove it"
            ),
            (Some(name), None) => write!(f, "the credential for the {name} header is empty"),
            (None, offset) => write!(
                f,
                "the query string with credentials has a character at offset {} that must be percent-encoded",
                offset.unwrap_or(0)
            ),
        }
    }
}

impl std::error::Error for InvalidCredential {}
