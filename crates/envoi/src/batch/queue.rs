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

    /// The next batch that is due, or with `all` the next of whatever waits. [`Queue::handed_over`] follows.
    pub(super) fn take(&self, now: Instant, all: bool) -> Option<Batch> {
        let mut state = self.lock();
        if all && !state.batcher.is_empty() {
            state.batcher.flush(now);
        }
        let batch = state.batcher.poll(now)?;
        state.in_hand += 1;
        Some(batch)
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

    fn has_moved(state: &State, mark: u64) -> bool {
        state.over || (state.batcher.left() >= mark && state.in_hand == 0)
    }

    /// Whether everything from before the mark was handed over.
    pub(super) fn is_past(&self, mark: u64) -> bool {
        let state = self.lock();
        state.batcher.left() >= mark && state.in_hand == 0
    }

    /// Waits until everything from before the mark was handed over, at most `within`. Cancel safe.
    pub(super) async fn wait(&self, mark: u64, within: Duration) {
        let _waiting = Waiting::new(self);
        let moved = async {
            loop {
                let notified = self.moved.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if Self::has_moved(&self.lock(), mark) {
                    return;
                }
                notified.await;
            }
        };
        // Too late is an answer as well: the caller looks how far it came.
        let _ = tokio::time::timeout(within, moved).await;
    }

    /// Blocks the thread for at most `within`.
    pub(super) fn wait_blocking(&self, mark: u64, within: Duration) {
        let _waiting = Waiting::new(self);
        let state = self.lock();
        drop(self.threads.wait_timeout_while(state, within, |state| !Self::has_moved(state, mark)));
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
