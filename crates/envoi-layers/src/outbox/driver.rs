use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use envoi_core::{
    Deliver, DiscardReason, Failure, Fate, Fault, Itemized, Kind, Lane, Lease, Loss, Next, Origin,
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::OutboxConfig;
use super::agenda::Agenda;
use super::custody::Entry;
use super::inflight::{Answer, Ended, InFlight, Panicked, Ticket, guarded};
use super::outcome::End;
use super::recovery::Recovery;
use super::rota::{LaneSet, Rota};
use super::shared::{Shared, later};
use super::timer::Timer;
use super::verdict::{History, Persistence, Verdict, verdict};
use super::watch::Ending;

/// So many parcels may leave before other tasks get a turn.
const BUDGET: usize = 64;
/// A table of limits that cannot say when one ends is asked again after this.
const RECHECK: Duration = Duration::from_secs(1);
/// Whoever names an instant that has passed as the next one must not make us spin.
const TICK: Duration = Duration::from_millis(1);

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

enum Launch {
    /// Nothing can leave now.
    Idle,
    /// Something left.
    Some,
    /// So much left that others should have a turn.
    Enough,
}

enum Progress {
    /// Wait for something to happen.
    Wait,
    /// Something changed, look again.
    Again,
    /// The end; whether everything had its outcome.
    End { drained: bool },
}

/// How often in a row the connection was reset under a parcel.
#[derive(Clone, Copy)]
struct Resets(u32);

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
            Phase::Draining { .. } => !self.shared.core.watch.is_settled(),
            Phase::Halted | Phase::Over => false,
        }
    }

    fn is_limited(&self, now: Instant) -> bool {
        !self.shared.limits.is_idle() && self.shared.limits.any_active(now)
    }

    /// Begins deliveries while there is room and something to send. The service is asked first: while it is not
    /// ready, parcels stay where overflow, priorities and fresh limits reach them.
    fn launch(&mut self, now: Instant, budget: &mut usize, cx: &mut Context<'_>) -> Launch {
        let mut launched = Launch::Idle;
        while self.in_flight.len() < self.concurrency && self.may_lease() {
            if *budget == 0 {
                return Launch::Enough;
            }
            let limited = self.is_limited(now);
            if limited && self.shared.limits.all_until(now).is_some() {
                break;
            }
            let signal = &self.shared.core.signal;
            signal.mark(self.agenda.due(now, !limited));
            if !self.has_stock() {
                break;
            }
            let readiness = match self.poll_ready(cx) {
                Poll::Ready(readiness) => readiness,
                Poll::Pending => break,
            };
            self.is_ready = matches!(readiness, Ok(Ok(())));
            let Some((lane, lease)) = self.take(limited, now) else { break };
            self.is_ready = false;
            self.depart(lane, lease, readiness, now);
            *budget -= 1;
            launched = Launch::Some;
        }
        launched
    }

    /// Whether anything is there to ask for. Readiness may be a share of something scarce, so it is not taken while
    /// the queue is empty.
    fn has_stock(&self) -> bool {
        let (store, signal) = (&self.shared.store, &self.shared.core.signal);
        let lanes = signal.lanes();
        Lane::ALL.into_iter().filter(|lane| lanes.contains(*lane)).any(|lane| {
            let is_empty = || store.depth(lane).parcels == 0;
            if !is_empty() {
                return true;
            }
            signal.lane_was_empty(lane);
            // Once more, for what was appended before the bit was cleared.
            let filled = !is_empty();
            if filled {
                signal.mark(LaneSet::of(lane));
            }
            filled
        })
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<(), Failure<P>>, Panicked>> {
        if self.is_ready {
            return Poll::Ready(Ok(Ok(())));
        }
        match guarded(|| self.service.poll_ready(cx).map_err(Into::into)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(readiness)) => Poll::Ready(Ok(readiness)),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }

    /// The next parcel by priority.
    fn take(&mut self, limited: bool, now: Instant) -> Option<(Lane, Lease<P>)> {
        let mut candidates = self.shared.core.signal.lanes();
        while let Some(lane) = self.rota.next(candidates) {
            let mut next = self.lease(lane, limited, now);
            if !matches!(next, Next::Ready(_)) {
                self.shared.core.signal.lane_was_empty(lane);
                // Once more, for what was appended before the bit was cleared.
                next = self.lease(lane, limited, now);
            }
            if let Next::Ready(lease) = next {
                self.shared.core.signal.mark(LaneSet::of(lane));
                self.rota.took(lane);
                return Some((lane, lease));
            }
            self.note(lane, &next, limited, now);
            candidates = candidates.without(lane);
        }
        None
    }

    fn lease(&self, lane: Lane, limited: bool, now: Instant) -> Next<P> {
        if !limited {
            return self.shared.store.lease(lane, now, None);
        }
        let limits = &self.shared.limits;
        let mut is_limited = |category: &P::Category| limits.category_until(category, now).is_some();
        self.shared.store.lease(lane, now, Some(&mut is_limited))
    }

    fn note(&mut self, lane: Lane, next: &Next<P>, limited: bool, now: Instant) {
        self.agenda.forget(lane);
        match next {
            Next::NotBefore(due) => self.agenda.wait(lane, (*due).max(now + TICK)),
            Next::Fetching => self.agenda.fetch(lane),
            Next::Ready(_) | Next::Held | Next::Empty => {}
        }
        // Also behind a wait there may be entries that are held.
        if limited && !matches!(next, Next::Empty) {
            self.agenda.hold(lane, self.limits_end(now));
        }
    }

    fn limits_end(&self, now: Instant) -> Instant {
        self.shared.limits.next_end(now).unwrap_or(now + RECHECK).max(now + TICK)
    }

    /// Sends one parcel.
    fn depart(
        &mut self,
        lane: Lane,
        lease: Lease<P>,
        readiness: Result<Result<(), Failure<P>>, Panicked>,
        now: Instant,
    ) {
        let replayed = lease.parcel.meta().origin == Origin::Replayed;
        let (ticket, parcel) = Ticket::new(&self.shared, lane, lease);
        if replayed {
            self.shared.store.pace(later(now, self.pace));
        }
        match readiness {
            Ok(Ok(())) => match guarded(|| self.service.call(parcel)) {
                Ok(call) => self.in_flight.push(InFlight::new(call, ticket)),
                Err(panicked) => self.conclude(ticket, Err(panicked), now),
            },
            // A service that fails to become ready will not get better. To fail parcel by parcel is better than to
            // hang.
            Ok(Err(failure)) => {
                let (fault, _) = failure.into_parts();
                self.conclude(ticket, Ok(Err(Failure::new(fault, parcel))), now);
            }
            Err(panicked) => {
                drop(parcel);
                self.conclude(ticket, Err(panicked), now);
            }
        }
    }

    /// Writes down what a call came to.
    fn conclude(&mut self, ticket: Ticket<P>, answer: Answer<P>, now: Instant) {
        let attempts = ticket.attempt.saturating_add(1);
        match answer {
            Ok(Ok(receipt)) => {
                let fate = receipt.fate();
                let status = receipt.reply().map(|reply| reply.status);
                let entry = match fate {
                    Fate::Delivered => Entry::Delivered,
                    Fate::Spent => Entry::Spent,
                    // Another queue answers for it, in the same ledger.
                    _ => Entry::Void,
                };
                ticket.end(entry, Ended { end: End::Discharged(fate), status, attempts }, now);
                if fate == Fate::Delivered && self.recovery.delivered(now, &self.persistence.backoff) {
                    self.shared.hurry();
                }
            }
            Ok(Err(failure)) => self.conclude_failure(ticket, failure, now),
            Err(Panicked(words)) => {
                let fault = Fault::new(Kind::Other).with_message(format!("a layer panicked: {words}"));
                self.shared.note_failure(&fault, now);
                let loss = Loss::Lost(DiscardReason::InternalSdkError);
                let ended = Ended { end: End::GivenUp(loss.clone()), status: None, attempts };
                ticket.end(Entry::Lost(loss), ended, now);
            }
        }
    }

    fn conclude_failure(&mut self, ticket: Ticket<P>, failure: Failure<P>, now: Instant) {
        let (fault, parcel) = failure.into_parts();
        self.shared.note_failure(&fault, now);
        if fault.kind().is_network() {
            self.recovery.failed(now, &self.persistence.backoff);
        }
        let status = fault.status();
        let attempts = ticket.attempt.saturating_add(1);
        let ended = |loss: &Loss| Ended { end: End::GivenUp(loss.clone()), status, attempts };
        let Some(mut parcel) = parcel else {
            // Lost inside. Whatever is left of it is written down when it is dropped, or was dropped already.
            let loss = fault.loss();
            return ticket.end(Entry::Lost(loss.clone()), ended(&loss), now);
        };
        parcel.reclaim();
        let extensions = &parcel.meta().extensions;
        let history = History {
            attempt: ticket.attempt,
            resets: extensions.get::<Resets>().map_or(0, |resets| resets.0),
            age: now.saturating_duration_since(ticket.since),
        };
        let unit = self.rng.f64();
        let verdict = verdict(&fault, history, &self.persistence, unit);
        let (due, until_server) = match verdict {
            Verdict::GiveUp(loss) => {
                self.shared.books().destroyed(parcel.payload(), &loss);
                return ticket.end(Entry::Void, ended(&loss), now);
            }
            Verdict::Halted if self.phase == Phase::Halted => (None, false),
            // Without a close a halt is somebody's mistake; not to spin over it, it waits like a first failure.
            Verdict::Halted => (Some(later(now, self.persistence.backoff.delay(1, unit))), false),
            Verdict::Again { wait, until_server, resets } => {
                let meta = parcel.meta_mut();
                meta.attempt = attempts;
                if resets > 0 {
                    meta.extensions.insert(Resets(resets));
                } else if history.resets > 0 {
                    meta.extensions.remove::<Resets>();
                }
                (Some(later(now, wait)), until_server)
            }
        };
        if self.phase == Phase::Halted && !ticket.is_durable() {
            // Nobody will try it again (decision 16).
            let loss = fault.loss();
            self.shared.books().destroyed(parcel.payload(), &loss);
            return ticket.end(Entry::Void, ended(&loss), now);
        }
        if let Some(due) = due {
            self.agenda.wait(ticket.lane, due);
        }
        ticket.give_back(parcel, due, until_server, now);
    }

    /// Takes note of what the handles asked for.
    fn take_commands(&mut self) {
        if !self.shared.core.signal.take_command() {
            return;
        }
        let (closing, orphaned) = {
            let control = self.shared.control();
            (control.closing.is_some(), control.orphaned)
        };
        if orphaned && !closing {
            self.shared.begin_close(self.linger);
        }
        if (orphaned || closing) && self.phase == Phase::Open {
            self.phase = Phase::Draining { reported: false };
        }
    }

    /// How far the close is.
    fn advance_close(&mut self, now: Instant) -> Progress {
        let Some(deadlines) = self.shared.control().closing else { return Progress::Wait };
        let is_idle = self.in_flight.is_empty();
        match self.phase {
            Phase::Open | Phase::Over => Progress::Wait,
            Phase::Draining { reported } if is_idle && self.shared.core.watch.is_settled() => {
                // The losses of the draining itself are news as well.
                self.phase = Phase::Draining { reported: true };
                if !reported && self.shared.post_report(now) {
                    Progress::Again
                } else {
                    Progress::End { drained: true }
                }
            }
            Phase::Draining { .. } if is_idle && !self.has_chance_before(deadlines.halt_at, now) => {
                Progress::End { drained: false }
            }
            Phase::Draining { .. } if now >= deadlines.halt_at => {
                self.phase = Phase::Halted;
                self.halt.cancel();
                Progress::Again
            }
            Phase::Halted if is_idle || now >= deadlines.drop_at => Progress::End { drained: false },
            Phase::Draining { .. } | Phase::Halted => Progress::Wait,
        }
    }

    /// Whether anything of what is queued may leave before `end`.
    fn has_chance_before(&self, end: Instant, now: Instant) -> bool {
        if let Some(limited_until) = self.shared.limits.all_until(now) {
            return limited_until < end;
        }
        !self.shared.core.signal.lanes().is_empty()
            || self.agenda.is_fetching()
            // With nothing to wait for there is a post that is not quite in yet.
            || self.agenda.next().is_none_or(|next| next < end)
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

    /// When to look again if nothing happens before.
    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let closing = self.shared.control().closing;
        let phase = match self.phase {
            Phase::Open => self.next_report,
            Phase::Draining { .. } => closing.map(|deadlines| deadlines.halt_at),
            Phase::Halted | Phase::Over => closing.map(|deadlines| deadlines.drop_at),
        };
        [phase, self.next_lease(now)].into_iter().flatten().min()
    }

    /// When something may be there to lease that is not now. While there is no room for it, a delivery that ends is
    /// what to wait for.
    fn next_lease(&self, now: Instant) -> Option<Instant> {
        if self.in_flight.len() >= self.concurrency || !self.may_lease() {
            return None;
        }
        let next = self.agenda.next();
        let Some(end) = self.shared.limits.all_until(now) else { return next };
        let is_empty = next.is_none() && self.shared.core.signal.lanes().is_empty();
        (!is_empty).then(|| end.max(now + TICK))
    }

    fn finish(&mut self, drained: bool) {
        self.phase = Phase::Over;
        // Each writes itself down as it is dropped.
        self.in_flight = FuturesUnordered::new();
        self.shared.seal();
        self.shared.core.watch.end(Ending { drained });
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
