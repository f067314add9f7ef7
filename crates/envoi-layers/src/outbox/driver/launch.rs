//! What leaves, and when to look again.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use envoi_core::{Deliver, Failure, Itemized, Lane, Lease, Next, Origin};

use super::{Driver, Phase};
use crate::outbox::inflight::{InFlight, Panicked, Ticket, guarded};
use crate::outbox::shared::later;

/// A table of limits that cannot say when one ends is asked again after this.
const RECHECK: Duration = Duration::from_secs(1);
/// Whoever names an instant that has passed as the next one must not make us spin.
const TICK: Duration = Duration::from_millis(1);

pub(super) enum Launch {
    /// Nothing can leave now.
    Idle,
    /// Something left.
    Some,
    /// So much left that others should have a turn.
    Enough,
}

impl<S: Deliver<P>, P: Itemized> Driver<S, P> {
    /// Begins deliveries while there is room and something to send. The service is asked first: while it is not
    /// ready, parcels stay where overflow, priorities and fresh limits reach them.
    pub(super) fn launch(&mut self, now: Instant, budget: &mut usize, cx: &mut Context<'_>) -> Launch {
        let mut launched = Launch::Idle;
        while self.in_flight.len() < self.concurrency && self.may_lease() {
            if *budget == 0 {
                return Launch::Enough;
            }
            if self.shared.held_until(now).is_some() {
                break;
            }
            let limited = self.is_limited(now);
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
    pub(super) fn has_stock(&self) -> bool {
        let (store, signal) = (&self.shared.store, &self.shared.core.signal);
        let lanes = signal.lanes();
        let has_some = |lane| signal.ask(lane, || store.depth(lane).parcels > 0, |has_some| *has_some);
        Lane::ALL.into_iter().filter(|lane| lanes.contains(*lane)).any(has_some)
    }

    pub(super) fn poll_ready(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Result<(), Failure<P>>, Panicked>> {
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
    pub(super) fn take(&mut self, limited: bool, now: Instant) -> Option<(Lane, Lease<P>)> {
        let mut candidates = self.shared.core.signal.lanes();
        while let Some(lane) = self.rota.next(candidates) {
            let signal = &self.shared.core.signal;
            let next =
                signal.ask(lane, || self.lease(lane, limited, now), |next| matches!(next, Next::Ready(_)));
            if let Next::Ready(lease) = next {
                self.rota.took(lane);
                return Some((lane, lease));
            }
            self.note(lane, &next, limited, now);
            candidates = candidates.without(lane);
        }
        None
    }

    pub(super) fn lease(&self, lane: Lane, limited: bool, now: Instant) -> Next<P> {
        if !limited {
            return self.shared.store.lease(lane, now, None);
        }
        let limits = &self.shared.limits;
        let mut is_limited = |category: &P::Category| limits.category_until(category, now).is_some();
        self.shared.store.lease(lane, now, Some(&mut is_limited))
    }

    pub(super) fn note(&mut self, lane: Lane, next: &Next<P>, limited: bool, now: Instant) {
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

    pub(super) fn limits_end(&self, now: Instant) -> Instant {
        self.shared.limits.next_end(now).unwrap_or(now + RECHECK).max(now + TICK)
    }

    /// Sends one parcel.
    pub(super) fn depart(
        &mut self,
        lane: Lane,
        lease: Lease<P>,
        readiness: Result<Result<(), Failure<P>>, Panicked>,
        now: Instant,
    ) {
        let replayed = lease.parcel.meta().origin == Origin::Replayed;
        let (ticket, parcel) = Ticket::new(&self.shared, lane, lease);
        if let Some(fault) = self.shared.disabled() {
            // At once, and without asking anybody.
            return self.conclude(ticket, Ok(Err(Failure::new(fault, parcel))), now);
        }
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

    /// When to look again if nothing happens before.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
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
    pub(super) fn next_lease(&self, now: Instant) -> Option<Instant> {
        if self.in_flight.len() >= self.concurrency || !self.may_lease() {
            return None;
        }
        let next = self.agenda.next();
        let Some(end) = self.shared.held_until(now) else { return next };
        let is_empty = next.is_none() && self.shared.core.signal.lanes().is_empty();
        (!is_empty).then(|| end.max(now + TICK))
    }
}
