use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::epochs::Epochs;

/// Who has no outcome yet, and those who wait for it: tasks and threads.
#[derive(Debug, Default)]
pub(super) struct Watch {
    state: Mutex<State>,
    // Those who wait until the queue is empty.
    drainers: AtomicUsize,
    tasks: Notify,
    threads: Condvar,
}

#[derive(Debug, Default)]
struct State {
    epochs: Epochs,
    ending: Option<Ending>,
    waiting: usize,
    // How often the queue was seen empty while somebody waited for it.
    emptied: u64,
    // What the driver has last seen there since the last of them came.
    remaining: Option<u64>,
}

/// How the driver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Whether everything had its outcome before anything was cut off.
    pub(super) drained: bool,
}

/// What a flush, a drain or a close waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// The parcels before this mark have their outcome, or nobody is left who could see to it.
    Mark(u64),
    /// The queue was empty after this [`Drainer`] came, or nobody is left who could see to it.
    Empty(u64),
    /// The driver has ended.
    End,
}

impl State {
    fn is_over(&self, until: Until) -> bool {
        self.ending.is_some()
            || match until {
                Until::Mark(mark) => self.epochs.is_reached(mark),
                Until::Empty(before) => self.emptied > before,
                Until::End => false,
            }
    }
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the numbers consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.tasks.notify_waiters();
        self.threads.notify_all();
    }

    /// Enters a parcel and returns its tag.
    pub(super) fn enter(&self) -> u64 {
        self.lock().epochs.enter()
    }

    /// The parcel with this tag has its outcome.
    pub(super) fn settle(&self, tag: u64) {
        let mut state = self.lock();
        if state.epochs.settle(tag) && state.waiting > 0 {
            drop(state);
            self.notify();
        }
    }

    /// A mark between what was entered so far and what will be.
    pub(super) fn cut(&self) -> u64 {
        self.lock().epochs.cut()
    }

    /// How many parcels from before the mark have no outcome.
    pub(super) fn left(&self, mark: u64) -> u64 {
        self.lock().epochs.left(mark)
    }

    pub(super) fn outstanding(&self) -> u64 {
        self.lock().epochs.outstanding()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.lock().epochs.is_settled()
    }

    /// Somebody is going to wait until the queue is empty. From now on the driver says so when it is.
    pub(super) fn drainer(&self) -> Drainer<'_> {
        self.drainers.fetch_add(1, Ordering::SeqCst);
        let mut state = self.lock();
        state.remaining = None;
        Drainer { watch: self, before: state.emptied }
    }

    /// Whether anybody wants to know what is left.
    pub(super) fn has_drainers(&self) -> bool {
        self.drainers.load(Ordering::SeqCst) > 0
    }

    /// So many parcels are queued or in flight at this moment. For the driver: while it moves them, nobody else can count
    /// them.
    pub(super) fn remaining(&self, left: u64) {
        let mut state = self.lock();
        state.remaining = Some(left);
        if left == 0 {
            state.emptied += 1;
            drop(state);
            self.notify();
        }
    }

    /// The driver has ended. Only the first time counts.
    pub(super) fn end(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
        self.notify();
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        self.lock().ending
    }

    /// Waits at most `within`. Cancel safe.
    pub(super) async fn wait(&self, until: Until, within: Duration) {
        let _waiting = Waiting::new(self);
        let over = async {
            loop {
                let notified = self.tasks.notified();
                tokio::pin!(notified);
                // Listening before looking: what is settled from here on is not missed.
                notified.as_mut().enable();
                if self.lock().is_over(until) {
                    return;
                }
                notified.await;
            }
        };
        // Too late is an answer as well: the caller looks at what is left.
        let _ = tokio::time::timeout(within, over).await;
    }

    /// Blocks the thread for at most `within`.
    pub(super) fn wait_blocking(&self, until: Until, within: Duration) {
        let _waiting = Waiting::new(self);
        let state = self.lock();
        drop(self.threads.wait_timeout_while(state, within, |state| !state.is_over(until)));
    }
}

/// One who waits until the queue is empty, for as long as it does.
pub(super) struct Drainer<'a> {
    watch: &'a Watch,
    before: u64,
}

impl Drainer<'_> {
    pub(super) const fn until(&self) -> Until {
        Until::Empty(self.before)
    }

    /// How many parcels are left: none if the queue was empty, else what the driver saw last. `None` if it has not looked,
    /// or does not move any more.
    pub(super) fn left(&self) -> Option<u64> {
        let state = self.watch.lock();
        if state.emptied > self.before {
            return Some(0);
        }
        state.remaining.filter(|_| state.ending.is_none())
    }
}

impl Drop for Drainer<'_> {
    fn drop(&mut self) {
        self.watch.drainers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts one who waits, for as long as it does.
struct Waiting<'a>(&'a Watch);

impl<'a> Waiting<'a> {
    fn new(watch: &'a Watch) -> Self {
        watch.lock().waiting += 1;
        Self(watch)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}
