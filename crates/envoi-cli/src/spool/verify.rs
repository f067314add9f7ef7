//! `envoi spool verify`: reads everything and says what is wrong where.

use envoi::spool::store::{LaneView, SlotView};
use serde_json::{Value, json};

use super::Common;
use super::view;
use crate::error::{CliError, Exit};
use crate::output::{BAD, GOOD, Output, paint};
use crate::text;

/// Read everything and say what is wrong where; changes nothing
///
/// Exits with 1 if anything is wrong. `repair`, or whoever opens the buffer next, does what can be done about it.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
}

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The file or the entry.
    place: String,
    kind: &'static str,
    /// The bytes, where that says something.
    range: Option<(u64, Option<u64>)>,
    words: String,
}

pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    let slots = view::open(&args.common.dir)?;
    let findings = findings(&slots);
    let places = || view::places(&slots);
    let (sound, bad) = (
        places().filter(|place| place.record.is_sound).count() as u64,
        places().filter(|place| !place.record.is_sound).count() as u64,
    );
    let segments: usize =
        slots.iter().flat_map(|slot| &slot.lanes).map(|lane| lane.report.segments.len()).sum();
    if args.common.json {
        output.json(&json!({
            "is_sound": findings.is_empty(),
            "segments": segments,
            "sound_records": sound,
            "bad_records": bad,
            "in_use": slots.iter().any(|slot| slot.owner.is_some()),
            "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
        }));
        return Ok(Exit::when(findings.is_empty()));
    }
    for finding in &findings {
        output.line(finding.line());
    }
    let verdict = if findings.is_empty() {
        paint(GOOD, "sound")
    } else {
        paint(BAD, text::count(findings.len() as u64, "finding"))
    };
    output.line(format_args!(
        "{verdict}: {} in {} can be read",
        text::count(sound, "record"),
        text::count(segments as u64, "segment")
    ));
    if let Some(owner) = slots.iter().find_map(|slot| slot.owner.as_ref()) {
        let owner = owner.to_string();
        output.note(format_args!(
            "the spool is in use by {}; what is being written may look torn",
            text::clean(&owner)
        ));
    }
    Ok(Exit::when(findings.is_empty()))
}

/// What is wrong, slot by slot.
pub(super) fn findings(slots: &[SlotView]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for slot in slots {
        if let Some(why) = &slot.trouble {
            findings.push(Finding {
                place: slot.name.clone(),
                kind: "identity",
                range: None,
                words: why.clone(),
            });
        }
        for lane in &slot.lanes {
            of_lane(slot, lane, &mut findings);
        }
    }
    findings
}

fn of_lane(slot: &SlotView, lane: &LaneView, findings: &mut Vec<Finding>) {
    for record in lane.records.iter().filter(|record| !record.is_sound) {
        findings.push(Finding {
            place: format!("{}/{}/{}", slot.name, lane.lane.as_str(), record.seq),
            kind: "bad_record",
            range: None,
            words: "the payload is not what was written".to_owned(),
        });
    }
    for segment in &lane.report.segments {
        let mut add = |kind, range, words: &str| {
            let place = format!("{}/lane-{}/{:016x}.seg", slot.name, lane.lane.as_str(), segment.id);
            findings.push(Finding { place, kind, range, words: words.to_owned() });
        };
        if let Some(why) = &segment.unread {
            add("unread", None, &format!("not read: {why}"));
            continue;
        }
        if !segment.has_head {
            add("head", Some((0, Some(128))), "both copies of the head are damaged");
        }
        for (from, to) in &segment.damaged {
            add("damaged", Some((*from, Some(*to))), "no readable record");
        }
        if let Some(from) = segment.torn {
            add("torn", Some((from, None)), "a write was cut off, or what was there is damaged");
        }
        if segment.bad_acks > 0 {
            let words = format!("unreadable in the ack log: {}", text::grouped(segment.bad_acks));
            add("bad_acks", None, &words);
        }
    }
}

impl Finding {
    pub(super) fn line(&self) -> String {
        let range = match self.range {
            None => String::new(),
            Some((from, Some(to))) => format!(", bytes {}..{}", text::grouped(from), text::grouped(to)),
            Some((from, None)) => format!(", from byte {}", text::grouped(from)),
        };
        let words = text::clean(&self.words);
        format!("{}{range}: {}: {words}", text::clean(&self.place), paint(BAD, self.kind))
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "place": self.place,
            "kind": self.kind,
            "from": self.range.map(|(from, _)| from),
            "to": self.range.and_then(|(_, to)| to),
            "message": self.words,
        })
    }
}
