//! What a call came to.

use std::time::Instant;

use envoi_core::{Deliver, DiscardReason, Failure, Fate, Fault, Itemized, Kind, Loss};

use super::{Driver, Phase};
use crate::outbox::custody::Entry;
use crate::outbox::inflight::{Answer, Ended, Panicked, Ticket};
use crate::outbox::outcome::End;
use crate::outbox::shared::later;
use crate::outbox::verdict::{History, Verdict, is_no_attempt, verdict};

/// How often in a row the connection was reset under a parcel.
#[derive(Clone, Copy)]
struct Resets(u32);

impl<S: Deliver<P>, P: Itemized> Driver<S, P> {
    /// Writes down what a call came to.
    pub(super) fn conclude(&mut self, ticket: Ticket<P>, answer: Answer<P>, now: Instant) {
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

    pub(super) fn conclude_failure(&mut self, ticket: Ticket<P>, failure: Failure<P>, now: Instant) {
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
                meta.attempt = if is_no_attempt(&fault) { ticket.attempt } else { attempts };
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
}
