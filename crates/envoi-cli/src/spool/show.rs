//! `envoi spool show`: one record.

use envoi::Envelope;
use envoi::spool::store::read_payload;
use serde_json::json;

use super::Common;
use super::view::{self, Place};
use crate::delivery;
use crate::error::{CliError, Exit};
use crate::inspect;
use crate::output::Output;
use crate::text;

/// Show one record: what the buffer knows of it, and the envelope; changes nothing
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,

    /// Which, as `ls` calls it; what makes it unique is enough: `17`, `critical/17`, `slot-00/critical/17`
    #[arg(value_name = "ENTRY")]
    entry: String,
}

pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    let slots = view::open(&args.common.dir)?;
    let place = find(view::places(&slots), &args.entry)?;
    if args.common.json {
        output.json(&place.json());
    } else {
        let facts = [
            ("entry", place.address()),
            ("accepted", format!("{} ago", view::in_words(view::age(place.record.enqueued_ms)))),
            ("attempts", place.record.attempts.to_string()),
            ("on disk", text::count(place.record.bytes_on_disk, "byte")),
            ("content", place.content()),
        ];
        inspect::show_facts(&facts.map(|(name, value)| (name.to_owned(), value)), output);
    }
    if !place.is_entry() {
        return Ok(Exit::Done);
    }
    let payload = read_payload(place.slot, place.lane, place.record)
        .map_err(|error| CliError::failed(format_args!("{} cannot be read: {error}", place.address())))?;
    let Some(payload) = payload else {
        return Err(CliError::failed(format_args!("the payload of {} is damaged", place.address())));
    };
    match Envelope::parse(payload) {
        Ok(envelope) => {
            if !args.common.json {
                output.line("");
            }
            inspect::show_envelope(&envelope, args.common.json, output);
            Ok(Exit::Done)
        }
        Err(error) if args.common.json => {
            output.json(&json!({ "error": delivery::defect(&error).json() }));
            Ok(Exit::Failed)
        }
        Err(error) => {
            Err(CliError::failed(format_args!("the payload of {} is no envelope: {error}", place.address())))
        }
    }
}

fn find<'a>(places: impl Iterator<Item = Place<'a>>, entry: &str) -> Result<Place<'a>, CliError> {
    let end = format!("/{}", entry.trim_start_matches('/'));
    let mut found = places.filter(|place| format!("/{}", place.address()).ends_with(&end));
    let first = found.next().ok_or_else(|| {
        CliError::failed(format_args!("there is no entry {entry}; `envoi spool ls` lists what waits"))
    })?;
    match found.next() {
        None => Ok(first),
        Some(second) => Err(CliError::usage(format_args!(
            "{entry} is ambiguous: {} or {}",
            first.address(),
            second.address()
        ))),
    }
}
