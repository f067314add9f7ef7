mod close;
mod conclude;
mod launch;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use envoi_core::{Deliver, Itemized};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::OutboxConfig;
use super::agenda::Agenda;
use super::inflight::InFlight;
use super::recovery::Recovery;
use super::rota::Rota;
use super::shared::{Shared, later};
use super::timer::Timer;
use super::verdict::Persistence;
use close::Progress;
use launch::Launch;

/// So many parcels may leave before other tasks get a turn.
const BUDGET: usize = 64;

/// Takes parcels from the store and sends them: the future that makes an [`Outbox`](super::Outbox) work. Run it on a
/// runtime, on a thread of its own ([`Driver::spawn_thread`]), or by hand.
///
/// It needs tokio's timers. It ends when a close is through, or when the last handle was dropped and the
/// [linger](OutboxConfig::linger) is over. Dropping it drops the deliveries that run (`network_error`), closes the
/// store, lets every flush return and makes posts fail.
#[must_use = "an outbox sends nothing until its driver is run"]
pub struct Driver<S, P>
where
    S: Deliver<P>,
    P: Itemized,
{
    shared: Arc<Shared<P>>,
    service: S,
    // Readiness that was not used yet.
    is_ready: bool,
    in_flight: FuturesUnordered<InFlight<S::Future, P>>,
    rota: Rota,
    agenda: Agenda,
    recovery: Recovery,
    rng: fastrand::Rng,
    timer: Timer,
    next_report: Option<Instant>,
    phase: Phase,
    concurrency: usize,
    persistence: Persistence,
    pace: Duration,
    replay_on_close: bool,
    report_interval: Option<Duration>,
    linger: Duration,
    halt: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close drains.
    Draining {
        /// Whether the losses of the draining itself were reported.
        reported: bool,
    },
    /// A close has interrupted what runs.
    Halted,
    Over,
}

// Nothing in here is pinned: deliveries live in boxes of their own.
impl<S: Deliver<P>, P: Itemized> Unpin for Driver<S, P> {}

impl<S: Deliver<P>, P: Itemized> Driver<S, P> {
    pub(super) fn new(shared: Arc<Shared<P>>, config: OutboxConfig<P>, service: S) -> Self {
        let report_interval = config.report_interval.filter(|_| shared.reporter.is_some());
        Self {
            next_report: report_interval.map(|interval| later(shared.clock.now(), interval)),
            shared,
            service,
            is_ready: false,
            in_flight: FuturesUnordered::new(),
            rota: Rota::new(config.weights),
            agenda: Agenda::default(),
            recovery: Recovery::default(),
            rng: config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            timer: Timer::default(),
            phase: Phase::Open,
            concurrency: config.concurrency,
            persistence: config.persistence,
            pace: config.pace,
            replay_on_close: config.replay_on_close,
            report_interval,
            linger: config.linger,
            halt: config.halt,
        }
    }

    /// Whether anything may leave the store.
    fn may_lease(&self) -> bool {
        match self.phase {
            Phase::Open => true,
            // What is left then is of an earlier run, and kept for the next.
            Phase::Draining { .. } => !self.shared.core.watch.is_settled() || self.replays_on_close(),
            Phase::Halted | Phase::Over => false,
        }
    }

    /// Whether a close goes on for what an earlier run left. In an outage it does not: each exit would take all its time.
    fn replays_on_close(&self) -> bool {
        self.replay_on_close && !self.recovery.is_down() && self.shared.undelivered() > 0
    }

    /// Sends pending reports on their own from time to time, if nothing is about to leave that they could ride on.
    fn report(&mut self, now: Instant) -> bool {
        let (Some(due), Some(interval)) = (self.next_report, self.report_interval) else { return false };
        if now < due || self.phase != Phase::Open {
            return false;
        }
        self.next_report = Some(later(now, interval));
        self.in_flight.is_empty()
            && self.shared.core.signal.lanes().is_empty()
            && self.shared.post_report(now)
    }

    fn is_limited(&self, now: Instant) -> bool {
        !self.shared.limits.is_idle() && self.shared.limits.any_active(now)
    }
}

impl<S: Deliver<P>, P: Itemized> Future for Driver<S, P> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.phase == Phase::Over {
            return Poll::Ready(());
        }
        this.shared.core.signal.register(cx.waker());
        let mut budget = BUDGET;
        loop {
            let now = this.shared.clock.now();
            while let Poll::Ready(Some((ticket, answer))) = this.in_flight.poll_next_unpin(cx) {
                this.conclude(ticket, answer, now);
            }
            this.take_commands();
            match this.launch(now, &mut budget, cx) {
                Launch::Idle => {}
                Launch::Some => continue,
                Launch::Enough => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            match this.advance_close(now) {
                Progress::Wait => {}
                Progress::Again => continue,
                Progress::End { drained } => {
                    this.finish(drained);
                    return Poll::Ready(());
                }
            }
            if this.report(now) {
                continue;
            }
            if this.shared.core.watch.has_drainers() {
                this.shared.core.watch.remaining(this.shared.undelivered() as u64);
            }
            let Some(deadline) = this.next_deadline(now) else { return Poll::Pending };
            std::task::ready!(this.timer.poll(deadline, &*this.shared.clock, cx));
        }
    }
}

impl<S: Deliver<P>, P: Itemized> Drop for Driver<S, P> {
    fn drop(&mut self) {
        if self.phase != Phase::Over {
            self.finish(self.in_flight.is_empty() && self.shared.core.watch.is_settled());
        }
    }
}

impl<S: Deliver<P>, P: Itemized> fmt::Debug for Driver<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("in_flight", &self.in_flight.len())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
