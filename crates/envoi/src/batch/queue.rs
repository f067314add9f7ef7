use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use envoi_batch::{Batch, Batcher, Category, Event, Pushed, TooLarge};
use envoi_core::Ledger;
use tokio::sync::Notify;

/// The batcher that all handles share, and those who wait for it to move: the driver, tasks and threads.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    ledger: Ledger<Category>,
    /// Rung for the driver: a batch may be due, or the first deadline has changed.
    pub(super) bell: Notify,
    moved: Notify,
    threads: Condvar,
}

#[derive(Debug)]
struct State {
    batcher: Batcher,
    closed: bool,
    /// The driver is gone: nothing moves any more.
    over: bool,
    /// Batches that were taken and are not handed over yet.
    in_hand: usize,
    waiting: usize,
}

/// To hand a batch over takes microseconds. This is for a subscriber of `tracing` that waits for it from within it.
const HAND_OVER: Duration = Duration::from_secs(1);

impl State {
    fn take(&mut self, now: Instant, all: bool) -> Option<Batch> {
        if all && !self.batcher.is_empty() {
            self.batcher.flush(now);
        }
        let batch = self.batcher.poll(now)?;
        self.in_hand += 1;
        Some(batch)
    }

    /// Whether everything from before the mark was handed over.
    const fn is_past(&self, mark: u64) -> bool {
        self.batcher.left() >= mark && self.in_hand == 0
    }

    const fn has_moved(&self, mark: u64) -> bool {
        self.over || self.is_past(mark)
    }
}

/// Why an event was not taken on.
#[derive(Debug)]
pub(super) enum Refused {
    Closed,
    TooLarge(TooLarge),
}

impl Queue {
    /// Enters in `ledger` what it takes on.
    pub(super) fn new(batcher: Batcher, ledger: Ledger<Category>) -> Self {
        let state = State { batcher, closed: false, over: false, in_hand: 0, waiting: 0 };
        Self {
            state: Mutex::new(state),
            ledger,
            bell: Notify::new(),
            moved: Notify::new(),
            threads: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves the batcher consistent: it calls no strangers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event; says how many had to make room.
    pub(super) fn push(&self, event: Event, now: Instant) -> Result<u64, Refused> {
        self.add(&mut self.lock(), event, now)
    }

    fn add(&self, state: &mut State, event: Event, now: Instant) -> Result<u64, Refused> {
        if state.closed {
            return Err(Refused::Closed);
        }
        let Pushed { overflow, is_news, .. } = state.batcher.push(event, now).map_err(Refused::TooLarge)?;
        // With the lock still held, so that no outcome of it is in the books before it is.
        self.ledger.posted(&Category::EVENT, 1);
        if is_news || overflow > 0 {
            self.bell.notify_one();
        }
        Ok(overflow)
    }

    /// Adds an event as soon as nobody has to make room for it. Cancel safe: it is added or not.
    pub(super) async fn push_with_room(
        &self,
        event: Event,
        now: impl Fn() -> Instant,
    ) -> Result<u64, Refused> {
        let has_room =
            |state: &State| state.closed || state.batcher.is_empty() || state.batcher.has_room(&event);
        {
            let mut state = self.lock();
            if has_room(&state) {
                return self.add(&mut state, event, now());
            }
        }
        let _waiting = Waiting::new(self);
        loop {
            let notified = self.moved.notified();
            tokio::pin!(notified);
            // Listening before looking: what moves from here on is not missed.
            notified.as_mut().enable();
            {
                let mut state = self.lock();
                if has_room(&state) {
                    return self.add(&mut state, event, now());
                }
            }
            notified.await;
        }
    }

    /// The next batch that is due, or with `all` the next of whatever waits. [`Queue::handed_over`] follows. `None` also
    /// while another thread hands one over, so that batches keep their order: that is a shutdown, and goes on with the next.
    pub(super) fn take(&self, now: Instant, all: bool) -> Option<Batch> {
        let mut state = self.lock();
        if state.in_hand > 0 { None } else { state.take(now, all) }
    }

    /// The next of whatever waits, when nobody else has one in hand: after the last, all have been handed over. A close
    /// that came before that would refuse one that was on its way (BD-9).
    pub(super) fn take_when_free(&self, now: Instant) -> Option<Batch> {
        let mut state = self.lock();
        if state.in_hand > 0 {
            state.waiting += 1;
            let waited = self.threads.wait_timeout_while(state, HAND_OVER, |state| state.in_hand > 0);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
        state.take(now, true)
    }

    /// What was taken is somebody else's now.
    pub(super) fn handed_over(&self) {
        let mut state = self.lock();
        state.in_hand -= 1;
        if state.waiting > 0 {
            drop(state);
            self.notify();
        }
    }

    fn notify(&self) {
        self.moved.notify_waiters();
        self.threads.notify_all();
    }

    /// Takes nothing more on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.notify();
    }

    /// The driver is gone.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        (state.closed, state.over) = (true, true);
        drop(state);
        self.notify();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Makes due what waits now, and returns the mark to wait for.
    pub(super) fn flush(&self, now: Instant) -> u64 {
        let mark = {
            let mut state = self.lock();
            state.batcher.flush(now);
            state.batcher.pushed()
        };
        self.bell.notify_one();
        mark
    }

    /// Waits until everything from before the mark was handed over, at most `within`, and says whether it was. Cancel safe.
    pub(super) async fn wait(&self, mark: u64, within: Duration) -> bool {
        let _waiting = Waiting::new(self);
        let moved = async {
            loop {
                let notified = self.moved.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                {
                    let state = self.lock();
                    if state.has_moved(mark) {
                        return state.is_past(mark);
                    }
                }
                notified.await;
            }
        };
        tokio::time::timeout(within, moved).await.unwrap_or(false)
    }

    /// Blocks the thread for at most `within`.
    pub(super) fn wait_blocking(&self, mark: u64, within: Duration) -> bool {
        let _waiting = Waiting::new(self);
        let state = self.lock();
        let waited = self.threads.wait_timeout_while(state, within, |state| !state.has_moved(mark));
        waited.unwrap_or_else(PoisonError::into_inner).0.is_past(mark)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lock().batcher.deadline()
    }

    /// How many events wait, and their bytes.
    pub(super) fn depth(&self) -> (usize, usize) {
        let state = self.lock();
        (state.batcher.len(), state.batcher.bytes())
    }
}

/// Counts one who waits, for as long as it does.
struct Waiting<'a>(&'a Queue);

impl<'a> Waiting<'a> {
    fn new(queue: &'a Queue) -> Self {
        queue.lock().waiting += 1;
        Self(queue)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

#[cfg(test)]
mod tests;
