use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Record;

/// A stream of requests, as they are answered.
#[derive(Debug)]
pub struct Events {
    pub(super) receiver: broadcast::Receiver<Arc<Record>>,
    pub(super) missed: u64,
}

impl Events {
    /// The next request; `None` when the server has shut down. Cancel safe.
    ///
    /// Who is slower than the server by a thousand requests misses the oldest, see [`Events::missed`].
    pub async fn next(&mut self) -> Option<Arc<Record>> {
        loop {
            match self.receiver.recv().await {
                Ok(record) => return Some(record),
                Err(RecvError::Lagged(count)) => self.missed += count,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many requests were missed so far.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}
