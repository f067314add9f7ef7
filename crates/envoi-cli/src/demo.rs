//! `envoi demo`: a delivery with faults, told live, and the proof that nothing was lost unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::time::Duration;

use envoi_core::LedgerSnapshot;
use envoi_envelope::{DataCategory, Dsn};
use envoi_http::Encoding;
use envoi_testkit::corpus;
use envoi_testkit::ingest::{IngestServer, Step};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::balance::Balance;
use crate::delivery::Deliveries;
use crate::error::{CliError, Exit};
use crate::files::Source;
use crate::outcome::{Class, Outcome};
use crate::output::{BAD, BOLD, DIM, GOOD, Output, WARN, paint};
use crate::stack;
use crate::table::{Align, Table};
use crate::text;

/// See a delivery with faults in a few seconds, and its books
///
/// Starts an ingest server on loopback, sends it real envelopes of Sentry SDKs through the same stack as `envoi send`,
/// lets the server be slow, refuse and announce a rate limit, and prints what became of every item. Exits with 1 if
/// the books do not balance or if the server counted something else.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  envoi demo")]
pub(crate) struct Args {}

const RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");

/// What the server does instead of the usual to the request of this number, and how that is told.
fn scene(request: u64) -> Option<(Step, &'static str)> {
    let limited = |status, quota| Step::reply(status).header(RATE_LIMITS, HeaderValue::from_static(quota));
    Some(match request {
        5 => (Step::judge().after(Duration::from_millis(400)), "is slow: the next answer takes 400 ms"),
        10 => (
            limited(StatusCode::TOO_MANY_REQUESTS, "60:log_item:organization:log_quota")
                .body(r#"{"detail":"log quota exceeded"}"#),
            "has had enough logs: 429, and no more of them for a minute",
        ),
        17 => (
            limited(StatusCode::OK, "60:session:organization:session_quota").body("{}"),
            "takes this one, but wants no more sessions for a minute",
        ),
        _ => return None,
    })
}

pub(crate) async fn run(output: &mut Output) -> Result<Exit, CliError> {
    let server = IngestServer::start()
        .await
        .map_err(|error| CliError::failed(format_args!("cannot listen on loopback: {error}")))?;
    let (tell, told) = mpsc::channel();
    server.on_request(move |number, _| {
        let (step, words) = scene(number)?;
        // The demo outlives its server.
        let _ = tell.send(words);
        Some(step)
    });
    let dsn = Dsn::parse(&server.dsn()).map_err(CliError::failed)?;
    let options = stack::Options {
        encoding: Encoding::Gzip,
        level: None,
        concurrency: 1,
        timeout: Duration::from_secs(10),
    };
    let samples: Vec<Source> = corpus::all().iter().map(Source::Sample).collect();
    output.line(format_args!(
        "{} of real SDKs, gzipped, to an ingest server at {}",
        paint(BOLD, text::count(samples.len() as u64, "envelope")),
        server.address(),
    ));

    // One after the other, so that the story is always the same.
    let mut deliveries = Deliveries::new(stack::build(&dsn, options), samples, 1);
    let mut story = Story::default();
    let mut balance = Balance::default();
    while let Some(outcome) = deliveries.next().await {
        balance.add(&outcome);
        story.tell(told.try_iter(), &outcome, output);
    }
    story.catch_up(output);

    let ledger = deliveries.ledger().snapshot();
    let received = server.received_tally();
    let refused = server.refused_tally().remove(&StatusCode::TOO_MANY_REQUESTS).unwrap_or_default();
    server.shutdown().await;
    output.line("");
    output.line(balance.table());
    output.line("");
    let audit = Audit::of(&ledger, &received, &refused);
    output.line(audit.table.render());
    output.line("");
    if audit.is_right {
        output.line(format_args!(
            "{}: in every category posted = delivered + refused + held back, and the server counted the same",
            paint(GOOD, "the books balance")
        ));
    } else {
        output.line(format_args!("{}; see the last column", paint(BAD, "the books do not balance")));
    }
    Ok(Exit::when(audit.is_right))
}

/// Tells outcomes in few lines: deliveries without an incident are counted.
#[derive(Debug, Default)]
struct Story {
    uneventful: u64,
}

impl Story {
    fn tell(&mut self, scenes: impl Iterator<Item = &'static str>, outcome: &Outcome, output: &mut Output) {
        let mut eventful = outcome.held > 0 || outcome.class() != Class::Delivered;
        for words in scenes {
            self.catch_up(output);
            output.line(format_args!("{} {words}", paint(WARN, "the server")));
            eventful = true;
        }
        if eventful {
            self.catch_up(output);
            output.line(format_args!("  {}", outcome.line()));
        } else {
            self.uneventful += 1;
        }
    }

    fn catch_up(&mut self, output: &mut Output) {
        if self.uneventful > 0 {
            let many = text::count(self.uneventful, "envelope");
            output.line(format_args!("  {} {}", many, paint(GOOD, "delivered")));
        }
        self.uneventful = 0;
    }
}

/// The ledger of the client next to the books of the server.
struct Audit {
    table: Table,
    is_right: bool,
}

type Tally = BTreeMap<DataCategory, u64>;

impl Audit {
    fn of(ledger: &LedgerSnapshot<DataCategory>, received: &Tally, refused: &Tally) -> Self {
        let mut table = Table::new(&[
            ("category", Align::Left),
            ("posted", Align::Right),
            ("delivered", Align::Right),
            ("refused", Align::Right),
            ("held back", Align::Right),
            ("the server counted", Align::Left),
        ]);
        let mut is_right = ledger.is_settled();
        let known = ledger.iter().map(|(category, _)| category);
        let categories: BTreeSet<_> = known.chain(received.keys()).chain(refused.keys()).collect();
        for category in categories {
            let account = ledger.get(category).cloned().unwrap_or_default();
            let counted = |tally: &Tally| tally.get(category).copied().unwrap_or_default();
            let theirs = (counted(received), counted(refused));
            let agrees = theirs == (account.delivered, account.refused_total());
            is_right &= agrees;
            let (style, word) = if agrees { (DIM, "the same") } else { (BAD, "otherwise") };
            let verdict = match theirs {
                (taken, 0) => format!("{} taken: {word}", text::grouped(taken)),
                (taken, not) => {
                    format!("{} taken, {} refused: {word}", text::grouped(taken), text::grouped(not))
                }
            };
            table.row([
                category.as_str().into(),
                account.posted.into(),
                account.delivered.into(),
                account.refused_total().into(),
                account.lost_total().into(),
                crate::table::Cell::new(verdict).style(style),
            ]);
        }
        Self { table, is_right }
    }
}
