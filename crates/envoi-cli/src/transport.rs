//! The transport that `envoi send` delivers through: the preset of the library, with two layers of this command.

use std::path::Path;
use std::time::Duration;

use envoi::layers::outbox::Backoff;
use envoi::{BuildError, Capacity, Dsn, Encoding, SentryBuilder, Transport, Way};
use http::header::SET_COOKIE;
use tower_http::decompression::DecompressionLayer;
use tower_http::sensitive_headers::SetSensitiveResponseHeadersLayer;
use tower_http::trace::TraceLayer;
use tracing_subscriber::EnvFilter;

use crate::error::CliError;
use crate::spool;
use crate::tracking::TrackLayer;

/// What this client calls itself (AU-3, AU-5).
pub(crate) const CLIENT: &str = concat!("envoi-cli/", env!("CARGO_PKG_VERSION"));

/// What a user can choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Content encoding of requests.
    pub(crate) encoding: Encoding,
    /// Compression level.
    pub(crate) level: Option<u32>,
    /// Requests at once.
    pub(crate) concurrency: usize,
    /// Time for one attempt.
    pub(crate) timeout: Duration,
    /// Attempts after the first, if the network fails.
    pub(crate) retries: u32,
}

impl Default for Options {
    fn default() -> Self {
        let timeout = Duration::from_secs(30);
        Self { encoding: Encoding::Gzip, level: None, concurrency: 8, timeout, retries: 0 }
    }
}

/// A disk buffer below the transport.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spooling<'a> {
    /// Its directory.
    pub(crate) dir: &'a Path,
    /// The pause between envelopes of earlier runs (OC-7).
    pub(crate) pause: Duration,
}

/// What may be in memory besides the disk: all that is [fed](crate::delivery) at once, so that no ticket is lost.
const IN_MEMORY: usize = 1 << 30;

/// The wait before the second attempt. It doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How much the queue may hold. It is the [feed](crate::delivery) that bounds it, so that nothing is pushed out.
const ROOM: Capacity = Capacity::new(usize::MAX, usize::MAX);

/// The transport for one DSN, with a disk buffer if there is a place for it: then the network costs no envelope, however
/// often it fails, and what a rate limit holds stays in the buffer (OC-4, OC-8).
///
/// # Errors
/// If the DSN asks for what is not built in, or the disk buffer cannot be used.
pub(crate) fn build(
    dsn: Dsn,
    options: Options,
    way: Way,
    spooling: Option<&Spooling<'_>>,
) -> Result<Transport, CliError> {
    let builder = SentryBuilder::new(Some(dsn))
        .client(CLIENT)
        .way(way)
        .encoding(options.encoding)
        .concurrency(options.concurrency)
        .connect_timeout(options.timeout)
        .attempt_timeout(options.timeout)
        .max_attempts(options.retries.saturating_add(1))
        .backoff(Backoff::new(FIRST_WAIT, LONGEST_WAIT))
        .capacity(ROOM)
        // A command ends; it does not wait for a limit that may last for hours.
        .hold_limited(false);
    let builder = match options.level {
        Some(level) => builder.compression_level(level),
        None => builder,
    };
    let builder = match spooling {
        Some(Spooling { dir, pause }) => builder
            .disk_buffer_with(*dir, spool::unbounded().cache_bytes(IN_MEMORY).queue_bytes(IN_MEMORY))
            .replay_pace(*pause)
            .max_attempts(u32::MAX)
            .delivery_timeout(spool::FOR_EVER)
            .hold_limited(true),
        None => builder,
    };
    builder
        .delivery_layer(TrackLayer)
        .http_layer(TraceLayer::new_for_http())
        .http_layer(SetSensitiveResponseHeadersLayer::new([SET_COOKIE]))
        .http_layer(DecompressionLayer::new())
        .build()
        .map_err(refusal)
}

/// Why there is no transport, in words for whoever typed the command.
pub(crate) fn refusal(error: BuildError) -> CliError {
    match error {
        // The environment and the certificates of this machine are the user's to set right.
        BuildError::Way(error) => CliError::usage(crate::error::chain(&error)),
        error => CliError::failed(crate::error::chain(&error)),
    }
}

/// Shows what the layers trace, on standard error. `RUST_LOG` may ask for something else.
pub(crate) fn trace(verbose: u8) {
    let default = match verbose {
        0 => return,
        1 => "envoi=debug,envoi_http=debug,tower_http=debug",
        _ => "envoi=trace,envoi_http=trace,tower_http=trace,hyper_util=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour);
    // Only one command runs, so there is no other subscriber.
    let _ = subscriber.with_writer(std::io::stderr).try_init();
}
