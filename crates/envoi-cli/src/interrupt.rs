//! Ctrl-C and SIGTERM.

use std::io;

use tokio::sync::watch;

use crate::error::CliError;

/// Counts how often the user asked to stop. The first time means "come to an end", the second "now".
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Receiver<u8>);

impl Interrupt {
    /// Starts to listen. Needs a runtime.
    ///
    /// # Errors
    /// If the operating system does not let us.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let (count, seen) = watch::channel(0_u8);
        let mut signals = Signals::new()
            .map_err(|error| CliError::failed(format_args!("cannot listen for signals: {error}")))?;
        tokio::spawn(async move {
            while signals.next().await {
                count.send_modify(|count| *count = count.saturating_add(1));
            }
        });
        Ok(Self(seen))
    }

    /// Ends when the user has asked to stop `times` times.
    pub(crate) async fn reached(&mut self, times: u8) {
        if self.0.wait_for(|count| *count >= times).await.is_err() {
            // No signal can come any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> bool {
        tokio::select! {
            signal = self.interrupt.recv() => signal.is_some(),
            signal = self.terminate.recv() => signal.is_some(),
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> bool {
        tokio::signal::ctrl_c().await.is_ok()
    }
}
