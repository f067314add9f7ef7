//! `envoi spool ls`: what waits, or the files that it is in.

use envoi::spool::log::SegmentReport;
use envoi::spool::store::{LaneView, SlotView};
use serde_json::json;

use super::Common;
use super::view::{self, Place};
use crate::error::{CliError, Exit};
use crate::output::{BAD, DIM, Output};
use crate::table::{Align, Cell, Table};

/// List what waits, oldest first; changes nothing
///
/// The address in the first column is what `envoi spool show` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,

    /// List the segments instead: records, settled ones, bad ones, damage
    #[arg(long)]
    segments: bool,
}

pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    let slots = view::open(&args.common.dir)?;
    match (args.segments, args.common.json) {
        (false, false) => output.line(entries(&slots)),
        (false, true) => {
            let entries: Vec<_> = view::places(&slots).map(|place| place.json()).collect();
            output.json(&json!({ "entries": entries }));
        }
        (true, false) => output.line(segments(&slots)),
        (true, true) => {
            let of = |(slot, lane, segment): (&SlotView, &LaneView, &SegmentReport)| {
                json!({
                    "slot": slot.name,
                    "lane": lane.lane.as_str(),
                    "segment": segment.id,
                    "bytes": segment.bytes,
                    "records": segment.records,
                    "live": segment.live,
                    "acked": segment.acked,
                    "bad": segment.bad,
                    "damaged": segment.damaged,
                    "torn": segment.torn,
                    "bad_acks": segment.bad_acks,
                    "unread": segment.unread,
                })
            };
            output.json(&json!({ "segments": all_segments(&slots).map(of).collect::<Vec<_>>() }));
        }
    }
    Ok(Exit::Done)
}

fn entries(slots: &[SlotView]) -> String {
    let mut table = Table::new(&[
        ("entry", Align::Left),
        ("age", Align::Right),
        ("attempts", Align::Right),
        ("bytes", Align::Right),
        ("content", Align::Left),
    ]);
    let (mut count, mut bytes) = (0_u64, 0);
    for place in view::places(slots) {
        let record = place.record;
        count += 1;
        bytes += record.payload_bytes;
        table.row([
            place.address().into(),
            view::in_words(view::age(record.enqueued_ms)).into(),
            u64::from(record.attempts).into(),
            record.payload_bytes.into(),
            content(place),
        ]);
    }
    table.sum([Cell::number(count), "".into(), "".into(), bytes.into(), "".into()]);
    table.render()
}

fn content(place: Place<'_>) -> Cell {
    if place.record.is_sound {
        Cell::new(place.content()).style(DIM)
    } else {
        Cell::new(format!("damaged: {}", place.content())).style(BAD)
    }
}

fn all_segments(slots: &[SlotView]) -> impl Iterator<Item = (&SlotView, &LaneView, &SegmentReport)> {
    slots.iter().flat_map(|slot| {
        let of = move |lane| move |segment| (slot, lane, segment);
        slot.lanes.iter().flat_map(move |lane| lane.report.segments.iter().map(of(lane)))
    })
}

fn segments(slots: &[SlotView]) -> String {
    let mut table = Table::new(&[
        ("segment", Align::Left),
        ("bytes", Align::Right),
        ("records", Align::Right),
        ("acked", Align::Right),
        ("bad", Align::Right),
        ("damaged", Align::Right),
        ("torn at", Align::Right),
    ]);
    for (slot, lane, segment) in all_segments(slots) {
        let alarm = |cell: Cell, is_alarming| if is_alarming { cell.style(BAD) } else { cell };
        table.row([
            Cell::new(format!("{}/{}/{:016x}", slot.name, lane.lane.as_str(), segment.id)),
            segment.bytes.into(),
            segment.records.into(),
            segment.acked.into(),
            alarm(segment.bad.into(), segment.bad > 0),
            alarm((segment.damaged.len() as u64).into(), !segment.damaged.is_empty()),
            segment.torn.map_or_else(|| "".into(), |at| Cell::number(at).style(BAD)),
        ]);
    }
    table.render()
}
