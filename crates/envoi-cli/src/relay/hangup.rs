//! SIGHUP.

use crate::error::CliError;

/// Comes each time the user asks to read the configuration again.
#[derive(Debug)]
pub(super) struct Hangup {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Hangup {
    /// Starts to listen.
    ///
    /// # Errors
    /// If the operating system does not let us.
    #[cfg(unix)]
    pub(super) fn listen() -> Result<Self, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::hangup())
            .map(|signal| Self { signal })
            .map_err(|error| CliError::failed(format_args!("cannot listen for signals: {error}")))
    }

    /// There is no such signal here.
    #[cfg(not(unix))]
    pub(super) fn listen() -> Result<Self, CliError> {
        Ok(Self {})
    }

    /// Ends with the next one. Cancel safe.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        if self.signal.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}
