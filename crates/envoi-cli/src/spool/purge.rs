//! `envoi spool purge`: deletes what waits.

use envoi::spool::store::purge;
use serde_json::json;

use super::Common;
use super::view;
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::text;

/// Delete everything that waits, unsent
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,

    /// Really do so; without it, only say what would be deleted
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    let dir = &args.common.dir;
    let slots = view::open_unused(dir)?;
    let entries = view::places(&slots).filter(view::Place::is_entry).count() as u64;
    let categories = view::by_category(view::places(&slots));
    let purged = if args.yes { Some(purge(dir).map_err(CliError::failed)?) } else { None };
    if args.common.json {
        output.json(&json!({
            "purged": purged.is_some(),
            "entries": entries,
            "categories": categories,
            "files": purged.map(|purged| purged.files),
            "bytes": purged.map(|purged| purged.bytes),
        }));
    } else {
        let parts: Vec<String> = categories
            .iter()
            .map(|(name, quantity)| format!("{name} {}", text::grouped(*quantity)))
            .collect();
        let parts = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
        let envelopes = text::count(entries, "envelope");
        match purged {
            Some(purged) => output.line(format_args!(
                "deleted {envelopes} ({}), {} in {}",
                text::clean(&parts),
                text::count(purged.bytes, "byte"),
                text::count(purged.files, "file"),
            )),
            None => {
                output
                    .line(format_args!("would delete {envelopes} ({}); --yes does it", text::clean(&parts)));
            }
        }
    }
    Ok(Exit::when(args.yes))
}
