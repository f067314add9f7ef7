use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use envoi_core::{Clock, Limits, Reply, SystemClock};
use http::{HeaderValue, StatusCode};
use proptest::prelude::*;

use super::wall;
use crate::DataCategory;
use crate::limits::{LimitOptions, RateLimits};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

fn reply(list: &str) -> Reply {
    let mut reply = Reply::new(StatusCode::OK);
    reply.headers.insert("x-sentry-rate-limits", HeaderValue::from_str(list).unwrap());
    reply
}

fn learned(list: &str) -> (RateLimits, Instant) {
    let (limits, now) = (RateLimits::default(), SystemClock.now());
    limits.learn(&reply(list), now, wall());
    (limits, now)
}

/// Decision 7: at the exact end instant it is free.
#[test]
fn a_limit_ends_at_the_exact_instant() {
    let (limits, now) = learned("60:error, 10.0001:session");
    for (category, lasts) in
        [(DataCategory::Error, 60 * SECOND), (DataCategory::Session, Duration::from_millis(10_001))]
    {
        assert!(limits.is_limited(&category, now));
        assert!(limits.is_limited(&category, now + lasts - NANO));
        assert!(!limits.is_limited(&category, now + lasts));
        assert_eq!(limits.until(&category, now), Some(now + lasts));
        assert_eq!(limits.category_until(&category, now + lasts), None);
    }
    assert!(limits.any_active(now + 60 * SECOND - NANO));
    assert!(!limits.any_active(now + 60 * SECOND));
}

/// RL-6, decision 7: a shorter limit never shortens a longer one, across responses too.
#[test]
fn the_later_end_is_kept() {
    let (limits, now) = learned("60:error, 5:session");
    limits.learn(&reply("10:error, 100:session"), now + SECOND, wall());
    assert_eq!(limits.until(&DataCategory::Error, now), Some(now + 60 * SECOND));
    assert_eq!(limits.until(&DataCategory::Session, now), Some(now + 101 * SECOND));
    // A limit that has ended stands in nobody's way.
    limits.learn(&reply("1:error"), now + 90 * SECOND, wall());
    assert_eq!(limits.until(&DataCategory::Error, now + 90 * SECOND), Some(now + 91 * SECOND));
}

/// RL-6, decision 7: everything and each category have ends of their own; either holds.
#[test]
fn everything_is_separate_from_each_category() {
    let (limits, now) = learned("10, 60:error");
    assert_eq!(limits.all_until(now), Some(now + 10 * SECOND));
    assert_eq!(limits.category_until(&DataCategory::Session, now), None);
    assert_eq!(limits.until(&DataCategory::Session, now), Some(now + 10 * SECOND));
    assert_eq!(limits.until(&DataCategory::Error, now), Some(now + 60 * SECOND));
    let later = now + 10 * SECOND;
    assert_eq!(limits.all_until(later), None);
    assert!(
        limits.is_limited(&DataCategory::Error, later) && !limits.is_limited(&DataCategory::Session, later)
    );
}

/// RL-2: a bare 429 limits everything for a minute; RL-8: other categories go on under a limit on one.
#[test]
fn a_bare_429_holds_every_category() {
    let (limits, now) = learned("60:error");
    for category in DataCategory::KNOWN {
        assert_eq!(limits.is_limited(&category, now), category == DataCategory::Error, "{category}");
    }
    limits.learn(&Reply::new(StatusCode::TOO_MANY_REQUESTS), now, wall());
    for category in DataCategory::KNOWN.into_iter().chain(["teapot".into()]) {
        assert!(limits.is_limited(&category, now + 59 * SECOND), "{category}");
        assert!(!limits.is_limited(&category, now + 60 * SECOND), "{category}");
    }
}

/// RL-9: client reports are subject only to the limit on everything.
#[test]
fn internal_is_held_by_the_limit_on_everything_only() {
    let (limits, now) = learned("60:internal;error;default");
    limits.limit(Some(&DataCategory::Internal), 60 * SECOND, now);
    assert!(!limits.is_limited(&DataCategory::Internal, now));
    limits.limit(None, SECOND, now);
    assert!(limits.is_limited(&DataCategory::Internal, now));
}

/// RL-4, decision 10: limits that hold nothing do not even open the gate.
#[test]
fn limits_on_what_is_not_ours_leave_the_table_idle() {
    let (limits, now) =
        learned("60:teapot, 60:span_indexed, 60:default, 0:error, 60:metric_bucket:o:r:spans");
    assert!(!limits.any_active(now));
    assert_eq!(limits.next_end(now), None);
    assert!(limits.snapshot(now).is_empty());
    for category in DataCategory::KNOWN {
        assert_eq!(limits.until(&category, now), None);
    }
}

/// RL-7: one table per DSN. A handle shares its table with its clones and with nobody else.
#[test]
fn tables_are_separate_and_handles_share_theirs() {
    let (limits, now) = learned("60:error");
    let (clone, other) = (limits.clone(), RateLimits::default());
    assert!(clone.is_limited(&DataCategory::Error, now) && !other.is_limited(&DataCategory::Error, now));
    clone.limit(None, SECOND, now);
    assert!(limits.all_until(now).is_some() && other.all_until(now).is_none());
}

/// RL-12: what is limited can be read from outside.
#[test]
fn the_snapshot_lists_what_is_in_force() {
    let (limits, now) = learned("60:error, 10, 90:session");
    let read = |at| {
        limits.snapshot(at).into_iter().map(|limit| (limit.category, limit.remaining)).collect::<Vec<_>>()
    };
    assert_eq!(
        read(now + 5 * SECOND),
        [
            (None, 5 * SECOND),
            (Some(DataCategory::Error), 55 * SECOND),
            (Some(DataCategory::Session), 85 * SECOND)
        ]
    );
    assert_eq!(read(now + 60 * SECOND), [(Some(DataCategory::Session), 30 * SECOND)]);
    assert_eq!(limits.next_end(now), Some(now + 10 * SECOND));
    assert_eq!(limits.next_end(now + 10 * SECOND), Some(now + 60 * SECOND));
    assert_eq!(limits.next_end(now + 90 * SECOND), None);
}

/// RL-11: durations without end are cut to the ceiling, and distant instants do no harm.
#[test]
fn nothing_overflows() {
    let now = SystemClock.now();
    for options in [
        LimitOptions::new(),
        LimitOptions::new().ceiling(Duration::MAX),
        LimitOptions::new().ceiling(Duration::ZERO),
    ] {
        let limits = RateLimits::new(options);
        for at in
            [now, now + Duration::from_secs(u64::from(u32::MAX)), now.checked_sub(SECOND).unwrap_or(now)]
        {
            limits.limit(None, Duration::MAX, at);
            limits.learn(&reply("1e300:error, 1e-300:session"), at, wall());
            let _ = (limits.next_end(at), limits.until(&DataCategory::Error, at), limits.save(at, wall()));
        }
        let far = now + Duration::from_secs(u64::from(u32::MAX)) + LimitOptions::MAX_CEILING;
        assert!(!limits.any_active(far));
    }
}

/// RL-11: an instant from before the table was made, as a test clock may give, is as good as any.
#[test]
fn instants_before_the_table_was_made_count() {
    let Some(past) = SystemClock.now().checked_sub(60 * SECOND) else { return };
    let limits = RateLimits::default();
    limits.limit(Some(&DataCategory::Error), 10 * SECOND, past);
    assert_eq!(limits.until(&DataCategory::Error, past), Some(past + 10 * SECOND));
    assert!(!limits.is_limited(&DataCategory::Error, past + 10 * SECOND));
}

/// RL-6: many threads, and the latest end of each category is what stays.
#[test]
fn concurrent_lessons_keep_the_latest_end() {
    let (limits, now) = (RateLimits::default(), SystemClock.now());
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let limits = &limits;
            scope.spawn(move || {
                for step in 1..500_u64 {
                    let duration = Duration::from_millis(step * 4 + thread);
                    limits.limit(Some(&DataCategory::Error), duration, now);
                    limits.limit(None, duration / 2, now);
                    assert!(limits.any_active(now), "the gate is open once anything is limited");
                }
            });
        }
    });
    assert_eq!(limits.until(&DataCategory::Error, now), Some(now + Duration::from_millis(499 * 4 + 3)));
    assert_eq!(limits.all_until(now), Some(now + Duration::from_millis(499 * 4 + 3) / 2));
}

#[derive(Clone, Debug)]
enum Step {
    Limit(Option<DataCategory>, Duration),
    Pass(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    let category = proptest::option::of(proptest::sample::select(DataCategory::KNOWN.to_vec()));
    let duration = (0_u64..200_000).prop_map(Duration::from_millis);
    prop_oneof![
        2 => (category, duration.clone()).prop_map(|(category, duration)| Step::Limit(category, duration)),
        1 => duration.prop_map(Step::Pass),
    ]
}

proptest! {
    /// RL-6, RL-9, RL-11, RL-12, decision 7: the table behaves like a plain map from category to end.
    #[test]
    fn the_table_agrees_with_a_map(steps in proptest::collection::vec(step(), 0..60)) {
        let ceiling = 100 * SECOND;
        let limits = RateLimits::new(LimitOptions::new().ceiling(ceiling));
        let mut now = SystemClock.now();
        let mut model: BTreeMap<Option<DataCategory>, Instant> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Pass(time) => now += time,
                Step::Limit(category, duration) => {
                    limits.limit(category.as_ref(), duration, now);
                    if category.as_ref().is_none_or(DataCategory::is_limitable) {
                        let end = model.entry(category).or_insert(now);
                        *end = (*end).max(now + duration.min(ceiling));
                    }
                }
            }
            let open = |category: &Option<DataCategory>| model.get(category).copied().filter(|end| *end > now);
            let active: Vec<_> = model.iter().filter(|(_, end)| **end > now).collect();
            prop_assert_eq!(limits.any_active(now), !active.is_empty());
            prop_assert_eq!(limits.next_end(now), active.iter().map(|(_, end)| **end).min());
            prop_assert_eq!(limits.all_until(now), open(&None));
            for category in DataCategory::KNOWN {
                let own = open(&Some(category.clone()));
                prop_assert_eq!(limits.category_until(&category, now), own);
                prop_assert_eq!(limits.until(&category, now), own.max(open(&None)));
                prop_assert_eq!(limits.is_limited(&category, now), own.is_some() || open(&None).is_some());
            }
            let listed: BTreeMap<_, _> = limits.snapshot(now).into_iter()
                .map(|limit| (limit.category, now + limit.remaining)).collect();
            let expected: BTreeMap<_, _> = active.into_iter().map(|(category, end)| (category.clone(), *end)).collect();
            prop_assert_eq!(listed, expected);
        }
    }
}
