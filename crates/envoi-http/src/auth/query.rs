use std::fmt::{self, Write};
use std::sync::Arc;

use envoi_core::{Fault, Kind};
use http::Uri;
use http::request::Parts;
use http::uri::PathAndQuery;

use super::{Authorize, InvalidCredential};

/// Credentials in the query string, for places where a header cannot be set (AU-4).
///
/// Addresses end up in more logs than headers do, so prefer [`HeaderAuth`](super::HeaderAuth).
///
/// ```
/// use envoi_http::{Authorize, QueryAuth};
/// let auth = QueryAuth::new([("sentry_version", "7"), ("sentry_key", "public")]);
/// let (mut parts, ()) = http::Request::post("http://localhost/api/1/envelope/").body(()).unwrap().into_parts();
/// auth.authorize(&mut parts).unwrap();
/// assert_eq!(parts.uri, "http://localhost/api/1/envelope/?sentry_version=7&sentry_key=public");
/// assert_eq!(format!("{auth:?}"), "QueryAuth { .. }");
/// ```
#[derive(Clone)]
pub struct QueryAuth {
    query: Arc<str>,
}

impl QueryAuth {
    /// Appends names and values, which are percent-encoded, to the query of every request.
    #[must_use]
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut query = String::new();
        for (name, value) in pairs {
            if !query.is_empty() {
                query.push('&');
            }
            percent_encode(&mut query, name);
            query.push('=');
            percent_encode(&mut query, value);
        }
        Self { query: query.into() }
    }

    /// Appends a query string that is encoded already, with or without the `?`, such as `Dsn::auth_query` gives it.
    ///
    /// ```
    /// use envoi_http::{AuthLayer, QueryAuth};
    /// let layer = AuthLayer::new(QueryAuth::encoded("sentry_version=7&sentry_key=public")?);
    /// # let _ = layer;
    /// # Ok::<_, envoi_http::InvalidCredential>(())
    /// ```
    ///
    /// # Errors
    /// When it has a character that a query string cannot have (RFC 3986 §3.4). The query is not part of the error.
    pub fn encoded(query: &str) -> Result<Self, InvalidCredential> {
        let query = query.strip_prefix('?').unwrap_or(query);
        match query.bytes().position(|byte| !is_query_byte(byte)) {
            Some(offset) => Err(InvalidCredential::in_query(offset)),
            None => Ok(Self { query: query.into() }),
        }
    }

    fn append(&self, uri: &Uri) -> Result<Uri, http::Error> {
        let query = &self.query;
        let whole = match (uri.path(), uri.query().filter(|own| !own.is_empty())) {
            (path, Some(own)) => format!("{path}?{own}&{query}"),
            (path, None) => format!("{path}?{query}"),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(whole)?);
        Ok(Uri::from_parts(parts)?)
    }
}

impl Authorize for QueryAuth {
    fn authorize(&self, parts: &mut Parts) -> Result<(), Fault> {
        if !self.query.is_empty() {
            // The error of `http` does not repeat the address.
            parts.uri = self.append(&parts.uri).map_err(|error| {
                Fault::caused_by(Kind::Encode, error).with_message("the address with credentials is invalid")
            })?;
        }
        Ok(())
    }
}

impl fmt::Debug for QueryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryAuth").finish_non_exhaustive()
    }
}

/// RFC 3986 §3.4: what may stand in a query string.
fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

/// RFC 3986 §2.3: everything that is not unreserved is encoded.
fn percent_encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
