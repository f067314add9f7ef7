use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use envoi_core::{Fate, Loss};
use http::StatusCode;
use tokio::sync::broadcast;

/// So many outcomes wait for a slow listener.
const BACKLOG: usize = 1024;

/// What became of a parcel in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The id of the payload, an event id, if it has one and somebody listened when it was sent.
    pub id: Option<String>,
    /// What became of it.
    pub end: End,
    /// The status of the server's reply, if there was one.
    pub status: Option<StatusCode>,
    /// How many attempts were made.
    pub attempts: u32,
}

/// How a parcel ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Responsibility was discharged: delivered, taken on by another queue, or nothing was left of it.
    Discharged(Fate),
    /// It was given up, and recorded like this.
    GivenUp(Loss),
    /// The store destroyed it (overflow, age, corruption) and recorded why.
    Evicted,
}

impl Outcome {
    pub(super) const fn new(end: End) -> Self {
        Self { id: None, end, status: None, attempts: 0 }
    }
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The outcome of a parcel.
    Outcome(Outcome),
    /// The listener was too slow and missed so many outcomes.
    Missed(u64),
}

/// A stream of outcomes, made by [`Outbox::outcomes`](super::Outbox::outcomes).
///
/// The last 1024 wait for a slow listener; older ones are lost to it, and it is told how many.
pub struct Outcomes {
    receiver: broadcast::Receiver<Outcome>,
    listeners: Arc<AtomicUsize>,
}

impl Outcomes {
    /// The next outcome; `None` when the outbox and its driver are gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.receiver.recv().await {
            Ok(outcome) => Some(Notice::Outcome(outcome)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Notice::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next outcome if it is here already.
    pub fn try_next(&mut self) -> Option<Notice> {
        match self.receiver.try_recv() {
            Ok(outcome) => Some(Notice::Outcome(outcome)),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(Notice::Missed(missed)),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        self.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").field("waiting", &self.receiver.len()).finish()
    }
}

/// Tells the listeners; with none it costs one relaxed load.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    listeners: Arc<AtomicUsize>,
    // Made for the first listener: it is a buffer of some size.
    channel: OnceLock<broadcast::Sender<Outcome>>,
}

impl Announcer {
    pub(super) fn listen(&self) -> Outcomes {
        let receiver = self.channel.get_or_init(|| broadcast::channel(BACKLOG).0).subscribe();
        self.listeners.fetch_add(1, Ordering::Relaxed);
        Outcomes { receiver, listeners: Arc::clone(&self.listeners) }
    }

    pub(super) fn is_heard(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    pub(super) fn announce(&self, outcome: impl FnOnce() -> Outcome) {
        if self.is_heard()
            && let Some(channel) = self.channel.get()
        {
            // The last listener may leave in between; then nobody wants to know.
            let _ = channel.send(outcome());
        }
    }
}
