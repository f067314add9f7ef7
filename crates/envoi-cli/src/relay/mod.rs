//! `envoi relay`: a sidecar that takes envelopes from SDKs of any language, keeps them, and forwards them.
//!
//! | module | what it is |
//! |---|---|
//! | [`config`] | what it is told: command line, file, reload |
//! | [`http`] | the server, bounded in everything: from a request to a place in a queue |
//! | [`destinations`] | one transport of the library per DSN, and the directories of their disk buffers |
//! | [`descriptors`] | clients leave enough files to open for the rest |
//! | [`memory`] | one bound on the memory of all bodies and envelopes |
//! | [`status`] | the page, its JSON, the metrics |
//! | [`state`] | what all of these share |
//! | [`housekeeping`] | samples, closes what is unused, notices changes |
//! | [`stop`] | the end, and the balance |

mod config;
mod descriptors;
mod destinations;
mod hangup;
mod housekeeping;
mod http;
mod journal;
mod memory;
mod state;
mod status;
mod stop;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::error::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::output::Output;
use config::{Ack, Given, HostRule, Settings, Upstream};
use destinations::{Destinations, NoPlace};
use hangup::Hangup;
use housekeeping::Housekeeping;
use journal::Journal;
use state::Relay;

/// Take envelopes from SDKs on this host, keep them, and forward them
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8970]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Where to forward to: a DSN, a host (https://host), or pass-through; see below
    #[arg(long, value_name = "UPSTREAM", env = "ENVOI_UPSTREAM", hide_env_values = true)]
    upstream: Option<String>,

    /// With pass-through: a host that envelopes may go to (HOST or *.HOST, with scheme and port if need be); may be repeated
    #[arg(long, value_name = "HOST")]
    upstream_host: Vec<HostRule>,

    /// Keep envelopes in this directory until they are delivered: they survive the relay
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,

    /// When to answer a client: when the envelope is queued, or when the disk has it
    #[arg(long, value_name = "WHEN")]
    ack: Option<Ack>,

    /// Read more settings from this file; the command line goes before it. SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print JSON lines: one object per event, and a summary as the last
    #[arg(long)]
    json: bool,

    /// Trace the requests to the upstream; -vv traces more
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

const HELP: &str = "\
Examples:
  envoi relay --upstream http://key@sentry.internal/42 --spool /var/lib/envoi-relay
  envoi relay --upstream http://sentry.internal:9000
  envoi relay --upstream pass-through --upstream-host '*.ingest.sentry.io'
  envoi relay --config /etc/envoi/relay.toml

Point SDKs at it with the DSN of their project and the host of the relay:
  http://KEY@127.0.0.1:8970/PROJECT

Upstream:
  scheme://key@host/project  everything goes to this project, whatever DSN a client uses
  scheme://host              each envelope goes to the project and with the key that the client uses
  pass-through               each goes to the DSN in its own header (the `tunnel` option of SDKs),
                             if --upstream-host allows that host; without a list nothing is allowed
Each DSN has a queue, rate limits, client reports and books of its own; with --spool, a directory.

Clients are answered as soon as the envelope is taken on (--ack durable: on disk), with the rate
limits in force. 429 means that all of it is under a limit, or that the queue is full; the relay
reports these losses itself. 503 means try later, other 4xx say what is wrong.

  /              a status page, /status.json the same for machines
  /metrics       for Prometheus
  /healthz       200 when ready, 503 while stopping; /healthz/live

SIGTERM or Ctrl-C ends it: nothing more is taken, what is queued is delivered for at most 8 s or
stays in the spool, the balance is printed. A second one does not wait. SIGHUP reads the
configuration again.

Exit codes: 0 nothing was lost at the end, 1 something was, 2 the command line or the configuration
makes no sense.";

/// Of the time that a stop may take, what connections get to end in.
const FOR_CONNECTIONS: u32 = 4;

pub(crate) async fn run(args: Args, output: &mut Output) -> Result<Exit, CliError> {
    crate::transport::trace(args.verbose);
    let journal = Journal::new(args.json);
    let given = Given {
        config: args.config,
        listen: args.listen,
        upstream: args.upstream.map(|text| text.parse()).transpose().map_err(CliError::usage)?,
        upstream_hosts: args.upstream_host,
        spool: args.spool,
        ack: args.ack,
    };
    let mut settings = Settings::load(&given)?;
    let few_files = descriptors::fit(&mut settings);
    let mut interrupt = Interrupt::listen()?;
    let mut hangup = Hangup::listen()?;

    let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
        CliError::failed(format_args!(
            "cannot listen on {}: {error}; --listen 127.0.0.1:0 takes a free port",
            settings.listen
        ))
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| CliError::failed(format_args!("cannot tell the address: {error}")))?;
    let spool = settings.spool.as_ref().map(|spool| spool.dir.as_path());
    let destinations = Destinations::new(spool, tokio::runtime::Handle::current())?;
    let relay = Relay::new(settings, address, destinations);
    open_upstream(&relay).await?;
    let mut housekeeping = Housekeeping::begin(Arc::clone(&relay), &journal, output).await;
    journal.listening(address, &relay.settings(), output);
    if let Some(few_files) = few_files {
        journal.warn(few_files, output);
    }

    let within = relay.settings().timeouts.shutdown;
    let serving = tokio::spawn(http::serve(listener, Arc::clone(&relay), within / FOR_CONNECTIONS));
    // A reader of the output that went away stops no relay.
    loop {
        tokio::select! {
            () = interrupt.reached(1) => break,
            () = hangup.next() => reload(&given, &relay, &journal, output).await,
            () = housekeeping.due() => housekeeping.round(&journal, output).await,
        }
    }
    relay.stopping.cancel();
    journal.stopping(output);
    Ok(stop::stop(&relay, serving, &mut interrupt, &journal, output).await)
}

/// A relay with one upstream opens it at once: what is wrong with it is told before anything is accepted.
async fn open_upstream(relay: &Relay) -> Result<(), CliError> {
    let settings = relay.settings();
    let Upstream::Project(dsn) = &settings.upstream else { return Ok(()) };
    match relay.destinations.get(dsn, &settings).await {
        Ok(_) => Ok(()),
        Err(NoPlace::Failed(error)) => Err(crate::transport::refusal(error)),
        Err(error) => Err(CliError::failed(error)),
    }
}

/// Reads the configuration again. If anything is wrong with it, all stays as it is.
async fn reload(given: &Given, relay: &Relay, journal: &Journal, output: &mut Output) {
    match Settings::load(given) {
        Ok(mut new) => {
            // As at the start, so that only what was changed differs; it was told then.
            let _ = descriptors::fit(&mut new);
            let (settings, fixed) = relay.settings().adopt(new);
            relay.set_settings(settings);
            journal.reloaded(&relay.settings(), &fixed, output);
            if let Err(error) = open_upstream(relay).await {
                journal.warn(format_args!("{error}"), output);
            }
        }
        Err(error) => {
            journal.warn(format_args!("the configuration stays as it was: {error}"), output);
        }
    }
}

/// How long a stop may take from now.
fn stop_time(relay: &Relay) -> Duration {
    relay.settings().timeouts.shutdown
}
