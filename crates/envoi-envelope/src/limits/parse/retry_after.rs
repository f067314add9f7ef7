use std::time::{Duration, SystemTime};

use super::delay;

/// The delay that a `Retry-After` header asks for: seconds, with a fraction or without, or an HTTP date, which is
/// measured from `base` (decision 6). Nought for a date in the past. `None` if it is neither.
///
/// ```
/// use envoi_envelope::limits::parse::retry_after;
/// use std::time::{Duration, SystemTime};
/// let base = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
/// assert_eq!(retry_after(b"1.5", base), Some(Duration::from_millis(1500)));
/// assert_eq!(retry_after(b"Sun, 06 Nov 1994 08:50:37 GMT", base), Some(Duration::from_secs(60)));
/// assert_eq!(retry_after(b"10 Seconds", base), None);
/// ```
#[must_use]
pub fn retry_after(value: &[u8], base: SystemTime) -> Option<Duration> {
    delay(value).or_else(|| {
        let date = httpdate::parse_http_date(std::str::from_utf8(value.trim_ascii()).ok()?).ok()?;
        Some(date.duration_since(base).unwrap_or_default())
    })
}
