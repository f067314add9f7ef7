//! What to make of the files of a lane: a pure decision over what was read (section "recovery" of the format).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::acks::AckScan;
use super::scan::{Frame, Scan, State, Tail};
use super::types::{IndexEntry, LossFound, LossReason, Seq};

/// More records than this cannot be missing from one segment; a head that says so is not believed.
const MAX_MISSING: u64 = 1 << 18;

/// One segment of ours, read.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) id: u64,
    pub(crate) scan: Scan,
    pub(crate) acks: AckScan,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) segment: u64,
    pub(crate) at: u32,
    pub(crate) len: u32,
    pub(crate) attempts: u32,
}

/// What to do with a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SegmentPlan {
    pub(crate) id: u64,
    /// Copies to make.
    pub(crate) quarantine: Vec<(u64, u64)>,
    /// Cut the file here.
    pub(crate) truncate: Option<u64>,
    /// Settle these as corrupt, so that no later open counts them again.
    pub(crate) corrupt: Vec<u64>,
    /// Copies of records that an older segment has: settle these as void, or they come up when that one is settled.
    pub(crate) copies: Vec<u64>,
    pub(crate) live: u64,
    /// Nothing in it is needed: not a record, not its word on the next number.
    pub(crate) remove: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) segments: Vec<SegmentPlan>,
    pub(crate) records: BTreeMap<u64, (Slot, IndexEntry)>,
    pub(crate) losses: Vec<LossFound>,
    pub(crate) notes: Vec<String>,
    /// The greatest number seen anywhere.
    pub(crate) last_seq: u64,
}

/// Makes the plan. `inputs` ascend by id; the meta of records that are there moves into the plan.
pub(crate) fn plan(inputs: &mut [Input]) -> Plan {
    let mut plan = Plan::default();
    let bases = bases(inputs);
    let ids: Vec<u64> = inputs.iter().map(|input| input.id).collect();
    for (index, input) in inputs.iter_mut().enumerate() {
        let newest = index + 1 == ids.len();
        let next = ids.get(index + 1).filter(|next| **next == input.id + 1);
        let upper = next.and_then(|_| bases[index + 1]);
        let step = segment(input, newest, (bases[index], upper), &mut plan);
        plan.segments.push(step);
    }
    plan
}

/// The first number of each segment: its header's word, or else what the neighbours leave.
fn bases(inputs: &[Input]) -> Vec<Option<u64>> {
    let mut out: Vec<Option<u64>> = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.iter().enumerate() {
        let before =
            index.checked_sub(1).map(|before| &inputs[before]).filter(|before| before.id + 1 == input.id);
        let base = match &input.scan.header {
            Ok(header) => Some(header.base_seq),
            // Where the segment before it ends, as far as anything is known of that; else what is in it. Ack logs are no
            // witnesses here: one that was copied would tell of other segments.
            Err(_) => before
                .and_then(|before| before.scan.frames.iter().map(|frame| frame.head.seq).max())
                .map(|last| last.saturating_add(1))
                .or_else(|| input.scan.frames.iter().map(|frame| frame.head.seq).min()),
        };
        out.push(base);
    }
    out
}

fn seen(input: &Input) -> impl Iterator<Item = u64> {
    input.scan.frames.iter().map(|frame| frame.head.seq).chain(input.acks.words.keys().copied())
}

fn segment(
    input: &mut Input,
    newest: bool,
    (base, upper): (Option<u64>, Option<u64>),
    plan: &mut Plan,
) -> SegmentPlan {
    if let Some(base) = base {
        plan.last_seq = plan.last_seq.max(base.saturating_sub(1).min(Seq::MAX.0));
    }
    plan.last_seq = seen(input).fold(plan.last_seq, u64::max);
    let last_seen = seen(input).max();
    let Input { id, scan, acks } = input;
    let mut step = SegmentPlan {
        id: *id,
        quarantine: scan.damage.clone(),
        truncate: None,
        corrupt: Vec::new(),
        copies: Vec::new(),
        live: 0,
        remove: false,
    };
    let ended = |seq: u64| acks.words.get(&seq).is_some_and(|word| word.end.is_some());
    let mut present: BTreeMap<u64, bool> = BTreeMap::new();
    for frame in &mut scan.frames {
        let good = present.entry(frame.head.seq).or_default();
        if *good || ended(frame.head.seq) {
            *good = true;
        } else if !frame.state.is_lost() {
            *good = true;
            let attempts = acks.words.get(&frame.head.seq).map_or(0, |word| word.attempts);
            // The same number in an older segment wins: no file can bring a record twice.
            if let Entry::Vacant(vacant) = plan.records.entry(frame.head.seq) {
                vacant.insert(record(*id, frame, attempts));
                step.live += 1;
            } else {
                step.copies.push(frame.head.seq);
            }
        }
    }
    // Known by name, but no copy of it is good.
    let mut counted = BTreeSet::new();
    for frame in scan.frames.iter().filter(|frame| frame.state.is_lost()) {
        let seq = frame.head.seq;
        if present.get(&seq) == Some(&false) && counted.insert(seq) {
            plan.losses.push(LossFound {
                reason: if frame.state == State::Torn { LossReason::Torn } else { LossReason::BadPayload },
                meta: Some(frame.meta.clone()),
                kind: Some(frame.head.kind),
                seq: Seq(seq),
                count: 1,
            });
        }
    }
    step.corrupt = counted.into_iter().collect();
    // Without all of the segment or of its ack log nobody can say what is missing.
    let readable = scan.failed.is_none() && acks.failed.is_none();
    if readable && let Some(base) = base {
        // In the newest, what was settled was there, too, and so was all before it. In an older one the neighbour knows
        // better, and without it only the frames are believed: an ack log may be a copy.
        let last = if newest { last_seen } else { present.keys().next_back().copied() };
        let upper = upper.unwrap_or_else(|| last.map_or(base, |last| last.saturating_add(1)));
        missing(base, upper, *id, |seq| present.contains_key(&seq) || ended(seq), &mut step, plan);
    }
    if let Tail::Torn(from) = scan.tail {
        step.quarantine.push((from, scan.len));
    }
    if newest && scan.failed.is_none() {
        // The newest is the one that a crash cuts short; an older one is left as it is.
        let torn = scan.frames.last().filter(|frame| frame.state == State::Torn).map(|frame| frame.at);
        step.truncate = match scan.tail {
            Tail::Torn(from) => Some(torn.unwrap_or(from)),
            _ => torn,
        };
    }
    // The newest carries the next number, unless it has none to tell.
    let silent = scan.header.is_err() && scan.frames.is_empty();
    step.remove = step.live == 0 && readable && (!newest || silent);
    if step.remove && !silent && step.corrupt.is_empty() {
        // What is damaged was settled before: nothing to look into.
        step.quarantine.clear();
    }
    step
}

fn record(id: u64, frame: &mut Frame, attempts: u32) -> (Slot, IndexEntry) {
    let head = frame.head;
    // Both fit: the scan takes no frame that ends beyond 32 bits.
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let slot = Slot { segment: id, at: narrow(frame.at), len: narrow(head.len_on_disk()), attempts };
    let entry = IndexEntry {
        seq: Seq(head.seq),
        enqueued_ms: head.enqueued_ms,
        meta: std::mem::take(&mut frame.meta),
        payload_len: head.payload_len,
        attempts,
        kind: head.kind,
        flags: head.flags,
        bytes_on_disk: head.len_on_disk(),
    };
    (slot, entry)
}

fn missing(
    base: u64,
    upper: u64,
    id: u64,
    known: impl Fn(u64) -> bool,
    step: &mut SegmentPlan,
    plan: &mut Plan,
) {
    if upper.saturating_sub(base) > MAX_MISSING {
        plan.notes.push(format!(
            "segment {id:016x}: numbers {base} to {upper} are too many to be true, missing records are not counted"
        ));
        return;
    }
    let mut run: Option<(u64, u64)> = None;
    for seq in base..upper {
        if known(seq) {
            flush(&mut run, plan);
            continue;
        }
        step.corrupt.push(seq);
        match &mut run {
            Some((_, count)) => *count += 1,
            None => run = Some((seq, 1)),
        }
    }
    flush(&mut run, plan);
}

fn flush(run: &mut Option<(u64, u64)>, plan: &mut Plan) {
    if let Some((seq, count)) = run.take() {
        plan.losses.push(LossFound {
            reason: LossReason::Missing,
            meta: None,
            kind: None,
            seq: Seq(seq),
            count,
        });
    }
}
