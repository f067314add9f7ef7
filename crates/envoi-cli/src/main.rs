//! The `envoi` command: envelopes from files to a server, a local stand-in for that server, and a look inside.
//!
//! | command | what it does |
//! |---|---|
//! | `envoi demo` | puts a transport under stress for a few seconds, and shows its books |
//! | `envoi send` | delivers envelope files, and says what became of each |
//! | `envoi ingest` | takes envelopes like Sentry would, with faults on demand |
//! | `envoi relay` | takes envelopes from SDKs on this host, keeps them on disk, and forwards them |
//! | `envoi doctor` | walks the way to a server, and says what is wrong where |
//! | `envoi inspect` | shows what is in an envelope or a DSN, or where it is malformed |
//! | `envoi spool` | shows, checks, repairs and empties a disk buffer |
//!
//! Results go to standard output, remarks to standard error. Exit codes: 0 everything was done, 1 something was not,
//! 2 the command line makes no sense.
//!
//! A command is a file or a folder of its own, with its arguments and a `run`. `send` is made of: [`files`] finds and
//! reads, [`transport`] is the transport of the library with layers of this command, [`tracking`] learns what becomes of
//! each envelope in it, [`delivery`] turns files into [`outcome`]s, [`balance`] counts them; [`batch`] is `send --batch`.
//! [`way`] has the options about proxies and certificates. All use [`output`] and [`table`] to show things, and [`text`] to
//! make foreign words safe to show.

mod balance;
mod batch;
mod delivery;
mod demo;
mod doctor;
mod error;
mod faults;
mod files;
mod ingest;
mod inspect;
mod interrupt;
mod outcome;
mod output;
mod relay;
mod send;
mod spool;
mod table;
mod target;
mod text;
mod tracking;
mod transport;
mod way;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use error::{CliError, Exit};
use output::{BAD, Output, paint};

/// Deliver telemetry envelopes, take them, and look inside.
#[derive(Parser)]
#[command(name = "envoi", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  envoi demo
  envoi send --dsn http://key@localhost:8969/42 crash.envelope cache/
  envoi ingest --fail 429*3
  envoi relay --upstream http://key@sentry.internal/42 --spool spool/
  envoi doctor --dsn https://key@o1.ingest.example.com/42
  envoi inspect crash.envelope
  envoi spool ls /var/lib/app/envoi

Exit codes: 0 everything was done, 1 something was not, 2 the command line makes no sense.";

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    #[command(hide = true)]
    DemoSender(demo::sender::Args),
    Send(send::Args),
    Ingest(ingest::Args),
    Relay(relay::Args),
    Doctor(doctor::Args),
    Inspect(inspect::Args),
    Spool(spool::Args),
}

fn main() -> ExitCode {
    let mut output = Output::new();
    let result = match Cli::try_parse() {
        Ok(cli) => run(cli.command, &mut output),
        Err(error) => parser_answer(&error),
    };
    let result = result.and_then(|exit| output.finish().map(|()| exit));
    result
        .unwrap_or_else(|error| {
            Output::new().note(format_args!("{}: {error}", paint(BAD, "error")));
            error.exit()
        })
        .into()
}

/// Help and version are results; everything else that the parser says is an error in one line.
fn parser_answer(error: &clap::Error) -> Result<Exit, CliError> {
    let exit = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Exit::Usage,
        _ => return Err(error::from_parser(error)),
    };
    // A reader that went away has seen enough.
    let _ = error.print();
    Ok(exit)
}

fn run(command: Command, output: &mut Output) -> Result<Exit, CliError> {
    match command {
        Command::Inspect(args) => inspect::run(&args, output),
        Command::Spool(args) => match spool::run(args, output) {
            spool::Ran::Ended(result) => result,
            spool::Ran::Replay(args) => block_on(spool::replay(args, output)),
        },
        Command::DemoSender(args) => block_on(demo::sender::run(&args, output)),
        Command::Demo(args) => block_on(demo::run(&args, output)),
        Command::Ingest(args) => block_on(ingest::run(args, output)),
        Command::Relay(args) => block_on(relay::run(args, output)),
        Command::Doctor(args) => block_on(doctor::run(&args, output)),
        Command::Send(args) => block_on(send::run(&args, output)),
    }
}

fn block_on(command: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format_args!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(command);
    // A read from a pipe that nobody writes to would block an orderly end for ever.
    runtime.shutdown_background();
    result
}
