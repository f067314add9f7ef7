//! RL-2, RL-11, decision 6: any `Retry-After`, next to any `Date`, gives a finite limit.
#![no_main]

use std::time::{Duration, SystemTime};

use envoi_envelope::limits::{LimitOptions, limits_of_reply};
use http::{HeaderMap, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: &[u8]| {
    let mut headers = HeaderMap::new();
    for (name, line) in ["retry-after", "date"].into_iter().zip(lines.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.insert(name, value);
        }
    }
    let wall = SystemTime::UNIX_EPOCH;
    let limits = limits_of_reply(StatusCode::TOO_MANY_REQUESTS, &headers, wall, &LimitOptions::default());
    assert!(limits.len() <= 1);
    for limit in limits {
        assert!(limit.category.is_none() && limit.duration <= Duration::from_secs(24 * 60 * 60));
    }
});
