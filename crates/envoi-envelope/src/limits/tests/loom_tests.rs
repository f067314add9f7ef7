//! The table under every interleaving of a few threads.

use std::time::Duration;

use envoi_core::{Clock, Limits, SystemClock};
use loom::thread;

use crate::DataCategory;
use crate::limits::RateLimits;

/// RL-6: whoever comes last, the later end stays, and the gate is never closed before it.
#[test]
fn the_later_end_wins_in_every_order() {
    loom::model(|| {
        let (limits, now) = (RateLimits::default(), SystemClock.now());
        let writer = {
            let limits = limits.clone();
            thread::spawn(move || limits.limit(Some(&DataCategory::Error), Duration::from_secs(60), now))
        };
        limits.limit(Some(&DataCategory::Error), Duration::from_secs(10), now);
        limits.limit(None, Duration::from_secs(5), now);
        assert!(limits.is_limited(&DataCategory::Error, now), "a thread sees what it wrote itself");
        writer.join().unwrap();
        let end = now + Duration::from_secs(60);
        assert_eq!(limits.until(&DataCategory::Error, now), Some(end));
        assert!(limits.any_active(end - Duration::from_nanos(1)) && !limits.any_active(end));
        assert_eq!(limits.all_until(now), Some(now + Duration::from_secs(5)));
    });
}

/// RL-12: a reader beside a writer sees no end that was never written, and no limit vanish.
#[test]
fn readers_see_only_ends_that_were_written() {
    loom::model(|| {
        let (limits, now) = (RateLimits::default(), SystemClock.now());
        let (short, long) = (now + Duration::from_secs(10), now + Duration::from_secs(60));
        let writer = {
            let limits = limits.clone();
            thread::spawn(move || {
                limits.limit(Some(&DataCategory::Error), Duration::from_secs(10), now);
                limits.limit(Some(&DataCategory::Error), Duration::from_secs(60), now);
            })
        };
        let first = limits.until(&DataCategory::Error, now);
        let second = limits.until(&DataCategory::Error, now);
        assert!([None, Some(short), Some(long)].contains(&first), "{first:?}");
        assert!(second >= first, "{first:?} then {second:?}");
        writer.join().unwrap();
        assert_eq!(limits.until(&DataCategory::Error, now), Some(long));
    });
}
