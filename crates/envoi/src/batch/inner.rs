use std::any::Any;
use std::sync::Arc;
#[cfg(feature = "spool")]
use std::time::Duration;

use envoi_batch::{Batch, Category, Event};
use envoi_core::{
    Custodian, DiscardReason, Fault, Itemized, Kind, Ledger, Loss, LossSink, Parcel, SharedClock,
};
use envoi_layers::breaker::BreakerLayer;
use envoi_layers::latch::LatchLayer;
use envoi_layers::outbox::Outbox;

use super::losses::Losses;
use super::queue::{Queue, Refused};
use crate::guard;

/// What the handles share.
pub(super) struct Inner {
    pub(super) outbox: Outbox<Batch>,
    pub(super) queue: Arc<Queue>,
    pub(super) books: Arc<Books>,
    pub(super) latch: LatchLayer,
    pub(super) breaker: BreakerLayer,
    pub(super) clock: SharedClock,
    /// So many batches may be out of the queue; `None` if they go to a disk, which is where they are to be.
    pub(super) room: Option<u64>,
    #[cfg(feature = "spool")]
    pub(super) spool: Option<Arc<envoi_spool::Spool<Batch>>>,
}

impl Inner {
    pub(super) const fn is_durable(&self) -> bool {
        self.room.is_none()
    }

    /// Whether it is worth the while to make an event. The queue has the last word.
    pub(super) fn admits(&self) -> Result<(), Fault> {
        if self.latch.is_tripped() {
            let words = "the server has refused the credentials, so nothing is sent any more";
            return Err(self.refuse(Fault::new(Kind::Disabled).with_message(words)));
        }
        if guard::is_inside() {
            self.books.never_taken(DiscardReason::Ignored);
            let words = "logged from inside the transport itself, which would never end";
            return Err(Fault::new(Kind::Disabled).with_message(words));
        }
        Ok(())
    }

    /// Books an event that is not taken on.
    pub(super) fn refuse(&self, fault: Fault) -> Fault {
        self.books.never_taken(match fault.loss() {
            Loss::Lost(reason) => reason,
            Loss::Refused(_) => DiscardReason::SendError,
        });
        fault
    }

    pub(super) fn send(&self, event: Event) -> Result<(), Fault> {
        self.admits()?;
        let pushed = self.queue.push(event, self.clock.now());
        self.conclude(pushed)
    }

    pub(super) async fn send_with_room(&self, event: Event) -> Result<(), Fault> {
        self.admits()?;
        let pushed = self.queue.push_with_room(event, || self.clock.now()).await;
        self.conclude(pushed)
    }

    fn conclude(&self, pushed: Result<u64, Refused>) -> Result<(), Fault> {
        match pushed {
            Ok(0) => Ok(()),
            Ok(overflow) => {
                self.books.lost(DiscardReason::QueueOverflow, &Category::EVENT, overflow);
                Ok(())
            }
            Err(Refused::Closed) => Err(self.refuse(Fault::new(Kind::Closed))),
            Err(Refused::TooLarge(error)) => Err(self.refuse(Fault::caused_by(Kind::Encode, error))),
        }
    }

    /// Hands over what is due and has room.
    pub(super) fn feed(&self) {
        // After a refusal of the credentials all is in vain: it goes now, and is booked on the way.
        let is_over = self.latch.is_tripped();
        let mut fed = false;
        while self.room.is_none_or(|room| is_over || self.outbox.outstanding() < room)
            && let Some(batch) = self.queue.take(self.clock.now(), is_over)
        {
            self.hand_over(batch);
            fed = true;
        }
        if fed {
            // The first deadline is another one now.
            self.queue.bell.notify_one();
        }
    }

    /// Hands over everything, and waits for whoever does so at this moment: from here on it is the outbox that sees to it,
    /// and accounts for it.
    pub(super) fn feed_all(&self) {
        while let Some(batch) = self.queue.take_when_free(self.clock.now()) {
            self.hand_over(batch);
        }
    }

    /// Keeps the state of the breaker for the next run.
    pub(super) fn keep_breaker(&self) {
        #[cfg(feature = "spool")]
        if let Some(spool) = &self.spool {
            spool.save_state_soon(BREAKER, self.breaker.snapshot().to_string().as_bytes());
        }
    }

    fn hand_over(&self, batch: Batch) {
        let mut parcel = Parcel::new(batch);
        parcel.entrust(Arc::<Books>::clone(&self.books));
        if let Err(failure) = self.outbox.try_post(parcel) {
            let (fault, parcel) = failure.into_parts();
            if let Some(mut parcel) = parcel {
                parcel.reclaim();
                let reason = match fault.loss() {
                    Loss::Lost(reason) => reason,
                    Loss::Refused(_) => DiscardReason::SendError,
                };
                parcel.payload().tally(&mut |category, quantity| {
                    self.books.lost(reason.clone(), category, quantity);
                });
            }
        }
        self.queue.handed_over();
    }
}

/// The name that the state of the breaker is kept under in the disk buffer.
#[cfg(feature = "spool")]
const BREAKER: &str = "breaker";

/// Takes over the state of the breaker when the last run ended. It is a courtesy: without it the server is found out about
/// anew, at the cost of some batches.
#[cfg(feature = "spool")]
pub(super) fn restore_breaker(spool: &envoi_spool::Spool<Batch>, breaker: &BreakerLayer) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    if let Ok(Some(saved)) = spool.load_state(BREAKER, DAY)
        && let Some(saved) = str::from_utf8(&saved).ok().and_then(|saved| saved.parse().ok())
    {
        // Its own cooldown is the ceiling.
        breaker.restore(&saved, Duration::MAX);
    }
}

/// The last handle is gone: what waits goes on its way, and the outbox lingers.
impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        self.feed_all();
        self.queue.bell.notify_one();
        self.keep_breaker();
    }
}

/// The ledger, and whoever reports losses. It has custody of a batch on its way from the queue into the outbox, which then
/// does not enter it as posted a second time.
#[derive(Clone, Debug)]
pub(super) struct Books {
    pub(super) ledger: Ledger<Category>,
    pub(super) losses: Losses,
}

impl Books {
    /// An event came and was not taken on.
    fn never_taken(&self, reason: DiscardReason) {
        self.ledger.posted(&Category::EVENT, 1);
        // Whoever logged it has been told; the handler need not be.
        self.ledger.lost(reason, &Category::EVENT, 1);
    }

    fn lost(&self, reason: DiscardReason, category: &Category, quantity: u64) {
        self.ledger.lost(reason.clone(), category, quantity);
        self.losses.lost(reason, category, quantity);
    }
}

impl Custodian<Batch> for Books {
    /// It did not get there: some code of ours has panicked.
    fn released(&self, batch: &Batch) {
        batch.tally(&mut |category, quantity| self.lost(DiscardReason::InternalSdkError, category, quantity));
    }

    fn keeps(&self, books: &dyn Any) -> bool {
        books.downcast_ref::<Ledger<Category>>().is_some_and(|ledger| ledger.is_same(&self.ledger))
    }
}
