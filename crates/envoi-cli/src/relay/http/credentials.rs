//! Whose envelope it is.

use envoi::Dsn;
use envoi::envelope::AuthHeader;
use http::{HeaderMap, Uri};

use super::Refusal;

/// The key that a request was made with: from the header, else from the query string. Decision 26.
///
/// # Errors
/// If there is something, but it cannot be read.
pub(super) fn of_request(headers: &HeaderMap, uri: &Uri) -> Result<Option<String>, Refusal> {
    if let Some(value) = headers.get("x-sentry-auth") {
        let auth = AuthHeader::parse(&String::from_utf8_lossy(value.as_bytes())).map_err(Refusal::Auth)?;
        return Ok(Some(auth.key().to_owned()));
    }
    match uri.query().filter(|query| query.contains("sentry_key=")) {
        Some(query) => {
            AuthHeader::from_query(query).map(|auth| Some(auth.key().to_owned())).map_err(Refusal::Auth)
        }
        None => Ok(None),
    }
}

/// The key that counts: that of the request, else that of the DSN in the envelope header.
///
/// # Errors
/// If there is none.
pub(super) fn key(of_request: Option<String>, header: Option<&Dsn>) -> Result<String, Refusal> {
    of_request.or_else(|| header.map(|dsn| dsn.public_key().to_owned())).ok_or(Refusal::MissingAuth)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decision 26, AU-4: header before query before envelope.
    #[test]
    fn the_header_goes_before_the_query_before_the_envelope() {
        let mut headers = HeaderMap::new();
        let query: Uri = "/api/1/envelope/?sentry_version=7&sentry_key=query".parse().unwrap();
        let plain: Uri = "/api/1/envelope/".parse().unwrap();
        let dsn = Dsn::parse("http://envelope@h/1").unwrap();
        assert_eq!(of_request(&headers, &plain).unwrap(), None);
        assert_eq!(of_request(&headers, &query).unwrap().as_deref(), Some("query"));
        headers.insert("x-sentry-auth", "Sentry sentry_key=header".parse().unwrap());
        assert_eq!(of_request(&headers, &query).unwrap().as_deref(), Some("header"));
        headers.insert("x-sentry-auth", "Basic abc".parse().unwrap());
        assert!(matches!(of_request(&headers, &query), Err(Refusal::Auth(_))));
        assert_eq!(key(Some("a".to_owned()), Some(&dsn)).unwrap(), "a");
        assert_eq!(key(None, Some(&dsn)).unwrap(), "envelope");
        assert!(matches!(key(None, None), Err(Refusal::MissingAuth)));
    }
}
