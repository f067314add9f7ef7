//! RL-1 to RL-6, RL-11: any header gives finite limits, and the table takes them.
#![no_main]

use std::time::{Duration, SystemTime};

use envoi_core::{Clock, Limits, Reply, SystemClock};
use envoi_envelope::limits::{LimitOptions, RateLimits, limits_of_reply};
use http::{HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: &[u8]| {
    let mut reply = Reply::new(StatusCode::TOO_MANY_REQUESTS);
    for line in lines.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            reply.headers.append("x-sentry-rate-limits", value);
        }
    }
    let day = Duration::from_secs(24 * 60 * 60);
    let wall = SystemTime::UNIX_EPOCH;
    for limit in limits_of_reply(reply.status, &reply.headers, wall, &LimitOptions::default()) {
        assert!(!limit.duration.is_zero() && limit.duration <= day);
    }
    let limits = RateLimits::default();
    let now = SystemClock.now();
    limits.learn(&reply, now, wall);
    for limit in limits.snapshot(now) {
        assert!(limit.remaining <= day);
    }
    assert!(limits.snapshot(now + day).is_empty());
});
