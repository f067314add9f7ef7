//! `envoi send`: deliver envelope files.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;
use envoi_http::Encoding;
use tokio::time::Instant;

use crate::balance::Balance;
use crate::delivery::Deliveries;
use crate::error::{CliError, Exit};
use crate::files;
use crate::interrupt::Interrupt;
use crate::outcome::{Class, Outcome};
use crate::output::{Output, WARN, paint};
use crate::stack;
use crate::target::DsnArgs;
use crate::text;

/// Deliver envelope files to a server, and say what became of each
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    target: DsnArgs,

    /// Content encoding of the requests: identity, gzip, deflate, br or zstd
    #[arg(long, value_name = "NAME", default_value_t = Encoding::Gzip)]
    encoding: Encoding,

    /// Compression level, as the encoding counts it
    #[arg(long, value_name = "N")]
    level: Option<u32>,

    /// How many envelopes are on their way at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,

    /// How long one attempt may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = text::deadline)]
    timeout: Duration,

    /// Print JSON lines: one object per envelope, and a summary as the last
    #[arg(long)]
    json: bool,

    /// Tell every outcome and trace the requests; -vv traces more
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,

    /// Files, directories (searched for *.envelope), or - for one envelope from standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

const HELP: &str = "\
Examples:
  envoi send --dsn https://key@o1.ingest.example.com/42 crash.envelope
  SENTRY_DSN=… envoi send --encoding zstd --concurrency 32 ~/.cache/app/
  envoi send --json cache/ | jq 'select(.outcome != \"delivered\")'
  curl … | envoi send -

Every envelope has one outcome: delivered; refused by the server; limited, by a 429 or by a limit
that the server had announced before; failed on the way; malformed; unreadable; empty; unsent.
Nothing is tried twice. Ctrl-C begins no more, waits a moment for what is on its way, and prints
the balance; a second Ctrl-C does not wait.

With --json every line is an object with a `type`, the summary comes last:
  {\"type\":\"envelope\",\"file\",\"event_id\",\"items\",\"held_items\",\"bytes\",\"outcome\"} and more:
    delivered          \"status\",\"id\"
    refused, limited   \"status\",\"server_error\",\"detail\",\"causes\"
    failed             \"kind\",\"message\"
    malformed          \"error\":{\"kind\",\"stage\",\"item\",\"offset\",\"message\"}
    unreadable         \"message\"
  {\"type\":\"summary\",\"envelopes\",\"items\",\"bytes\",\"all_delivered\"} and for each outcome
    {\"envelopes\",\"items\",\"bytes\",\"reasons\":[{\"why\",\"envelopes\",\"items\",\"bytes\"}]}

Exit codes: 0 all were delivered, 1 some were not, 2 the command line makes no sense.";

/// How many envelopes are read ahead of those that are on their way.
const READ_AHEAD: usize = 2;

/// After Ctrl-C, how long deliveries that are on their way may still take.
const GRACE: Duration = Duration::from_secs(2);

/// How many problems are told one by one.
const MOST_PROBLEMS: u64 = 20;

pub(crate) async fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    let dsn = args.target.resolve()?;
    let found = files::discover(&args.paths)?;
    if found.passed_over > 0 {
        output.note(format_args!(
            "{}: {} in directories passed over, only *.{} is taken there; name a file to send it",
            paint(WARN, "note"),
            text::count(found.passed_over, "file"),
            files::SUFFIX,
        ));
    }
    stack::trace(args.verbose);
    let options = stack::Options {
        encoding: args.encoding,
        level: args.level,
        concurrency: args.concurrency.into(),
        timeout: args.timeout,
    };
    let service = stack::build(&dsn, options);

    let mut interrupt = Interrupt::listen()?;
    output.start_progress(found.sources.len() as u64);
    let mut deliveries = Deliveries::new(service, found.sources, options.concurrency + READ_AHEAD);
    let mut report = Report { balance: Balance::default(), told: 0, args };
    let mut phase = Phase::Sending;
    loop {
        tokio::select! {
            outcome = deliveries.next() => match outcome {
                Some(outcome) => report.add(&outcome, output),
                None => break,
            },
            () = phase.is_over(&mut interrupt) => {
                phase = match phase {
                    Phase::Sending => {
                        report.balance.add_unsent(deliveries.stop());
                        Phase::Stopping(Instant::now() + GRACE)
                    }
                    Phase::Stopping(_) | Phase::Aborted => {
                        deliveries.abort();
                        Phase::Aborted
                    }
                }
            }
        }
    }
    output.end_progress();
    report.finish(output);
    Ok(Exit::when(report.balance.all_delivered()))
}

/// How far the user has let the command come.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Sending,
    /// No more are begun; what is on its way has until then.
    Stopping(Instant),
    Aborted,
}

impl Phase {
    async fn is_over(self, interrupt: &mut Interrupt) {
        match self {
            Self::Sending => interrupt.reached(1).await,
            Self::Stopping(deadline) => tokio::select! {
                () = interrupt.reached(2) => {}
                () = tokio::time::sleep_until(deadline) => {}
            },
            Self::Aborted => std::future::pending().await,
        }
    }
}

struct Report<'a> {
    balance: Balance,
    told: u64,
    args: &'a Args,
}

impl Report<'_> {
    fn add(&mut self, outcome: &Outcome, output: &mut Output) {
        self.balance.add(outcome);
        output.advance();
        if self.args.json {
            output.json(&outcome.json());
        } else if self.args.verbose > 0 || (outcome.class().is_about_the_file() && self.told < MOST_PROBLEMS)
        {
            self.told += u64::from(outcome.class() != Class::Delivered);
            output.note(outcome.line());
        }
    }

    fn finish(&self, output: &mut Output) {
        if self.args.json {
            output.json(&self.balance.json());
            return;
        }
        let problems = self.balance.total().envelopes - self.balance.of(Class::Delivered).envelopes;
        if problems > self.told {
            let rest = text::count(problems - self.told, "envelope");
            let more = if self.told > 0 { " more" } else { "" };
            output.note(format_args!("{rest}{more} not delivered; -v or --json tells each"));
        }
        output.line(self.balance.table());
    }
}
