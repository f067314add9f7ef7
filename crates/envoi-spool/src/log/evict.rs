//! Which records have to go: a pure decision (OC-2, decision 19).

use super::types::Seq;

/// A record, oldest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) seq: Seq,
    pub(crate) segment: u64,
    /// A sender has it, so it cannot go.
    pub(crate) kept: bool,
}

/// Chooses the oldest that may go, until `count` are chosen and the segments that become empty by it hold `bytes`.
/// `size` says what a segment takes on disk.
pub(crate) fn choose(
    records: impl Iterator<Item = Candidate>,
    count: usize,
    bytes: u64,
    mut size: impl FnMut(u64) -> u64,
) -> Vec<Seq> {
    let mut chosen = Vec::new();
    let mut freed = 0;
    let mut held = false;
    let mut records = records.peekable();
    while let Some(record) = records.next() {
        if chosen.len() >= count && freed >= bytes {
            break;
        }
        held |= record.kept;
        if !record.kept {
            chosen.push(record.seq);
        }
        if records.peek().is_none_or(|next| next.segment != record.segment) {
            if !held {
                freed += size(record.segment);
            }
            held = false;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Seq, choose};

    fn lane(kept: &[u64]) -> impl Iterator<Item = Candidate> {
        let kept = kept.to_vec();
        (1..=9).map(move |seq| Candidate { seq: Seq(seq), segment: (seq - 1) / 3, kept: kept.contains(&seq) })
    }

    fn numbers(chosen: Vec<Seq>) -> Vec<u64> {
        chosen.into_iter().map(|seq| seq.0).collect()
    }

    /// OC-2: over the count, the oldest go, and no more than have to.
    #[test]
    fn by_count_the_oldest_go() {
        assert_eq!(numbers(choose(lane(&[]), 2, 0, |_| 100)), [1, 2]);
        assert_eq!(numbers(choose(lane(&[1, 3]), 2, 0, |_| 100)), [2, 4]);
        assert!(choose(lane(&[]), 0, 0, |_| 100).is_empty());
    }

    /// OC-2: over the bytes, whole segments go, because only they give space back.
    #[test]
    fn by_bytes_whole_segments_go() {
        assert_eq!(numbers(choose(lane(&[]), 0, 1, |_| 100)), [1, 2, 3]);
        assert_eq!(numbers(choose(lane(&[]), 0, 101, |_| 100)), [1, 2, 3, 4, 5, 6]);
        assert_eq!(numbers(choose(lane(&[2]), 0, 1, |_| 100)), [1, 3, 4, 5, 6]);
        assert_eq!(choose(lane(&[]), 0, u64::MAX, |_| 100).len(), 9);
    }
}
