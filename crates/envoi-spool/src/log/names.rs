//! Names in the directory of a lane.

/// Where copies of damaged ranges go.
pub(crate) const QUARANTINE: &str = "quarantine";

/// No lane ever gets here; a greater id is somebody's joke, and would leave no room for the next.
const MAX_ID: u64 = 1 << 48;

/// The file of a segment.
pub(crate) fn segment(id: u64) -> String {
    format!("{id:016x}.seg")
}

/// The ack log of a segment.
pub(crate) fn acks(id: u64) -> String {
    format!("{id:016x}.ack")
}

/// A copy of a damaged range.
pub(crate) fn damaged(id: u64, from: u64, to: u64) -> String {
    format!("{id:016x}-{from}-{to}.bin")
}

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Segment(u64),
    Acks(u64),
}

/// Reads a name; only what we would write ourselves counts.
pub(crate) fn parse(name: &str) -> Option<Name> {
    let (stem, kind): (&str, fn(u64) -> Name) = match name.strip_suffix(".seg") {
        Some(stem) => (stem, Name::Segment),
        None => (name.strip_suffix(".ack")?, Name::Acks),
    };
    let plain = stem.len() == 16 && stem.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = u64::from_str_radix(stem, 16).ok().filter(|id| plain && *id <= MAX_ID)?;
    Some(kind(id))
}
