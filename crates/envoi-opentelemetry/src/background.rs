use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

/// Where requests run: exporters ask from threads of their own, on which there is no runtime.
///
/// Clones share the runtime. From a [`Handle`], or a thread of its own:
///
/// ```
/// use envoi_opentelemetry::Background;
/// let own = Background::spawn()?;
/// # let runtime = tokio::runtime::Runtime::new()?;
/// let applications: Background = runtime.handle().clone().into();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Background {
    handle: Handle,
    /// Dropped with the last clone, which ends the thread.
    _thread: Option<Arc<oneshot::Sender<()>>>,
}

impl Background {
    /// A small runtime on a thread of its own. It ends with the last clone, and with it what still runs there.
    ///
    /// # Errors
    /// If the runtime or the thread cannot be made.
    pub fn spawn() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel::<()>();
        std::thread::Builder::new().name("envoi-otlp".to_owned()).spawn(move || {
            // Nothing is ever sent: this waits for the sender to go.
            let _ = runtime.block_on(gone);
        })?;
        Ok(Self { handle, _thread: Some(Arc::new(alive)) })
    }

    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        Running { task: self.handle.spawn(work) }
    }
}

/// The application's runtime. It must have timers and I/O enabled, and be running when telemetry is sent: a flush at exit,
/// from the only thread of a current-thread runtime, waits in vain.
impl From<Handle> for Background {
    fn from(handle: Handle) -> Self {
        Self { handle, _thread: None }
    }
}

/// Work in the background. To drop it ends the work.
#[derive(Debug)]
pub(crate) struct Running<T> {
    task: JoinHandle<T>,
}

impl<T> Future for Running<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(cx)
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
