//! `envoi send`: deliver envelope files.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;
use envoi::Encoding;

use crate::balance::Balance;
use crate::batch;
use crate::delivery::Deliveries;
use crate::error::{CliError, Exit};
use crate::files;
use crate::interrupt::Interrupt;
use crate::outcome::{Class, Outcome};
use crate::output::{Output, WARN, paint};
use crate::spool;
use crate::target::DsnArgs;
use crate::text;
use crate::transport::{self, Options, Spooling};
use crate::way::WayArgs;

/// Deliver envelope files to a server, and say what became of each
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    target: DsnArgs,

    /// Post JSON lines in batches to URL instead: the paths are files of one JSON value per line, or - for standard input
    #[arg(long, value_name = "URL", conflicts_with = "spool")]
    batch: Option<String>,

    /// With --batch: the environment variable that holds the bearer token
    #[arg(long, value_name = "NAME", requires = "batch")]
    bearer_env: Option<String>,

    #[command(flatten)]
    way: WayArgs,

    /// Content encoding of the requests: identity, gzip, deflate, br or zstd
    #[arg(long, value_name = "NAME", default_value_t = Encoding::Gzip)]
    encoding: Encoding,

    /// Compression level, as the encoding counts it
    #[arg(long, value_name = "N")]
    level: Option<u32>,

    /// How many envelopes are on their way at once [default: 8, batches: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: Option<u16>,

    /// How long one attempt may take [default: 30s, a batch: 10s]
    #[arg(long, value_name = "TIME", value_parser = text::deadline)]
    timeout: Option<Duration>,

    /// How many more attempts an envelope gets if the network fails; what a server refuses is never tried again [default: 0,
    /// a batch: 2, also for 5xx, 408 and 429]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,

    /// Put the envelopes into the disk buffer DIR first: what cannot be delivered now stays there, for the next
    /// `send --spool` or for `envoi spool replay`
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,

    /// Print JSON lines: one object per envelope, and a summary as the last
    #[arg(long)]
    json: bool,

    /// Tell every outcome and every phase of each attempt, and trace the requests; -vv traces more
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,

    /// Files, directories (searched for *.envelope), or - for one envelope from standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

const HELP: &str = "\
Examples:
  envoi send --dsn http://key@localhost:8969/42 crash.envelope
  SENTRY_DSN=… envoi send --encoding zstd --concurrency 32 ~/.cache/app/
  envoi send --retries 5 --timeout 10s --json cache/ | jq 'select(.outcome != \"delivered\")'
  curl … | envoi send -
  envoi send --spool /var/lib/app/envoi cache/
  envoi send --batch https://logs.example/v1/events --bearer-env LOGS_TOKEN events.jsonl
  tail -f app.jsonl | envoi send --batch http://localhost:8080/events -
  envoi send -v --proxy http://proxy.internal:3128 --cacert company-ca.pem crash.envelope

Every envelope has one outcome: delivered; refused by the server; limited, by a 429 or by a limit
that the server had announced before; failed on the way; malformed; unreadable; empty; kept in the
spool; unsent.
Losses are reported to the server as client reports, which ride on later envelopes or leave at the
end.

Nothing is tried twice, unless --retries says so, and then only after network errors: after 1 s,
2 s and so on up to 30 s, or as soon as another envelope gets through. A connection that is cut
under the same envelope three times in a row ends it in any case.

With --batch each line is an event, and 20 of them, or what comes within 5 s, are posted as one JSON
array. Bad lines are told with their numbers, and the others go on. A batch has three attempts, after
100 ms and 400 ms or when the server says; 401 and 403 end the command. After five failed batches in a
row the input waits for 30 s.

Ctrl-C begins no more, waits a moment for what is on its way, and prints the balance; a second
Ctrl-C does not wait.

With --json every line is an object with a `type`, the summary comes last:
  {\"type\":\"envelope\",\"file\",\"event_id\",\"items\",\"held_items\",\"bytes\",\"attempts\",\"outcome\"}
  and more:
    delivered          \"status\",\"id\"
    refused, limited   \"status\",\"server_error\",\"detail\",\"causes\"
    failed             \"kind\",\"message\"
    malformed          \"error\":{\"kind\",\"stage\",\"item\",\"offset\",\"message\"}
    unreadable, kept   \"message\"
  {\"type\":\"summary\",\"envelopes\",\"items\",\"bytes\",\"all_delivered\"} and for each outcome
    {\"envelopes\",\"items\",\"bytes\",\"reasons\":[{\"why\",\"envelopes\",\"items\",\"bytes\"}]}
and with --batch, for bad lines, for batches that were lost, and the summary:
  {\"type\":\"line\",\"file\",\"line\",\"outcome\",\"message\"}
  {\"type\":\"batch\",\"events\",\"outcome\",\"message\",\"status\",\"server_error\",\"detail\",\"causes\"}
  {\"type\":\"summary\",\"events\",\"all_delivered\"} and for each outcome
    {\"events\",\"reasons\":[{\"why\",\"events\"}]}

Exit codes: 0 all were delivered, 1 some were not, 2 the command line makes no sense.";

/// How many envelopes are on their way at once.
const CONCURRENCY: u16 = 8;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long one attempt of a batch may take: as the preset has it (BD-6).
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);

/// For each envelope that may be on its way, how many are in memory: one goes, one is ready to follow.
const AHEAD: usize = 2;

/// After Ctrl-C, how long deliveries that are on their way may still take.
const GRACE: Duration = Duration::from_secs(2);

/// The pause between envelopes that earlier runs left in the disk buffer (OC-7).
const PAUSE: Duration = Duration::from_millis(100);

/// How long the last report may take.
const LAST_REPORT: Duration = Duration::from_secs(2);

/// How many problems are told one by one.
const MOST_PROBLEMS: u64 = 20;

pub(crate) async fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    if let Some(url) = &args.batch {
        // An address that is none is refused where it is used.
        let target: http::Uri = url.parse().unwrap_or_default();
        let job = batch::Job {
            url,
            bearer_env: args.bearer_env.as_deref(),
            encoding: args.encoding,
            level: args.level,
            concurrency: args.concurrency.unwrap_or(1).into(),
            timeout: args.timeout.unwrap_or(BATCH_TIMEOUT),
            retries: args.retries,
            json: args.json,
            verbose: args.verbose,
            way: args.way.resolve(&target, args.verbose)?,
            paths: &args.paths,
        };
        return batch::run(&job, output).await;
    }
    transport::trace(args.verbose);
    let (timeout, retries) = (args.timeout.unwrap_or(TIMEOUT), args.retries.unwrap_or(0));
    let options = Options {
        encoding: args.encoding,
        level: args.level,
        concurrency: args.concurrency.unwrap_or(CONCURRENCY).into(),
        timeout,
        retries,
    };
    let transport = {
        let spooling = args.spool.as_deref().map(|dir| Spooling { dir, pause: PAUSE });
        let dsn = args.target.resolve()?;
        let way = args.way.resolve(dsn.envelope_url(), args.verbose)?;
        transport::build(dsn, options, way, spooling.as_ref())?
    };
    let found = files::discover(&args.paths)?;
    if found.passed_over > 0 {
        output.note(format_args!(
            "{}: {} in directories passed over, only *.{} is taken there; name a file to send it",
            paint(WARN, "note"),
            text::count(found.passed_over, "file"),
            files::SUFFIX,
        ));
    }

    let mut interrupt = Interrupt::listen()?;
    output.start_progress(found.sources.len() as u64);
    let mut deliveries = {
        let kept_after = args.spool.as_ref().map(|_| retries.saturating_add(1));
        Deliveries::new(transport, found.sources, AHEAD * options.concurrency, kept_after)
    };
    let mut report = Report { balance: Balance::default(), told: 0, args };
    let mut interrupts = 0;
    loop {
        tokio::select! {
            outcome = deliveries.next() => match outcome {
                Some(outcome) => report.add(&outcome, output),
                None => break,
            },
            () = interrupt.reached(interrupts + 1), if interrupts < 2 => {
                interrupts += 1;
                let within = if interrupts == 1 { GRACE } else { Duration::ZERO };
                report.balance.add_unsent(deliveries.stop(within));
            }
        }
    }
    let kept = report.balance.of(Class::Kept).envelopes;
    if args.spool.is_some() && kept == 0 && interrupts == 0 {
        // What earlier runs left there.
        spool::drain(deliveries.transport(), timeout, &mut interrupt, output).await;
    }
    output.end_progress();
    report.finish(output);
    let left = spool::waiting(deliveries.transport());
    if left > 0 {
        output.note(format_args!(
            "{}: {} left in the spool; `envoi spool replay` delivers what is there",
            paint(WARN, "note"),
            text::count(left, "envelope"),
        ));
    }
    // What is kept waits for another day, so the command need not.
    let last_report = if left > 0 { LAST_REPORT / 10 } else { LAST_REPORT };
    tokio::select! {
        _ = deliveries.finish(last_report) => {}
        () = interrupt.reached(interrupts + 1) => {}
    }
    Ok(Exit::when(report.balance.all_delivered()))
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
            let noun = if self.told > 0 { "more envelope" } else { "envelope" };
            let rest = text::count(problems - self.told, noun);
            output.note(format_args!("{rest} not delivered; -v or --json tells each"));
        }
        output.line(self.balance.table());
    }
}
