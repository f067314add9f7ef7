use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use envoi_core::Clock;
use tokio::time::Sleep;

/// One timer for all deadlines of a driver, which are instants of its clock.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    until: Option<Instant>,
}

impl Timer {
    /// Ready when the clock says `at`. Touches the runtime's timers only when the deadline has changed.
    pub(super) fn poll(&mut self, at: Instant, clock: &dyn Clock, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.until != Some(at) {
                let now = clock.now();
                if at <= now {
                    return Poll::Ready(());
                }
                let deadline = tokio::time::Instant::now() + (at - now);
                match &mut self.sleep {
                    Some(sleep) => sleep.as_mut().reset(deadline),
                    None => self.sleep = Some(Box::pin(tokio::time::sleep_until(deadline))),
                }
                self.until = Some(at);
            }
            match &mut self.sleep {
                Some(sleep) => std::task::ready!(sleep.as_mut().poll(cx)),
                None => return Poll::Pending,
            }
            // A clock of one's own may not be there yet: sleep on.
            self.until = None;
        }
    }
}
