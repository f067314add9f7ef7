use std::time::{Duration, SystemTime};

use envoi_core::{Clock, SystemClock};
use proptest::prelude::*;

use super::wall;
use crate::DataCategory;
use crate::limits::{LimitOptions, LimitsSnapshot, RateLimits};

const HOUR: Duration = Duration::from_secs(3600);

fn limited(all: Option<Duration>, error: Option<Duration>) -> (RateLimits, std::time::Instant) {
    let (limits, now) = (RateLimits::default(), SystemClock.now());
    limits.limit(None, all.unwrap_or_default(), now);
    limits.limit(Some(&DataCategory::Error), error.unwrap_or_default(), now);
    (limits, now)
}

/// RL-12: limits outlive a restart, by wall time.
#[test]
fn saved_limits_hold_for_what_is_left_of_them() {
    let (limits, now) = limited(Some(HOUR / 2), Some(HOUR));
    let json = limits.save(now, wall()).to_json();
    assert_eq!(json, r#"{"all":784113577000,"categories":{"error":784115377000}}"#);

    let restored = RateLimits::default();
    let later = wall() + Duration::from_secs(40 * 60);
    restored.restore(&LimitsSnapshot::from_json(json.as_bytes()).unwrap(), now, later);
    let active = restored.snapshot(now);
    assert_eq!(active.len(), 1, "the limit on everything has ended: {active:?}");
    assert_eq!(active[0].category, Some(DataCategory::Error));
    assert_eq!(active[0].remaining, HOUR / 3);
}

/// RL-12, RL-11: a wall clock that went back does not limit for longer than the ceiling.
#[test]
fn a_clock_that_went_back_meets_the_ceiling() {
    let (limits, now) = limited(None, Some(HOUR));
    let saved = limits.save(now, wall());
    let restored = RateLimits::default();
    restored.restore(&saved, now, SystemTime::UNIX_EPOCH);
    assert_eq!(restored.snapshot(now)[0].remaining, LimitOptions::DEFAULT_CEILING);
}

/// RL-12, RL-6: restoring never shortens what is in force.
#[test]
fn restoring_keeps_the_later_end() {
    let (limits, now) = limited(None, Some(HOUR));
    let saved = limits.save(now, wall());
    let (busy, _) = limited(None, Some(2 * HOUR));
    busy.restore(&saved, now, wall());
    assert!(busy.snapshot(now)[0].remaining > HOUR);
}

/// RL-12: what is not limited leaves no trace.
#[test]
fn an_empty_table_saves_as_an_empty_object() {
    let (limits, now) = limited(None, None);
    let saved = limits.save(now, wall());
    assert!(saved.is_empty());
    assert_eq!(saved.to_json(), "{}");
    assert_eq!(LimitsSnapshot::from_json(b"{}").unwrap(), saved);
}

/// RL-12: a damaged file is an error that says what to do, or costs only its damaged members.
#[test]
fn damaged_snapshots_are_refused_or_read_in_part() {
    for bad in [&b""[..], b"[]", b"7", b"{", b"\xff", &[b' '; 100_000]] {
        let error = LimitsSnapshot::from_json(bad).unwrap_err();
        assert!(
            error.to_string().starts_with("saved rate limits are unreadable, start without them: "),
            "{error}"
        );
    }
    let odd = br#"{"all":"soon","more":1,"categories":{"error":-1,"session":1.5,"teapot":5,"span":99}}"#;
    let read = LimitsSnapshot::from_json(odd).unwrap();
    let names: Vec<_> = read.iter().map(|(category, _)| category.unwrap().as_str()).collect();
    assert_eq!(names, ["span", "teapot"]);
    let all = LimitsSnapshot::from_json(br#"{"all":18446744073709551615,"categories":[]}"#).unwrap();
    let (limits, now) = limited(None, None);
    limits.restore(&all, now, wall());
    assert_eq!(limits.snapshot(now)[0].remaining, LimitOptions::DEFAULT_CEILING);
}

proptest! {
    /// RL-12: any bytes are read or refused, and what is read can be written and restored.
    #[test]
    fn any_snapshot_is_read(text in "\\{(\"all\":[0-9]{1,20},?)?(\"categories\":\\{(\"[a-z_]{1,6}\":-?[0-9]{1,20},?){0,3}\\})?\\}", noise in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = LimitsSnapshot::from_json(&noise);
        if let Ok(read) = LimitsSnapshot::from_json(text.as_bytes()) {
            let again = LimitsSnapshot::from_json(read.to_json().as_bytes()).unwrap();
            prop_assert_eq!(&again, &read);
            let (limits, now) = limited(None, None);
            limits.restore(&read, now, wall());
            for limit in limits.snapshot(now) {
                prop_assert!(limit.remaining <= LimitOptions::DEFAULT_CEILING);
            }
        }
    }
}
