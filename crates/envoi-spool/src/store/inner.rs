use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use envoi_core::{Clock, Itemized, StoreHost, SystemClock};

use super::SpoolConfig;
use super::front::{Event, Events, Front, Work};

/// So many bytes are written in one round, so that reads and syncs get their turn.
const ROUND: usize = 1 << 20;
/// What was settled may wait so long for the thread: it is written every 100 ms at most, and to wake the thread for each
/// would take longer than the delivery.
const NOTES: Duration = Duration::from_millis(10);

/// What the handles and the thread share.
pub(super) struct Inner<P: Itemized> {
    front: Mutex<Front<P>>,
    work: Condvar,
    /// The thread waits for work. Changed with the lock held only; whoever has left work behind under the lock sees
    /// afterwards whether a bell is needed, and most of the time a call of the system is saved.
    asleep: AtomicBool,
    done: Condvar,
    host: OnceLock<Arc<dyn StoreHost<P::Category>>>,
    pub(super) config: SpoolConfig,
    pub(super) root: PathBuf,
    pub(super) slot: Mutex<Option<PathBuf>>,
    /// The process that the thread runs in: after a fork the child has none.
    pid: u32,
}

impl<P: Itemized> Inner<P> {
    pub(super) fn new(front: Front<P>, root: PathBuf, config: SpoolConfig) -> Self {
        Self {
            front: Mutex::new(front),
            work: Condvar::new(),
            asleep: AtomicBool::new(false),
            done: Condvar::new(),
            host: OnceLock::new(),
            config,
            root,
            slot: Mutex::new(None),
            pid: std::process::id(),
        }
    }

    #[cfg(test)]
    pub(super) const fn pretend_pid(&mut self, pid: u32) {
        self.pid = pid;
    }

    pub(super) fn is_forked(&self) -> bool {
        std::process::id() != self.pid
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Front<P>> {
        // A payload that panics while it is asked leaves the lists as they are.
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Instant {
        self.config.clock.now()
    }

    pub(super) fn wall_ms(&self) -> u64 {
        let since = self.config.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn host(&self) -> Option<&dyn StoreHost<P::Category>> {
        self.host.get().map(|host| &**host)
    }

    pub(super) fn connect(&self, host: Arc<dyn StoreHost<P::Category>>) {
        let unheard = {
            let mut front = self.lock();
            if self.host.set(host).is_err() {
                return;
            }
            std::mem::take(&mut front.unheard)
        };
        self.tell(unheard);
    }

    /// Tells the host. Never with the lock held: hosts are strangers.
    pub(super) fn tell(&self, events: Events<P::Category>) {
        let Some(host) = self.host.get() else {
            if events.is_empty() {
                return;
            }
            let mut front = self.lock();
            if self.host.get().is_none() {
                return front.unheard.extend(events);
            }
            drop(front);
            return self.tell(events);
        };
        for event in events {
            match event {
                Event::Found(tally) => {
                    for (category, quantity) in &*tally {
                        host.found(category, *quantity);
                    }
                }
                Event::Lost(reason, tally) => {
                    for (category, quantity) in &*tally {
                        host.lost(reason.clone(), category, *quantity);
                    }
                }
                Event::Restore(news) => {
                    for (reason, category, quantity) in news {
                        host.restore(reason, &category, quantity);
                    }
                }
                Event::Gone(tag) => host.gone(tag),
                Event::Wake => host.wake(),
                Event::Confirmed(confirm, fate) => confirm(fate),
            }
        }
    }

    /// There may be work for the thread. To be called after the lock was released under which it was left.
    pub(super) fn ring(&self) {
        if self.asleep.load(Ordering::Relaxed) {
            self.work.notify_one();
        }
    }

    /// Waits for work, at most `within`. For the thread.
    pub(super) fn wait_for_work(&self, within: Duration) -> Work<P::Category> {
        let mut front = self.lock();
        let end = SystemClock.now() + within;
        let mut notes_end = None;
        loop {
            if front.has_work() {
                break;
            }
            let now = SystemClock.now();
            let mut due = end;
            if front.has_notes() {
                // From here on nobody needs to ring for more of them.
                due = due.min(*notes_end.get_or_insert(now + NOTES));
            }
            if due <= now {
                break;
            }
            self.asleep.store(true, Ordering::Relaxed);
            front.bell_for_notes = notes_end.is_none();
            (front, _) = self.work.wait_timeout(front, due - now).unwrap_or_else(PoisonError::into_inner);
            self.asleep.store(false, Ordering::Relaxed);
        }
        front.take_work(ROUND)
    }

    pub(super) fn announce(&self) {
        self.done.notify_all();
    }

    /// Waits until the thread has done something, at most `within`.
    pub(super) fn wait_until(
        &self,
        within: Duration,
        is_done: impl Fn(&Front<P>) -> bool,
    ) -> MutexGuard<'_, Front<P>> {
        let (front, _) = self
            .done
            .wait_timeout_while(self.lock(), within, |front| !is_done(front))
            .unwrap_or_else(PoisonError::into_inner);
        front
    }

    pub(super) fn slot(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
