use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;

use super::{brief, wall};
use crate::limits::{LimitOptions, RATE_LIMITS, limits_of_reply};

const LIST: &str = "X-Sentry-Rate-Limits";
const AFTER: &str = "Retry-After";

fn said_with(options: LimitOptions, status: u16, lines: &[(&str, &str)]) -> String {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    brief(&limits_of_reply(StatusCode::from_u16(status).unwrap(), &headers, wall(), &options))
}

fn said(status: u16, lines: &[(&str, &str)]) -> String {
    said_with(LimitOptions::new(), status, lines)
}

/// RL-1: on every response, whatever its status.
#[test]
fn the_list_counts_with_any_status() {
    for status in [200, 204, 301, 400, 403, 413, 429, 500, 503] {
        assert_eq!(said(status, &[(LIST, "60:error:key")]), "error 60000", "{status}");
    }
}

/// RL-1, decision 1: a present list wins over `Retry-After`, even when nothing in it is usable.
#[test]
fn the_list_wins_over_retry_after() {
    for list in ["60:error", "0:error", "60:teapot", "garbage", "-1::", ",", "60:default", ":"] {
        let limits = if list == "60:error" { "error 60000" } else { "" };
        assert_eq!(said(429, &[(LIST, list), (AFTER, "120")]), limits, "{list}");
        assert_eq!(said(429, &[(LIST, list)]), limits, "{list}");
    }
}

/// Decision 1: on 429 only, a blank list is as good as absent.
#[test]
fn a_blank_list_counts_as_absent_on_429_only() {
    assert_eq!(said(429, &[(LIST, ""), (AFTER, "120")]), "* 120000");
    assert_eq!(said(429, &[(LIST, " \t"), (LIST, "")]), "* 60000");
    assert_eq!(said(429, &[(LIST, ""), (LIST, "5:error"), (AFTER, "120")]), "error 5000");
    assert_eq!(said(200, &[(LIST, ""), (AFTER, "120")]), "");
    let lenient = LimitOptions::new().retry_after_on_503(true);
    assert_eq!(said_with(lenient, 503, &[(LIST, ""), (AFTER, "120")]), "");
}

/// RL-2, decision 6: `Retry-After` limits everything on 429; garbage counts as absent; nought and the past limit
/// nothing.
#[test]
fn retry_after_limits_everything_on_429() {
    for (value, limits) in [
        ("120", "* 120000"),
        ("1.5", "* 1500"),
        ("Sun, 06 Nov 1994 08:50:37 GMT", "* 60000"),
        ("0", ""),
        ("Sun, 06 Nov 1994 08:00:00 GMT", ""),
        ("-3", "* 60000"),
        ("10 Seconds", "* 60000"),
        ("NaN", "* 60000"),
        ("", "* 60000"),
    ] {
        assert_eq!(said(429, &[(AFTER, value)]), limits, "{value}");
    }
    assert_eq!(said(429, &[(AFTER, "garbage"), (AFTER, "5"), (AFTER, "7")]), "* 7000");
}

/// RL-2: on 429 with neither header, 60 seconds for everything; on other statuses nothing.
#[test]
fn a_bare_429_limits_everything_for_a_minute() {
    assert_eq!(said(429, &[]), "* 60000");
    for status in [200, 400, 404, 413, 500, 502, 503] {
        assert_eq!(said(status, &[]), "", "{status}");
        assert_eq!(said(status, &[(AFTER, "120")]), "", "{status}");
    }
}

/// Decision 6: a date is measured from the response's own `Date`, so a wrong clock here does no harm.
#[test]
fn a_date_is_measured_from_the_servers_clock() {
    let after = (AFTER, "Wed, 01 Jan 2031 00:00:30 GMT");
    assert_eq!(said(429, &[("Date", "Wed, 01 Jan 2031 00:00:00 GMT"), after]), "* 30000");
    assert_eq!(said(429, &[("Date", "Wed, 01 Jan 2031 00:01:00 GMT"), after]), "");
    // Without a readable `Date` our clock has to do, under the ceiling.
    assert_eq!(said(429, &[("Date", "new year"), after]), "* 86400000");
    assert_eq!(said(429, &[after]), "* 86400000");
}

/// Decision 6: the option obeys `Retry-After` on 503 too, but makes nothing up there.
#[test]
fn retry_after_on_503_is_an_option() {
    let lenient = LimitOptions::new().retry_after_on_503(true);
    assert_eq!(said_with(lenient, 503, &[(AFTER, "120")]), "* 120000");
    assert_eq!(said_with(lenient, 503, &[(AFTER, "garbage")]), "");
    assert_eq!(said_with(lenient, 503, &[]), "");
    assert_eq!(said_with(lenient, 503, &[(LIST, "5:error"), (AFTER, "120")]), "error 5000");
    assert_eq!(said_with(lenient, 500, &[(AFTER, "120")]), "");
    assert_eq!(said(503, &[(AFTER, "120")]), "");
}

/// RL-11, decision 3: everything above the ceiling is cut to it.
#[test]
fn enormous_delays_are_cut_to_the_ceiling() {
    assert_eq!(
        said(200, &[(LIST, "1e300:error, 86401, 86399:session")]),
        "* 86400000, error 86400000, session 86399000"
    );
    assert_eq!(said(429, &[(AFTER, "99999999999999999999")]), "* 86400000");
    assert_eq!(said(429, &[(AFTER, "Fri, 31 Dec 9999 23:59:59 GMT")]), "* 86400000");
    let short = LimitOptions::new().ceiling(Duration::from_secs(10));
    assert_eq!(said_with(short, 429, &[]), "* 10000");
    assert_eq!(said_with(short, 200, &[(LIST, "11:error, 9:session")]), "error 10000, session 9000");
    let endless = LimitOptions::new().ceiling(Duration::MAX);
    assert_eq!(endless, LimitOptions::new().ceiling(LimitOptions::MAX_CEILING));
}

proptest! {
    /// RL-11: whatever the headers hold, there is no panic and nothing beyond the ceiling; and a 429 without a
    /// list is never ignored unless it says nought.
    #[test]
    fn any_reply_is_read(
        status in 100_u16..1000,
        list in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80)),
        after in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        date in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        lenient in any::<bool>(),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in [(RATE_LIMITS, &list), (http::header::RETRY_AFTER, &after), (http::header::DATE, &date)] {
            if let Some(Ok(value)) = value.as_deref().map(HeaderValue::from_bytes) {
                headers.insert(name, value);
            }
        }
        let status = StatusCode::from_u16(status).unwrap();
        let options = LimitOptions::new().retry_after_on_503(lenient);
        for limit in limits_of_reply(status, &headers, wall(), &options) {
            prop_assert!(limit.duration <= LimitOptions::DEFAULT_CEILING && !limit.duration.is_zero());
            prop_assert!(status == 429 || headers.contains_key(&RATE_LIMITS) || lenient);
        }
    }
}
