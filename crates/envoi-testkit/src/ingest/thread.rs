use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::{IngestBuilder, IngestServer, Summary};

/// A server on a thread of its own, for callers without a runtime.
///
/// ```
/// use std::time::Duration;
/// use envoi_testkit::ingest::IngestServer;
/// let thread = IngestServer::spawn_thread()?;
/// let server = thread.server();
/// // … give `server.dsn()` to a client, let it send, and then:
/// let waited = thread.block_on(server.wait_for(1, Duration::ZERO));
/// assert!(waited.is_err());
/// assert_eq!(thread.shutdown().accepted, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct IngestThread {
    server: Option<IngestServer>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn spawn(builder: IngestBuilder) -> io::Result<IngestThread> {
    let (report, started) = mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new().name("envoi-ingest".to_owned()).spawn(move || {
        runtime.block_on(async {
            // If the receiver is gone, so is the one who wanted the server.
            let _ = report.send(builder.start().await);
            // An error means that the handle is gone, which is the same.
            let _ = stopped.await;
        });
    })?;
    let server = started.recv().map_err(|_| io::Error::other("the thread of the server ended"))??;
    Ok(IngestThread { server: Some(server), runtime: handle, stop: Some(stop), thread: Some(thread) })
}

impl IngestThread {
    /// The server.
    #[must_use]
    pub fn server(&self) -> &IngestServer {
        match &self.server {
            Some(server) => server,
            None => unreachable!("the server is taken only at the end"),
        }
    }

    /// Runs one of the asynchronous methods of the server to its end.
    ///
    /// # Panics
    /// Within a runtime, where nothing may block.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Ends the server in order: [`IngestServer::shutdown`].
    ///
    /// # Panics
    /// Within a runtime, where nothing may block.
    #[must_use]
    pub fn shutdown(mut self) -> Summary {
        match self.server.take() {
            Some(server) => self.runtime.block_on(server.shutdown()),
            None => unreachable!("the server is taken only here"),
        }
    }
}

/// Ends the server at once.
impl Drop for IngestThread {
    fn drop(&mut self) {
        self.server.take();
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there would be nobody to tell.
            let _ = thread.join();
        }
    }
}
