//! `envoi spool stats`: a disk buffer in numbers.

use serde_json::json;

use super::Common;
use super::view;
use crate::error::{CliError, Exit};
use crate::inspect;
use crate::output::Output;
use crate::text;

/// Show totals: entries, bytes, the oldest, by category; changes nothing
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    let slots = view::open(&args.common.dir)?;
    let lanes = || slots.iter().flat_map(|slot| &slot.lanes);
    let entries = view::places(&slots).filter(view::Place::is_entry).count() as u64;
    let items: u64 = view::places(&slots).map(|place| place.record.items).sum();
    let oldest = view::places(&slots).map(|place| place.record.enqueued_ms).min();
    let bytes: u64 = lanes().map(envoi::spool::store::LaneView::disk_bytes).sum();
    let segments: usize = lanes().map(|lane| lane.report.segments.len()).sum();
    let quarantine: u64 = lanes().map(|lane| lane.quarantine_bytes).sum();
    let losses: u64 = view::places(&slots)
        .filter_map(|place| place.record.losses.as_ref())
        .flatten()
        .map(|(_, _, quantity)| *quantity)
        .sum();
    let categories = view::by_category(view::places(&slots));
    if args.common.json {
        let all_slots: Vec<_> =
            slots.iter().map(|slot| json!({ "slot": slot.name, "owner": view::owner(slot) })).collect();
        output.json(&json!({
            "entries": entries,
            "items": items,
            "categories": categories,
            "oldest_ms": oldest,
            "oldest_age_s": oldest.map(|ms| view::age(ms).as_secs()),
            "disk_bytes": bytes,
            "quarantine_bytes": quarantine,
            "segments": segments,
            "unreported_losses": losses,
            "slots": all_slots,
        }));
        return Ok(Exit::Done);
    }
    let mut facts = vec![("entries", text::grouped(entries)), ("items", text::grouped(items))];
    let parts: Vec<String> =
        categories.iter().map(|(name, quantity)| format!("{name} {}", text::grouped(*quantity))).collect();
    facts.push(("by category", parts.join(", ")));
    facts.push(("oldest", oldest.map_or_else(String::new, |ms| view::in_words(view::age(ms)))));
    facts.push((
        "on disk",
        format!("{} in {}", text::count(bytes, "byte"), text::count(segments as u64, "segment")),
    ));
    facts.push(("quarantine", text::count(quarantine, "byte")));
    facts.push(("losses to report", text::grouped(losses)));
    for slot in &slots {
        let owner =
            slot.owner.as_ref().map_or_else(|| "not in use".to_owned(), |owner| format!("in use by {owner}"));
        facts.push(("slot", format!("{}, {owner}", slot.name)));
    }
    let facts: Vec<_> = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    inspect::show_facts(&facts, output);
    Ok(Exit::Done)
}
