//! `envoi spool repair`: recovery, by hand.

use envoi::Envelope;
use envoi::spool::Spool;
use serde_json::json;

use super::Common;
use super::verify::{Finding, findings};
use super::view;
use crate::error::{CliError, Exit};
use crate::output::{Output, WARN, paint};
use crate::text;

/// Recover what can be read: damage goes to quarantine, torn ends are cut off
///
/// Does what every program does that opens the buffer, and tells what that was. Nothing is sent and nothing is evicted.
/// What was lost is reported to the server by whoever delivers the rest.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    let dir = &args.common.dir;
    let before = view::open_unused(dir)?;
    let spool = Spool::<Envelope>::open(dir, view::unbounded()).map_err(CliError::failed)?;
    let stats = spool.stats();
    drop(spool);
    let after = view::open(dir)?;
    let quarantined = |slots: &[envoi::spool::store::SlotView]| -> u64 {
        slots.iter().flat_map(|slot| &slot.lanes).map(|lane| lane.quarantine_bytes).sum()
    };
    let quarantined = quarantined(&after).saturating_sub(quarantined(&before));
    let (found, left) = (findings(&before), findings(&after));
    if args.common.json {
        output.json(&json!({
            "found": found.iter().map(Finding::json).collect::<Vec<_>>(),
            "lost_records": stats.corrupt,
            "quarantined_bytes": quarantined,
            "entries": stats.entries,
            "left": left.iter().map(Finding::json).collect::<Vec<_>>(),
        }));
        return Ok(Exit::Done);
    }
    for finding in &found {
        output.line(finding.line());
    }
    output.line(format_args!(
        "{} found damaged or missing and counted, {} copied to quarantine, {} can be delivered",
        text::count(stats.corrupt, "record"),
        text::count(quarantined, "byte"),
        text::count(stats.entries as u64, "envelope"),
    ));
    if !left.is_empty() {
        output.line(format_args!(
            "{}: damaged parts stay in their segments until the rest of those is delivered; they are not counted again",
            paint(WARN, text::count(left.len() as u64, "finding")),
        ));
    }
    Ok(Exit::Done)
}
