//! `envoi inspect`: what is in an envelope or a DSN, or where it is malformed.

use std::path::PathBuf;

use envoi::core::{Itemized, Payload};
use envoi::envelope::{Dsn, Envelope};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::delivery;
use crate::error::{CliError, Exit};
use crate::files::{self, Source};
use crate::outcome::Defect;
use crate::output::{BOLD, DIM, Output, paint};
use crate::table::{Align, Cell, Table};
use crate::text;

/// Show what is in an envelope or a DSN, or where exactly it is malformed
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// An envelope file, or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "dsn", conflicts_with = "dsn")]
    file: Option<PathBuf>,

    /// Look at this DSN instead
    #[arg(long, value_name = "DSN")]
    dsn: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Examples:
  envoi inspect crash.envelope
  envoi inspect --json - < crash.envelope
  envoi inspect --dsn https://key@o1.ingest.example.com/42

With --json an envelope is
  {\"header\":{…},\"items\":[{\"type\",\"header\",\"header_offset\",
    \"payload_offset\",\"payload_bytes\",\"payload_sha256\"}]}
and a DSN
  {\"scheme\",\"public_key\",\"secret_present\",\"host\",\"port\",\"path\",
   \"project_id\",\"envelope_url\"}
Something malformed is
  {\"error\":{\"kind\",\"stage\",\"item\",\"offset\",\"message\"}}
where `item` counts from 0 and `offset` is in bytes. The secret of a DSN is never shown.

Exit codes: 0 well-formed, 1 malformed or unreadable, 2 the command line makes no sense.";

pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    let shown = match (&args.dsn, &args.file) {
        (Some(dsn), _) => dsn_view(dsn).map(|view| show_dsn(&view, args.json, output)),
        (None, Some(file)) => {
            let source = if file.as_os_str() == "-" { Source::Stdin } else { Source::File(file.clone()) };
            parse(&source).map(|envelope| show_envelope(&envelope, args.json, output))
        }
        (None, None) => return Err(CliError::usage("name a FILE or a --dsn to inspect")),
    };
    let Err(defect) = shown else {
        return Ok(Exit::Done);
    };
    if args.json {
        output.json(&json!({ "error": defect.json() }));
        Ok(Exit::Failed)
    } else {
        let subject = args.file.as_ref().map_or_else(|| "DSN".to_owned(), |file| file.display().to_string());
        Err(CliError::failed(format_args!("{subject}: {}", defect.message)))
    }
}

fn parse(source: &Source) -> Result<Envelope, Defect> {
    let bytes = source.read(files::MAX_BYTES).map_err(|cause| Defect {
        kind: "unreadable".to_owned(),
        stage: "read".to_owned(),
        item: None,
        offset: None,
        message: cause,
    })?;
    Envelope::parse(bytes).map_err(|error| delivery::defect(&error))
}

/// One item, for machines.
#[derive(Serialize)]
struct ItemView<'a> {
    r#type: &'a str,
    header: &'a RawValue,
    header_offset: Option<usize>,
    payload_offset: Option<usize>,
    payload_bytes: usize,
    payload_sha256: String,
}

/// An envelope, for machines.
#[derive(Serialize)]
struct EnvelopeView<'a> {
    header: Box<RawValue>,
    items: Vec<ItemView<'a>>,
}

/// Shows what is in an envelope, as JSON or in words.
pub(crate) fn show_envelope(envelope: &Envelope, json: bool, output: &mut Output) {
    let header = header(envelope);
    if json {
        let items = envelope.items().iter().map(|item| ItemView {
            r#type: item.item_type().as_str(),
            header: raw(item.header_raw()),
            header_offset: item.header_offset(),
            payload_offset: item.payload_offset(),
            payload_bytes: item.payload().len(),
            payload_sha256: text::hex(&Sha256::digest(item.payload())),
        });
        output.json(&EnvelopeView { items: items.collect(), header });
        return;
    }
    output.line(format_args!(
        "{}, {}",
        text::count(envelope.items().len() as u64, "item"),
        text::count(envelope.weight().bytes as u64, "byte")
    ));
    let mut losses = Vec::new();
    envelope.tally(&mut |category, quantity| losses.push(format!("{category} {}", text::grouped(quantity))));
    let mut facts = members(header.get());
    facts.push(("counts as".to_owned(), losses.join(", ")));
    show_facts(&facts, output);
    if envelope.items().is_empty() {
        return;
    }
    let mut table = Table::new(&[
        ("item", Align::Right),
        ("type", Align::Left),
        ("header at", Align::Right),
        ("payload at", Align::Right),
        ("bytes", Align::Right),
        ("attributes", Align::Left),
    ]);
    let at = |offset: Option<usize>| offset.map_or_else(|| "".into(), |offset| Cell::number(offset as u64));
    for (index, item) in envelope.items().iter().enumerate() {
        let attributes = members(raw(item.header_raw()).get()).into_iter();
        let attributes = attributes
            .filter(|(name, _)| !matches!(name.as_str(), "type" | "length"))
            .map(|(name, value)| format!("{name}={value}"));
        table.row([
            Cell::number(index as u64),
            item.item_type().as_str().into(),
            at(item.header_offset()),
            at(item.payload_offset()),
            Cell::number(item.payload().len() as u64),
            Cell::new(attributes.collect::<Vec<_>>().join(" ")).style(DIM),
        ]);
    }
    output.line("");
    output.line(table.render());
}

/// The header, verbatim, but for the secret of a DSN in it (AU-7).
fn header(envelope: &Envelope) -> Box<RawValue> {
    let verbatim = raw(envelope.header_raw());
    let Some(dsn) = envelope.dsn().filter(Dsn::has_secret) else {
        return verbatim.to_owned();
    };
    let Ok(serde_json::Value::Object(mut header)) = serde_json::from_str(verbatim.get()) else {
        return verbatim.to_owned();
    };
    header.insert("dsn".to_owned(), dsn.to_string().into());
    serde_json::value::to_raw_value(&header).unwrap_or_default()
}

/// A header of an envelope as JSON; the parser has seen that it is.
fn raw(header: &[u8]) -> &RawValue {
    serde_json::from_slice(header).unwrap_or(RawValue::NULL)
}

/// The members of an object in words: strings without quotes, everything else as JSON.
fn members(object: &str) -> Vec<(String, String)> {
    const MOST: usize = 120;
    let members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(object).unwrap_or_default();
    let in_words = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    members
        .into_iter()
        .map(|(name, value)| (name, text::shorten(&in_words(value), MOST).into_owned()))
        .collect()
}

/// Shows names and values in two columns.
pub(crate) fn show_facts(facts: &[(String, String)], output: &mut Output) {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in facts {
        let name = format!("{name:width$}");
        output.line(format_args!("{}  {}", paint(BOLD, text::clean(&name)), text::clean(value)));
    }
}

/// A DSN, for machines. The secret is only there or not (AU-7).
#[derive(Serialize)]
struct DsnView {
    scheme: String,
    public_key: String,
    secret_present: bool,
    host: String,
    port: u16,
    path: String,
    project_id: String,
    envelope_url: String,
}

fn dsn_view(text: &str) -> Result<DsnView, Defect> {
    let dsn = Dsn::parse(text).map_err(|error| Defect {
        kind: error.kind().as_str().to_owned(),
        stage: "dsn".to_owned(),
        item: None,
        offset: None,
        message: error.to_string(),
    })?;
    Ok(DsnView {
        scheme: dsn.scheme().to_string(),
        public_key: dsn.public_key().to_owned(),
        secret_present: dsn.has_secret(),
        host: dsn.host().to_owned(),
        port: dsn.port().unwrap_or(dsn.scheme().default_port()),
        path: dsn.path().to_owned(),
        project_id: dsn.project_id().to_owned(),
        envelope_url: dsn.envelope_url().to_string(),
    })
}

fn show_dsn(view: &DsnView, json: bool, output: &mut Output) {
    if json {
        output.json(view);
        return;
    }
    let secret = if view.secret_present { "present, not shown" } else { "none" };
    let facts = [
        ("scheme", view.scheme.clone()),
        ("public key", view.public_key.clone()),
        ("secret", secret.to_owned()),
        ("host", view.host.clone()),
        ("port", view.port.to_string()),
        ("path", view.path.clone()),
        ("project id", view.project_id.clone()),
        ("envelope URL", view.envelope_url.clone()),
    ];
    show_facts(&facts.map(|(name, value)| (name.to_owned(), value)), output);
}
