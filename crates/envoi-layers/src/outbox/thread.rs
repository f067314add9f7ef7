use std::io;
use std::thread::{Builder, JoinHandle};

use envoi_core::{Deliver, Itemized};

use super::Driver;

impl<S, P> Driver<S, P>
where
    S: Deliver<P, Future: Send> + Send + 'static,
    P: Itemized,
{
    /// Runs the driver on a thread of its own, with a small runtime of its own: for programs without a runtime, and for
    /// those whose runtime may end before the last words are sent. The thread ends with the driver.
    ///
    /// # Errors
    /// If the runtime or the thread cannot be made; the outbox is closed then.
    pub fn spawn_thread(self) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Builder::new().name("envoi-outbox".to_owned()).spawn(move || runtime.block_on(self))
    }
}
