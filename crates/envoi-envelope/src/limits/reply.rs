use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};

use super::LimitOptions;
use super::parse::{Limit, rate_limits, retry_after};

/// The header that lists limits: `X-Sentry-Rate-Limits`.
pub const RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");

/// How long everything is limited after a 429 that does not say (RL-2).
const UNSAID: Duration = Duration::from_secs(60);

/// What a reply says about limits (RL-1, RL-2), at most one for everything and one per category.
///
/// 1. A present `X-Sentry-Rate-Limits` counts, whatever the status, even if nothing in it is usable. Only on 429 a
///    blank one is as good as absent (decision 1).
/// 2. Otherwise, on 429 (with the option also on 503), `Retry-After` limits everything. A date in it is measured from
///    the reply's own `Date`; without one, from `wall`.
/// 3. On 429 without a readable one, everything is limited for 60 seconds.
///
/// Durations are cut to the ceiling of `options`. Does not allocate unless there is a limit.
#[must_use]
pub fn limits_of_reply(
    status: StatusCode,
    headers: &HeaderMap,
    wall: SystemTime,
    options: &LimitOptions,
) -> Vec<Limit> {
    let mut limits = said(status, headers, wall, options);
    for limit in &mut limits {
        limit.duration = options.cut(limit.duration);
    }
    limits.retain(|limit| !limit.duration.is_zero());
    limits
}

fn said(status: StatusCode, headers: &HeaderMap, wall: SystemTime, options: &LimitOptions) -> Vec<Limit> {
    let refused = status == StatusCode::TOO_MANY_REQUESTS;
    let lines = || headers.get_all(&RATE_LIMITS).iter().map(http::HeaderValue::as_bytes);
    let blank = || lines().all(|line| line.trim_ascii().is_empty());
    if headers.contains_key(&RATE_LIMITS) && !(refused && blank()) {
        return rate_limits(lines());
    }
    if !options.obeys_retry_after(status) {
        return Vec::new();
    }
    let delay = longest_retry_after(headers, wall).or(refused.then_some(UNSAID));
    delay.map(|duration| Limit { category: None, duration }).into_iter().collect()
}

fn longest_retry_after(headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let base = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(wall);
    headers.get_all(RETRY_AFTER).iter().filter_map(|value| retry_after(value.as_bytes(), base)).max()
}
