//! How an outbox ends.

use std::time::Instant;

use envoi_core::{Deliver, Itemized};
use futures_util::stream::FuturesUnordered;

use super::{Driver, Phase};
use crate::outbox::watch::Ending;

pub(super) enum Progress {
    /// Wait for something to happen.
    Wait,
    /// Something changed, look again.
    Again,
    /// The end; whether everything had its outcome.
    End { drained: bool },
}

impl<S: Deliver<P>, P: Itemized> Driver<S, P> {
    /// Takes note of what the handles asked for.
    pub(super) fn take_commands(&mut self) {
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
    pub(super) fn advance_close(&mut self, now: Instant) -> Progress {
        let Some(deadlines) = self.shared.control().closing else { return Progress::Wait };
        let is_idle = self.in_flight.is_empty();
        match self.phase {
            Phase::Open | Phase::Over => Progress::Wait,
            Phase::Draining { reported } if is_idle && self.is_drained(deadlines.halt_at, now) => {
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

    fn is_drained(&self, end: Instant, now: Instant) -> bool {
        self.shared.core.watch.is_settled() && !(self.replays_on_close() && self.has_chance_before(end, now))
    }

    /// Whether anything of what is queued may leave before `end`.
    pub(super) fn has_chance_before(&self, end: Instant, now: Instant) -> bool {
        if let Some(held_until) = self.shared.held_until(now) {
            return held_until < end;
        }
        !self.shared.core.signal.lanes().is_empty()
            || self.agenda.is_fetching()
            // With nothing to wait for there is a post that is not quite in yet.
            || self.agenda.next().is_none_or(|next| next < end)
    }

    pub(super) fn finish(&mut self, drained: bool) {
        self.phase = Phase::Over;
        // Each writes itself down as it is dropped.
        self.in_flight = FuturesUnordered::new();
        self.shared.seal();
        self.shared.core.watch.end(Ending { drained });
    }
}
