//! `envoi demo`: a short story of a transport that is put under stress, told live, and the proof that nothing was lost
//! unseen.
//!
//! [`scenes`] are what happens, [`narrator`] is how it is told, [`world`] is the transport and the server that it
//! happens to, [`crash`] is what happens to a process of its own, the [`sender`], [`audit`] holds the books of the one against those of the other.

mod audit;
mod crash;
mod narrator;
mod scenes;
pub(crate) mod sender;
mod world;

use std::io::IsTerminal;

use crate::error::{CliError, Exit};
use crate::output::{BAD, GOOD, Output, paint};
use narrator::Narrator;
use world::World;

/// See a transport under stress in a few seconds, and its books
///
/// Starts an ingest server on loopback and a transport as an application would have it, and tells what happens to the
/// two: real envelopes of Sentry SDKs arrive; a flood of logs, and errors overtake it; a rate limit; an outage; a
/// process that is killed in the middle of one; a shutdown against a server that hangs. At the end the books of the transport are held against what the server
/// counted. Exits with 1 if they differ.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  envoi demo\n  envoi demo --fast")]
pub(crate) struct Args {
    /// Do not pause between the lines; nor are there pauses when the output is not a terminal
    #[arg(long)]
    fast: bool,
}

pub(crate) async fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    let is_live = !args.fast && std::io::stdout().is_terminal();
    let mut world = World::start().await?;
    let mut narrator = Narrator::new(output, is_live);
    narrator.opening(&world.address()).await;
    scenes::corpus(&mut world, &mut narrator).await?;
    scenes::flood(&mut world, &mut narrator).await?;
    scenes::limit(&mut world, &mut narrator).await?;
    scenes::outage(&mut world, &mut narrator).await?;
    let is_whole = crash::scene(&mut world, &mut narrator).await?;
    scenes::shutdown(&mut world, &mut narrator).await?;

    let audit = audit::Audit::of(&world.books());
    world.end().await;
    output.line("");
    output.line(audit.table.render());
    output.line("");
    if audit.is_right {
        output.line(format_args!(
            "{}: in every category posted = delivered + refused + lost (overflow, limited, network) + held,",
            paint(GOOD, "the books balance")
        ));
        output.line(
            "and the server counted the same, in what it took, what it refused and what it was told of",
        );
    } else {
        output.line(format_args!("{}; see the last column", paint(BAD, "the books do not balance")));
    }
    Ok(Exit::when(audit.is_right && is_whole))
}
