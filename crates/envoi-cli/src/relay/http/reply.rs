//! Answers.

use std::time::Duration;

use bytes::Bytes;
use envoi::envelope::limits::ActiveLimit;
use envoi::{DataCategory, envelope};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

use super::Refusal;

pub(crate) type Reply = Response<Full<Bytes>>;

const RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");
const SENTRY_ERROR: HeaderName = HeaderName::from_static("x-sentry-error");

/// What a page may load: what comes from here, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Reply {
    reply(status, "application/json", value.to_string())
}

pub(super) fn text(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Reply {
    reply(status, content_type, text)
}

/// A page, with the headers that keep it to itself.
pub(super) fn page(content_type: &'static str, text: impl Into<Bytes>) -> Reply {
    let mut reply = reply(StatusCode::OK, content_type, text);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    reply
}

/// An envelope is taken on.
pub(super) fn accepted(id: Option<envelope::EventId>) -> Reply {
    json(StatusCode::OK, &id.map_or_else(|| json!({}), |id| json!({ "id": id.to_string() })))
}

/// As Sentry refuses: `detail` and `causes`.
pub(super) fn refused(refusal: &Refusal) -> Reply {
    let body = json!({ "detail": refusal.headline(), "causes": [refusal.to_string()] });
    let mut reply = json(refusal.status(), &body);
    let headers = reply.headers_mut();
    headers.insert(SENTRY_ERROR, HeaderValue::from_static(refusal.headline()));
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if matches!(refusal, Refusal::Method) {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, OPTIONS"));
    }
    reply
}

/// Adds the limits in force (RL-12): what the client need not send at all.
pub(super) fn add_limits(reply: &mut Reply, limits: &[ActiveLimit]) {
    let Some(longest) = limits.iter().map(|limit| seconds(limit.remaining)).max() else { return };
    if let Ok(value) = HeaderValue::try_from(rate_limits(limits)) {
        reply.headers_mut().insert(RATE_LIMITS, value);
    }
    // Without it a client that knows only this header would assume a minute for all.
    if reply.status() == StatusCode::TOO_MANY_REQUESTS && !reply.headers().contains_key(RETRY_AFTER) {
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(longest));
    }
}

/// Rounded up: at the end of the time the limit is over.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The grammar of RL-3. Categories whose limits end together share an entry. The scope is the key: limits are kept per
/// DSN, and which scope they had is not known any more.
fn rate_limits(limits: &[ActiveLimit]) -> String {
    let mut entries: Vec<(u64, String)> = Vec::new();
    for limit in limits {
        let until = seconds(limit.remaining);
        match &limit.category {
            None => entries.push((until, String::new())),
            // The only namespace that clients send (RL-5).
            Some(DataCategory::MetricBucket) => entries.push((until, "metric_bucket:key::custom".to_owned())),
            Some(category) => {
                let shared = entries
                    .iter_mut()
                    .find(|(other, names)| *other == until && !names.is_empty() && !names.contains(':'));
                match shared {
                    Some((_, names)) => {
                        names.push(';');
                        names.push_str(category.as_str());
                    }
                    None => entries.push((until, category.as_str().to_owned())),
                }
            }
        }
    }
    let written: Vec<String> =
        entries
            .into_iter()
            .map(|(until, names)| {
                if names.contains(':') { format!("{until}:{names}") } else { format!("{until}:{names}:key") }
            })
            .collect();
    written.join(", ")
}

/// What a browser asks before it sends an envelope from another origin.
pub(super) fn preflight() -> Reply {
    let mut reply = reply(StatusCode::NO_CONTENT, "text/plain; charset=utf-8", Bytes::new());
    reply.headers_mut().remove(CONTENT_TYPE);
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, OPTIONS"));
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "x-sentry-auth, x-requested-with, x-forwarded-for, origin, referer, accept, content-type, \
             authentication, authorization, content-encoding, transfer-encoding",
        ),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(3600));
    with_cors(reply)
}

/// Any page may send, as to Sentry; what it sent is in its own key's name. Pages of the relay never get this.
pub(super) fn with_cors(mut reply: Reply) -> Reply {
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("x-sentry-error, x-sentry-rate-limits, retry-after"),
    );
    reply
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use envoi::core::{Clock, Limits, Reply as ServerReply, SystemClock};
    use envoi::envelope::RateLimits;
    use http::HeaderMap;

    use super::*;

    fn learned(header: &str) -> RateLimits {
        let mut headers = HeaderMap::new();
        headers.insert(RATE_LIMITS, header.parse().unwrap());
        let limits = RateLimits::default();
        let mut reply = ServerReply::new(StatusCode::OK);
        reply.headers = headers;
        limits.learn(&reply, SystemClock.now(), SystemTime::UNIX_EPOCH);
        limits
    }

    /// RL-1, RL-3, RL-5: what is told to clients means to them what the upstream has told the relay.
    #[test]
    fn limits_are_handed_on_in_the_grammar_of_the_server() {
        for (told, handed_on) in [
            ("60::organization", "60::key"),
            ("60:error;transaction:key, 7:session:key", "60:error;transaction:key, 7:session:key"),
            ("9:metric_bucket:organization:quota:custom", "9:metric_bucket:key::custom"),
            ("9:error;metric_bucket:key", "9:error:key, 9:metric_bucket:key::custom"),
        ] {
            let limits = learned(told);
            let active = limits.snapshot(SystemClock.now());
            let written = rate_limits(&active);
            let mut parts: Vec<_> = written.split(", ").collect();
            let mut expected: Vec<_> = handed_on.split(", ").collect();
            parts.sort_unstable();
            expected.sort_unstable();
            assert_eq!(parts, expected, "{told}");
            let again = learned(&written).snapshot(SystemClock.now());
            let of = |limits: &[ActiveLimit]| -> Vec<_> {
                limits.iter().map(|limit| (limit.category.clone(), seconds(limit.remaining))).collect()
            };
            assert_eq!(of(&again), of(&active), "{told}");
        }
    }

    /// RL-2: a 429 always says for how long.
    #[test]
    fn a_429_has_a_retry_after() {
        let limits = learned("60:error:key, 7:session:key").snapshot(SystemClock.now());
        let mut reply = refused(&Refusal::Limited);
        add_limits(&mut reply, &limits);
        assert_eq!(reply.headers()[RETRY_AFTER], "60");
        let mut reply = accepted(None);
        add_limits(&mut reply, &limits);
        assert!(!reply.headers().contains_key(RETRY_AFTER));
        assert!(reply.headers().contains_key(RATE_LIMITS));
        let mut reply = accepted(None);
        add_limits(&mut reply, &[]);
        assert!(!reply.headers().contains_key(RATE_LIMITS));
    }
}
