//! The ticket of one envelope.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use envoi::Envelope;
use envoi::core::Parcel;
use tokio::sync::oneshot;

use crate::outcome::Verdict;

/// How far an envelope has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No attempt was made.
    #[default]
    Queued,
    /// An attempt is being made.
    Underway,
    /// The last attempt came to this.
    Answered(Verdict),
}

/// What is known of an envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How far it has come.
    pub(crate) stage: Stage,
    /// The last attempt failed on the network, so that there may be more.
    pub(crate) may_return: bool,
    /// How many attempts were made.
    pub(crate) attempts: u32,
    /// How many of its items were left at last, after what limits hold back was taken out.
    pub(crate) left: Option<u64>,
}

/// A look at a ticket that does not keep it from its end.
#[derive(Clone)]
pub(crate) struct Glance(Weak<Papers>);

impl Glance {
    /// How far the envelope has come; `None` after its end.
    pub(crate) fn progress(&self) -> Option<Progress> {
        let papers = self.0.upgrade()?;
        let progress = papers.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(progress)
    }
}

/// Clones are the same ticket.
#[derive(Clone)]
pub(crate) struct Ticket(Arc<Papers>);

struct Papers {
    progress: Mutex<Progress>,
    end: Option<oneshot::Sender<Progress>>,
}

impl Ticket {
    /// A parcel with a ticket, a look at it, and what tells its end. That is always told, with the last clone.
    pub(crate) fn issue(envelope: Envelope) -> (Parcel<Envelope>, Glance, oneshot::Receiver<Progress>) {
        let (end, ended) = oneshot::channel();
        let mut parcel = Parcel::new(envelope);
        let papers = Papers { progress: Mutex::default(), end: Some(end) };
        let papers = Arc::new(papers);
        let glance = Glance(Arc::downgrade(&papers));
        parcel.meta_mut().extensions.insert(Self(papers));
        (parcel, glance, ended)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) {
        let mut progress = self.progress();
        progress.stage = Stage::Underway;
        progress.may_return = false;
        progress.attempts = progress.attempts.saturating_add(1);
    }

    pub(super) fn answered(&self, verdict: Verdict, may_return: bool) {
        let mut progress = self.progress();
        progress.stage = Stage::Answered(verdict);
        progress.may_return = may_return;
    }

    /// Counts what is left of the envelope, without the reports of ours that ride on it.
    pub(super) fn saw(&self, envelope: &Envelope) {
        let left = envelope.items().iter().filter(|item| !item.is_rider()).count();
        self.progress().left = Some(left as u64);
    }
}

impl Drop for Papers {
    fn drop(&mut self) {
        let progress = std::mem::take(self.progress.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Some(end) = self.end.take() {
            // Nobody may care any more.
            let _ = end.send(progress);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&*self.progress()).finish()
    }
}
