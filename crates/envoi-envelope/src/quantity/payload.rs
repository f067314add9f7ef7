//! Counts in payloads, read as a stream of slices: no tree is built, whatever the size.

use crate::json;

fn length(array: &str) -> Option<u64> {
    let mut count = 0;
    json::elements(array, |_| count += 1).ok()?;
    Some(count)
}

/// Calls `found` with the value of the last top-level member `key`.
fn member<'a>(payload: &'a [u8], key: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(payload).ok()?;
    let mut found = None;
    json::members(text, |name, value, _| {
        if name == key {
            found = Some(value);
        }
    })
    .ok()?;
    found
}

/// The spans in a transaction, itself not counted; 0 if that cannot be read.
pub(super) fn spans(payload: &[u8]) -> u64 {
    member(payload, "spans").and_then(length).unwrap_or(0)
}

/// The entries of a container `{"items":[...]}`; 1 for anything else, which is one entry by itself.
pub(super) fn container(payload: &[u8]) -> u64 {
    member(payload, "items").and_then(length).unwrap_or(1)
}

/// The sessions in aggregates; 1 if they cannot be read.
pub(super) fn sessions(payload: &[u8]) -> u64 {
    let Some(aggregates) = member(payload, "aggregates") else {
        return 1;
    };
    let mut sum = 0_u64;
    let walk = json::elements(aggregates, |bucket| {
        // A bucket that is no object counts nothing.
        let _ = json::members(bucket, |name, value, _| {
            if matches!(name, "exited" | "errored" | "abnormal" | "crashed" | "unhandled") {
                sum = sum.saturating_add(json::integer(value).unwrap_or(0));
            }
        });
    });
    walk.map_or(1, |()| sum)
}
