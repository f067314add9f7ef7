use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use tokio::sync::Notify;

/// A waker that a test can ask whether it was used.
#[derive(Debug, Default)]
pub(super) struct WakeFlag {
    woken: AtomicBool,
    notify: Notify,
}

impl WakeFlag {
    pub(super) fn new() -> (Arc<Self>, Waker) {
        let flag = Arc::new(Self::default());
        let waker = Waker::from(Arc::clone(&flag));
        (flag, waker)
    }

    /// Waits until the waker has been used.
    pub(super) async fn woken(&self) {
        let mut notified = std::pin::pin!(self.notify.notified());
        notified.as_mut().enable();
        if !self.woken.load(Ordering::Acquire) {
            notified.await;
        }
    }
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }
}
