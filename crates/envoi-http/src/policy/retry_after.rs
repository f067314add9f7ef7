use std::time::{Duration, SystemTime};

use envoi_core::{Reply, parse_delay};
use http::header::{DATE, RETRY_AFTER};

/// The longest wait that is believed.
const CEILING: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the reply's `Retry-After` asks to wait (RFC 9110 §10.2.3; decision 6).
///
/// Seconds may be an integer or a fraction, which is rounded up to the millisecond. A date is measured against the
/// reply's own `Date` header, so that a wrong local clock does no harm, and against `wall` if there is none. A date
/// in the past means no wait; what is longer than 24 h is cut to 24 h. Anything else counts as absent.
///
/// ```
/// use envoi_core::Reply;
/// use http::{HeaderMap, HeaderValue, StatusCode};
/// use std::time::{Duration, SystemTime};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("retry-after", HeaderValue::from_static("1.5"));
/// let reply = Reply::new(StatusCode::SERVICE_UNAVAILABLE).with_headers(headers);
/// assert_eq!(envoi_http::retry_after(&reply, SystemTime::UNIX_EPOCH), Some(Duration::from_millis(1500)));
/// ```
#[must_use]
pub fn retry_after(reply: &Reply, wall: SystemTime) -> Option<Duration> {
    let text = reply.header(RETRY_AFTER.as_str())?.trim();
    let wait = parse_delay(text.as_bytes()).or_else(|| {
        let until = httpdate::parse_http_date(text).ok()?;
        let from = reply.header(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date.trim()).ok());
        Some(until.duration_since(from.unwrap_or(wall)).unwrap_or(Duration::ZERO))
    })?;
    Some(wait.min(CEILING))
}
