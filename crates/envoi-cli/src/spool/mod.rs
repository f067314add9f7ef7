//! `envoi spool`: a look into a disk buffer, and what can be done with one.
//!
//! One verb per file. [`ls`], [`show`], [`stats`] and [`verify`] change nothing and work while the buffer is in use;
//! [`repair`], [`mod@replay`] and [`purge`] refuse one that is in use, and say by whom (OC-10). [`view`] is how all of them
//! look at it.

mod ls;
mod purge;
mod repair;
mod replay;
mod show;
mod stats;
mod verify;
mod view;

use std::path::PathBuf;

use crate::error::{CliError, Exit};
use crate::output::Output;

pub(crate) use replay::{Stop, drain, run as replay, waiting};
pub(crate) use view::{FOR_EVER, unbounded};

/// Look into a disk buffer, check it, repair it, empty it
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

const HELP: &str = "\
Examples:
  envoi spool ls /var/lib/app/envoi
  envoi spool show /var/lib/app/envoi critical/17
  envoi spool verify --json /var/lib/app/envoi
  envoi spool replay --dsn http://key@localhost:8969/42 /var/lib/app/envoi

ls, show, stats and verify change nothing and work while the buffer is in use; what is being written
at that moment may look torn. repair, replay and purge refuse a buffer that is in use.

Exit codes: 0 done, and nothing is wrong; 1 something is wrong or was not done; 2 the command line
makes no sense.";

#[derive(clap::Subcommand)]
enum Verb {
    Ls(ls::Args),
    Show(show::Args),
    Stats(stats::Args),
    Verify(verify::Args),
    Repair(repair::Args),
    Replay(replay::Args),
    Purge(purge::Args),
}

/// The directory, and how to print.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// The directory of the disk buffer
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// How far a verb got without a runtime.
pub(crate) enum Ran {
    Ended(Result<Exit, CliError>),
    /// It needs one.
    Replay(replay::Args),
}

pub(crate) fn run(args: Args, output: &mut Output) -> Ran {
    Ran::Ended(match args.verb {
        Verb::Ls(args) => ls::run(&args, output),
        Verb::Show(args) => show::run(&args, output),
        Verb::Stats(args) => stats::run(&args, output),
        Verb::Verify(args) => verify::run(&args, output),
        Verb::Repair(args) => repair::run(&args, output),
        Verb::Purge(args) => purge::run(&args, output),
        Verb::Replay(args) => return Ran::Replay(args),
    })
}
