//! The process that is killed: an application with a disk buffer, as a hidden subcommand of this binary.

use std::path::PathBuf;
use std::time::Duration;

use envoi::{Dsn, SentryBuilder};
use tokio::io::AsyncReadExt;

use super::scenes;
use crate::error::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::spool::{self, Stop};
use crate::transport;

/// Post errors through a disk buffer, then live until standard input ends; the demo kills it before
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of the disk buffer
    dir: PathBuf,
    /// How many errors
    count: u64,
    #[arg(long)]
    dsn: String,
}

/// How long it may take to deliver what it has. It only ends a demo that would hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says `stored` when all errors are on disk; and after standard input has ended, when everything is delivered, how
/// much of it was found at the start.
pub(crate) async fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    let dsn = Dsn::parse(&args.dsn).map_err(CliError::usage)?;
    let transport = SentryBuilder::new(Some(dsn))
        .client(transport::CLIENT)
        .disk_buffer(&args.dir)
        .replay_pace(Duration::from_millis(10))
        .build()
        .map_err(transport::refusal)?;
    let found = spool::waiting(&transport);
    for number in 0..args.count {
        transport.send_durable(scenes::error(number)?).await.map_err(CliError::failed)?;
    }
    output.line("stored");
    // It ends with the demo, whatever becomes of that.
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    let mut interrupt = Interrupt::listen()?;
    let stop = spool::drain(&transport, PATIENCE, &mut interrupt, output).await;
    transport.close(PATIENCE).await;
    output.line(found);
    Ok(Exit::when(stop == Stop::Empty))
}
