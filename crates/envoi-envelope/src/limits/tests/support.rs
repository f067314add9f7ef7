use std::time::{Duration, SystemTime};

use crate::limits::Limit;

/// Limits in short, in milliseconds; `*` is everything: `* 60000, error 1500`.
pub(super) fn brief(limits: &[Limit]) -> String {
    let one = |limit: &Limit| {
        let name = limit.category.as_ref().map_or("*", |category| category.as_str());
        format!("{name} {}", limit.duration.as_millis())
    };
    limits.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The wall time of the tests: Sun, 06 Nov 1994 08:49:37 GMT.
pub(super) fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}
