//! `envoi ingest`: a local stand-in for Sentry.

use std::net::SocketAddr;

use envoi::envelope::{Envelope, rfc3339};
use envoi_testkit::ingest::{IngestServer, Record, Summary};
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::{CliError, Exit};
use crate::faults::{self, Faults, Rule};
use crate::interrupt::Interrupt;
use crate::output::{BAD, BOLD, DIM, GOOD, Output, WARN, paint};
use crate::table::{Align, Table};
use crate::text;

/// Take envelopes like Sentry would, and show them; with faults on demand
#[derive(clap::Args)]
#[command(after_help = help())]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8969")]
    listen: SocketAddr,

    /// Fail on demand, see below; may be repeated
    #[arg(long, value_name = "FAULT")]
    fail: Vec<Rule>,

    /// Print JSON lines: where it listens, one object per request, and a summary as the last
    #[arg(long)]
    json: bool,
}

fn help() -> String {
    format!(
        "\
Examples:
  envoi ingest
  envoi ingest --listen 127.0.0.1:0 --json
  envoi ingest --fail 429*3 --fail retry-after=5*3
  envoi ingest --fail rate=60:error:organization --fail every:10=503 --fail delay=200ms

{}

With --json every line is an object with a `type`:
  {{\"type\":\"listening\",\"address\",\"dsn\",\"envelope_url\"}}
  {{\"type\":\"request\",\"time\",\"status\",\"accepted\",\"method\",\"path\",\"project\",\"encoding\",\"wire_bytes\",
   \"body_bytes\",\"event_id\",\"items\":[{{\"type\",\"bytes\",\"sha256\"}}],\"problems\":[…]}}, `status` null: not
   answered
  {{\"type\":\"summary\",\"requests\",\"accepted\",\"items\",\"statuses\":{{…}},\"unanswered\",\"problems\",
   \"wire_bytes\",\"body_bytes\",\"received\":{{category: quantity}}}}

Ctrl-C or SIGTERM ends it with a summary and exit code 0.",
        faults::HELP
    )
}

pub(crate) async fn run(args: Args, output: &mut Output) -> Result<Exit, CliError> {
    let mut interrupt = Interrupt::listen()?;
    // What is shown needs not be remembered.
    let builder = IngestServer::builder().with_address(args.listen).remembering(1, 0);
    let server = builder.start().await.map_err(|error| {
        CliError::failed(format_args!(
            "cannot listen on {}: {error}; --listen 127.0.0.1:0 takes a free port",
            args.listen
        ))
    })?;
    if !args.fail.is_empty() {
        let mut faults = Faults::new(args.fail);
        server.on_request(move |_, _| Some(faults.next().into()));
    }
    let mut events = server.events();
    greet(&server, args.json, output);

    while !output.is_broken() {
        tokio::select! {
            record = events.next() => match record {
                Some(record) => show(&record, args.json, output),
                None => break,
            },
            () = interrupt.reached(1) => break,
        }
    }
    let received = server.received_tally();
    let summary = tokio::select! {
        summary = server.shutdown() => summary,
        () = interrupt.reached(2) => return Ok(Exit::Failed),
    };
    while let Some(record) = events.next().await {
        show(&record, args.json, output);
    }
    if events.missed() > 0 {
        let missed = text::count(events.missed(), "request");
        output.note(format_args!("{missed} came too fast to be shown; the summary counts all"));
    }
    let received = received.iter().map(|(category, quantity)| (category.to_string(), *quantity)).collect();
    finish(&summary, received, args.json, output);
    Ok(Exit::Done)
}

fn greet(server: &IngestServer, json: bool, output: &mut Output) {
    if json {
        output.json(&json!({
            "type": "listening",
            "address": server.address().to_string(),
            "dsn": server.dsn(),
            "envelope_url": server.url(),
        }));
    } else {
        output.line(format_args!("listening on {}, use the DSN", server.address()));
        output.line(format_args!("  {}", paint(BOLD, server.dsn())));
        output.line(paint(DIM, "Ctrl-C ends it"));
    }
}

fn encoding(record: &Record) -> &'static str {
    record.encoding.map_or("identity", |encoding| encoding.as_str())
}

fn show(record: &Record, json: bool, output: &mut Output) {
    if json {
        output.json(&record_json(record));
        return;
    }
    let style = match record.status {
        Some(status) if status.is_success() => GOOD,
        Some(StatusCode::TOO_MANY_REQUESTS) => WARN,
        _ => BAD,
    };
    let status = record.status.map_or_else(|| "---".to_owned(), |status| status.as_str().to_owned());
    let time = rfc3339(record.head.at);
    let mut line = format!(
        "{} {} {} {} {}",
        paint(DIM, time.get(11..19).unwrap_or(&time)),
        paint(style, status),
        encoding(record),
        text::count(record.wire.len() as u64, "byte"),
        contents(record),
    );
    for problem in &record.problems {
        line.push_str(&format!("; {}", paint(WARN, text::clean(&problem.to_string()))));
    }
    if record.status.is_none() {
        line.push_str("; not answered");
    }
    output.line(line);
}

/// The types of the items, repetitions counted: `event + 2 attachment`.
fn contents(record: &Record) -> String {
    let Some(envelope) = &record.envelope else {
        let what = format!("{} {}", record.head.method, record.head.uri.path());
        return text::clean(&what).into_owned();
    };
    let mut types: Vec<(&str, u64)> = Vec::new();
    for item in envelope.items() {
        let name = item.item_type().as_str();
        match types.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            _ => types.push((name, 1)),
        }
    }
    let mut parts: Vec<String> = types
        .iter()
        .take(8)
        .map(|(name, count)| if *count == 1 { (*name).to_owned() } else { format!("{count} {name}") })
        .collect();
    if types.len() > parts.len() {
        parts.push("…".to_owned());
    }
    text::clean(&parts.join(" + ")).into_owned()
}

fn record_json(record: &Record) -> Value {
    let items = record.envelope.iter().flat_map(Envelope::items);
    let items: Vec<Value> = items
        .map(|item| {
            let hash = text::hex(&Sha256::digest(item.payload()));
            json!({ "type": item.item_type().as_str(), "bytes": item.payload().len(), "sha256": hash })
        })
        .collect();
    let event_id = record.envelope.as_ref().and_then(Envelope::event_id);
    json!({
        "type": "request",
        "time": rfc3339(record.head.at),
        "status": record.status.map(|status| status.as_u16()),
        "accepted": record.is_accepted(),
        "method": record.head.method.as_str(),
        "path": record.head.uri.path(),
        "project": record.project,
        "encoding": encoding(record),
        "wire_bytes": record.wire.len(),
        "body_bytes": record.body.len(),
        "event_id": event_id.map(|id| id.to_string()),
        "items": items,
        "problems": record.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn finish(summary: &Summary, received: Vec<(String, u64)>, json: bool, output: &mut Output) {
    if json {
        let statuses =
            summary.statuses.iter().map(|(status, count)| (status.as_str().to_owned(), json!(count)));
        let received = received.into_iter().map(|(category, quantity)| (category, json!(quantity)));
        output.json(&json!({
            "type": "summary",
            "requests": summary.requests,
            "accepted": summary.accepted,
            "items": summary.items,
            "statuses": Value::Object(statuses.collect()),
            "unanswered": summary.unanswered,
            "problems": summary.problems,
            "wire_bytes": summary.wire_bytes,
            "body_bytes": summary.body_bytes,
            "received": Value::Object(received.collect()),
        }));
        return;
    }
    let mut table = Table::new(&[("answer", Align::Left), ("requests", Align::Right)]);
    for (status, count) in &summary.statuses {
        table.row([status.to_string().into(), (*count).into()]);
    }
    if summary.unanswered > 0 {
        table.row(["not answered".into(), summary.unanswered.into()]);
    }
    table.sum(["total".into(), summary.requests.into()]);
    output.line("");
    output.line(table.render());
    if !received.is_empty() {
        let mut table = Table::new(&[("accepted", Align::Left), ("quantity", Align::Right)]);
        for (category, quantity) in received {
            table.row([category.into(), quantity.into()]);
        }
        output.line("");
        output.line(table.render());
    }
}
