use std::time::Duration;

use super::delay;
use crate::DataCategory;

/// One limit: nothing of `category` for `duration` from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is limited; `None` is everything.
    pub category: Option<DataCategory>,
    /// For how long.
    pub duration: Duration,
}

/// The limits that the lines of an `X-Sentry-Rate-Limits` header state: at most one for everything and one per
/// category that a client knows, the longest of each (RL-6), those for everything first.
///
/// Several lines are one list (decision 1). Each member is `retry_after:categories:scope:reason:namespaces:…` (RL-3)
/// and is read by itself: a bad one does not hurt its neighbours (decision 2). What lasts no time is left out.
///
/// ```
/// use envoi_envelope::{DataCategory, limits::parse::rate_limits};
/// let list = rate_limits([&b"60:transaction:key, 2700:default;error;teapot:organization"[..]]);
/// let read: Vec<_> = list.iter().map(|limit| (limit.category.clone().unwrap(), limit.duration.as_secs())).collect();
/// assert_eq!(read, [(DataCategory::Error, 2700), (DataCategory::Transaction, 60)]);
/// ```
#[must_use]
pub fn rate_limits<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<Limit> {
    let mut longest = Vec::new();
    for member in lines.into_iter().flat_map(|line| line.split(|&byte| byte == b',')) {
        read_member(member, &mut longest);
    }
    longest.sort_unstable_by(|one, other| one.category.cmp(&other.category));
    longest
}

/// Enters a limit, or lengthens the one that is there. There are never more than there are categories.
fn hold(longest: &mut Vec<Limit>, category: Option<DataCategory>, duration: Duration) {
    match longest.iter_mut().find(|limit| limit.category == category) {
        Some(limit) => limit.duration = limit.duration.max(duration),
        None => longest.push(Limit { category, duration }),
    }
}

fn read_member(member: &[u8], longest: &mut Vec<Limit>) {
    let mut fields = member.split(|&byte| byte == b':');
    let Some(duration) = fields.next().and_then(delay).filter(|duration| !duration.is_zero()) else { return };
    let mut categories = names(fields.next().unwrap_or_default()).peekable();
    if categories.peek().is_none() {
        return hold(longest, None, duration);
    }
    // Scope and reason are the server's business.
    let mut namespaces = names(fields.nth(2).unwrap_or_default()).peekable();
    let metrics = namespaces.peek().is_none() || namespaces.any(|name| name == b"custom");
    for category in categories.filter_map(known) {
        // Namespaces say nothing about the other categories of the same member (decision 5).
        if category != DataCategory::MetricBucket || metrics {
            hold(longest, Some(category), duration);
        }
    }
}

/// The names in a list; empty ones do not count (decision 2).
fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

/// Without allocating: unknown names are of no use here (RL-4).
fn known(name: &[u8]) -> Option<DataCategory> {
    DataCategory::known(std::str::from_utf8(name).ok()?).filter(DataCategory::is_limitable)
}
