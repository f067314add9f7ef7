//! `envoi spool replay`: drains a disk buffer through the transport of the library.

use std::time::Duration;

use envoi::core::LedgerSnapshot;
use envoi::{DataCategory, Transport};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Common, view};
use crate::error::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::output::{DIM, Output, WARN, paint};
use crate::table::{Align, Cell, Table};
use crate::target::DsnArgs;
use crate::text;
use crate::transport::{self, Options, Spooling};
use crate::way::WayArgs;

/// Deliver what waits, oldest first; can be stopped and resumed
///
/// What the network keeps from the server stays in the buffer, and so does what a rate limit holds; what the server
/// refuses is discarded and reported to it. Ctrl-C stops; the rest stays for the next time.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,

    #[command(flatten)]
    target: DsnArgs,

    #[command(flatten)]
    way: WayArgs,

    /// The pause between two envelopes
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = text::duration)]
    pause: Duration,

    /// Stop when nothing got through for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = text::deadline)]
    patience: Duration,

    /// How long one attempt may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = text::deadline)]
    timeout: Duration,
}

/// How often the buffer is looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long deliveries that are on their way, and reports, may still take at the end.
const GRACE: Duration = Duration::from_secs(2);

/// Why draining ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Empty,
    /// Nothing got through for too long.
    Stalled,
    Interrupted,
}

impl Stop {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Stalled => "stalled",
            Self::Interrupted => "interrupted",
        }
    }
}

pub(crate) async fn run(args: Args, output: &mut Output) -> Result<Exit, CliError> {
    let dsn = args.target.resolve()?;
    let dir = &args.common.dir;
    view::open_unused(dir)?;
    let options = Options { timeout: args.timeout, ..Options::default() };
    let mut interrupt = Interrupt::listen()?;
    let way = args.way.resolve(dsn.envelope_url(), 0)?;
    let transport = transport::build(dsn, options, way, Some(&Spooling { dir, pause: args.pause }))?;
    let found = waiting(&transport);
    output.start_progress(found);
    let stop = drain(&transport, args.patience, &mut interrupt, output).await;
    let failure = transport.stats().and_then(|stats| stats.outbox.last_failure);
    tokio::select! {
        _ = transport.close(if stop == Stop::Empty { GRACE } else { GRACE / 4 }) => {}
        () = interrupt.reached(2) => {}
    }
    let left = waiting(&transport);
    output.end_progress();

    let ledger = transport.ledger();
    let accounts = || ledger.iter().map(|(_, account)| account);
    let is_done = left == 0 && accounts().all(|account| account.refused_total() + account.lost_total() == 0);
    if args.common.json {
        output.json(&json!({
            "found": found,
            "left": left,
            "stopped": stop.as_str(),
            "last_failure": failure.map(|failure| failure.message),
            "categories": categories(&ledger),
        }));
        return Ok(Exit::when(is_done));
    }
    output.line(table(&ledger));
    if left > 0 {
        let why = match stop {
            Stop::Interrupted => "stopped".to_owned(),
            Stop::Empty | Stop::Stalled => failure.map_or_else(
                || "held by a rate limit".to_owned(),
                |failure| text::clean(&failure.message).into_owned(),
            ),
        };
        output.note(format_args!(
            "{}: {} of {} left in the spool ({why}); run it again to resume",
            paint(WARN, "note"),
            text::grouped(left),
            text::count(found, "envelope"),
        ));
    }
    Ok(Exit::when(is_done))
}

/// Waits until everything in the buffer was delivered, nothing gets through any more, or the user has enough.
pub(crate) async fn drain(
    transport: &Transport,
    patience: Duration,
    interrupt: &mut Interrupt,
    output: &Output,
) -> Stop {
    let (mut left, mut since) = (waiting(transport), Instant::now());
    transport.online();
    while left > 0 {
        tokio::select! {
            () = interrupt.reached(1) => return Stop::Interrupted,
            () = tokio::time::sleep(TICK) => {}
        }
        let now = waiting(transport);
        for _ in now..left {
            output.advance();
        }
        if now < left {
            since = Instant::now();
        } else if since.elapsed() >= patience {
            return Stop::Stalled;
        }
        left = now;
    }
    Stop::Empty
}

/// Envelopes in the buffer, those on their way included.
pub(crate) fn waiting(transport: &Transport) -> u64 {
    transport.disk_stats().map_or(0, |stats| stats.entries as u64)
}

fn table(ledger: &LedgerSnapshot<DataCategory>) -> String {
    let mut table = Table::new(&[
        ("category", Align::Left),
        ("found", Align::Right),
        ("delivered", Align::Right),
        ("refused", Align::Right),
        ("lost", Align::Right),
        ("left", Align::Right),
    ]);
    for (category, account) in ledger.iter() {
        table.row([
            Cell::new(category.as_str()).style(DIM),
            account.posted.into(),
            account.delivered.into(),
            account.refused_total().into(),
            account.lost_total().into(),
            account.held().unwrap_or_default().into(),
        ]);
    }
    table.render()
}

fn categories(ledger: &LedgerSnapshot<DataCategory>) -> Map<String, Value> {
    let of = |(category, account): (&DataCategory, &envoi::core::Account)| {
        let numbers = json!({
            "found": account.posted,
            "delivered": account.delivered,
            "refused": account.refused_total(),
            "lost": account.lost_total(),
            "left": account.held(),
        });
        (category.as_str().to_owned(), numbers)
    };
    ledger.iter().map(of).collect()
}
