use std::time::Duration;

use super::*;
use crate::{Clock, SystemClock};

/// One limit on everything and one on `log_item`, by their ends.
#[derive(Clone, Copy)]
struct Fixed {
    all: Option<Instant>,
    logs: Option<Instant>,
}

impl Limits<&'static str> for Fixed {
    fn any_active(&self, now: Instant) -> bool {
        self.next_end(now).is_some()
    }

    fn all_until(&self, now: Instant) -> Option<Instant> {
        self.all.filter(|end| now < *end)
    }

    fn category_until(&self, category: &&'static str, now: Instant) -> Option<Instant> {
        self.logs.filter(|end| *category == "log_item" && now < *end)
    }

    fn next_end(&self, now: Instant) -> Option<Instant> {
        self.all.into_iter().chain(self.logs).filter(|end| now < *end).min()
    }

    fn learn(&self, _: &Reply, _: Instant, _: SystemTime) {}
}

/// RL-6, decision 7: an item is held if its own limit or the one on everything is open.
#[test]
fn limited_is_either_of_both() {
    let now = SystemClock.now();
    let soon = Some(now + Duration::from_secs(1));
    for (all, logs, error_held, log_held) in [
        (None, None, false, false),
        (None, soon, false, true),
        (soon, None, true, true),
        (soon, soon, true, true),
        (Some(now), Some(now), false, false),
    ] {
        let limits: Arc<dyn Limits<&'static str>> = Arc::new(Fixed { all, logs });
        assert_eq!(limits.is_limited(&"error", now), error_held);
        assert_eq!(limits.is_limited(&"log_item", now), log_held);
        assert_eq!(limits.any_active(now), all.max(logs).is_some_and(|end| end > now));
    }
}

#[test]
fn unit_never_limits_whatever_it_is_told() {
    let now = SystemClock.now();
    let limits: &dyn Limits<&'static str> = &();
    let mut headers = http::HeaderMap::new();
    headers.insert("x-sentry-rate-limits", http::HeaderValue::from_static("60::organization"));
    let reply = Reply::new(http::StatusCode::TOO_MANY_REQUESTS).with_headers(headers);
    limits.learn(&reply, now, SystemClock.wall());
    assert!(!limits.any_active(now) && !limits.is_limited(&"error", now));
    assert_eq!((limits.all_until(now), limits.next_end(now)), (None, None));
}
