use std::fmt;
use std::time::Duration;

use envoi::core::Payload;
use envoi::{Lane, Transport};
use sentry_core::client_report::{Reason, Recorder};

use crate::convert::{Converted, convert};

/// A [`Transport`] of ours as one of the `sentry` crate.
///
/// [`EnvoiTransportFactory`](crate::EnvoiTransportFactory) makes it from the options of a client. Make it yourself if
/// you have a transport already; an `Arc` of it is a transport factory:
///
/// ```
/// use std::sync::Arc;
/// use envoi_sentry::EnvoiTransport;
/// use sentry::ClientOptions;
///
/// # let dsn = "http://public@127.0.0.1:9/42";
/// let transport = envoi::sentry(dsn)?.client("my-app/1.0").build()?;
/// let options = ClientOptions::new()
///     .dsn(dsn) // the transport has its own; without one here the client is disabled
///     .transport(Arc::new(EnvoiTransport::new(transport.clone())));
/// assert!(options.transport.is_some());
/// println!("{} in flight", transport.stats().map_or(0, |stats| stats.outbox.in_flight)); // your handle
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EnvoiTransport {
    transport: Transport,
    recorder: Option<Recorder>,
    patience: Option<Duration>,
}

impl EnvoiTransport {
    /// Sends with `transport`. A close of the client closes it.
    #[must_use]
    pub const fn new(transport: Transport) -> Self {
        Self { transport, recorder: None, patience: None }
    }

    /// Lets whoever captures an error wait until the disk buffer has it, at most this long: it then survives whatever
    /// happens next. Other telemetry does not wait.
    #[must_use]
    pub const fn wait_for_disk(mut self, limit: Duration) -> Self {
        self.patience = Some(limit);
        self
    }

    pub(crate) fn record_with(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// The handle below: [statistics](Transport::stats), [ledger](Transport::ledger), [outcomes](Transport::outcomes).
    #[must_use]
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }
}

impl sentry_core::Transport for EnvoiTransport {
    /// Never blocks, but for [`EnvoiTransport::wait_for_disk`]. What is not accepted is counted and reported.
    fn send_envelope(&self, envelope: sentry_core::Envelope) {
        let Converted { envelope, left } = convert(envelope);
        // The one kind of loss that the books below never see, so their recorder has it, and only this. Counts of a
        // client report among it are put back.
        if let (Some(left), Some(recorder)) = (left, &self.recorder) {
            recorder.record_lost_data(&left, Reason::InternalError);
        }
        let Some(envelope) = envelope else { return };
        // A refusal is recorded already, and there is nobody to tell.
        let _ = match self.patience {
            Some(within) if envelope.lane() == Lane::Critical => {
                self.transport.send_durable_blocking(envelope, within)
            }
            _ => self.transport.send(envelope),
        };
    }

    /// Whether everything that was sent before has its outcome, after at most `timeout`.
    fn flush(&self, timeout: Duration) -> bool {
        self.transport.flush_blocking(timeout).is_complete()
    }

    /// Whether everything had its outcome within `timeout`. What is in a disk buffer stays there for the next run; the
    /// rest is lost, and counted.
    fn shutdown(&self, timeout: Duration) -> bool {
        self.transport.close_blocking(timeout).is_complete
    }
}

impl fmt::Debug for EnvoiTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvoiTransport").field("transport", &self.transport).finish_non_exhaustive()
    }
}
