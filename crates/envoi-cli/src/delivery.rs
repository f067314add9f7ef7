//! From files to outcomes: reads, parses and delivers, a bounded number at a time.
//!
//! This is the seam between the commands and the transport: [`Deliveries`] is a stream of one [`Outcome`] per source,
//! in the order in which they become known, and the commands know no more than that.

use std::collections::HashMap;
use std::vec;

use bytes::Bytes;
use envoi_core::{
    Clock, Deliver, DiscardReason, Explanation, Failure, Fault, Itemized, Kind, Ledger, Limits, Loss,
    LossSink, Parcel, Receipt, Reply, SystemClock,
};
use envoi_envelope::limits::RateLimits;
use envoi_envelope::{DataCategory, Envelope};
use envoi_http::accepted_id;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tower::ServiceExt;

use crate::error;
use crate::files::{self, Source};
use crate::outcome::{Defect, Outcome, Verdict};

/// A stream of outcomes.
#[derive(Debug)]
pub(crate) struct Deliveries<S> {
    service: S,
    limits: RateLimits,
    ledger: Ledger<DataCategory>,
    waiting: vec::IntoIter<Source>,
    running: JoinSet<Outcome>,
    names: HashMap<Id, String>,
    width: usize,
    abort: watch::Sender<bool>,
}

impl<S> Deliveries<S>
where
    S: Deliver<Envelope, Future: Send> + Clone + Send + 'static,
{
    /// Delivers `sources` through `service`. At most `width` are in memory, being read, waiting for their turn or on
    /// their way. Needs a runtime.
    pub(crate) fn new(service: S, sources: Vec<Source>, width: usize) -> Self {
        Self {
            service,
            limits: RateLimits::default(),
            ledger: Ledger::new(),
            waiting: sources.into_iter(),
            running: JoinSet::new(),
            names: HashMap::new(),
            width,
            abort: watch::Sender::new(false),
        }
    }

    /// The next outcome, or `None` when there is nothing left. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Outcome> {
        while self.running.len() < self.width
            && let Some(source) = self.waiting.next()
        {
            let name = source.name();
            let job = Job {
                source,
                service: self.service.clone(),
                limits: self.limits.clone(),
                ledger: self.ledger.clone(),
                abort: self.abort.subscribe(),
            };
            let task = self.running.spawn(job.run());
            self.names.insert(task.id(), name);
        }
        Some(match self.running.join_next_with_id().await? {
            Ok((id, outcome)) => {
                self.names.remove(&id);
                outcome
            }
            Err(panic) => {
                let file = self.names.remove(&panic.id()).unwrap_or_default();
                let cause = "a bug in envoi or in a layer; please report it".to_owned();
                Outcome::without_envelope(file, 0, Verdict::Failed { kind: "bug".to_owned(), cause })
            }
        })
    }

    /// What became of the items, per category.
    pub(crate) const fn ledger(&self) -> &Ledger<DataCategory> {
        &self.ledger
    }

    /// Begins no more of them. Returns how many were not begun.
    pub(crate) fn stop(&mut self) -> u64 {
        std::mem::take(&mut self.waiting).count() as u64
    }

    /// Gives up those that are under way.
    pub(crate) fn abort(&self) {
        self.abort.send_replace(true);
    }
}

struct Job<S> {
    source: Source,
    service: S,
    limits: RateLimits,
    ledger: Ledger<DataCategory>,
    abort: watch::Receiver<bool>,
}

impl<S> Job<S>
where
    S: Deliver<Envelope, Future: Send> + Clone + Send + 'static,
{
    async fn run(mut self) -> Outcome {
        let file = self.source.name();
        let bytes = tokio::select! {
            () = given_up(&mut self.abort) => return Outcome::without_envelope(file, 0, Verdict::Unsent),
            bytes = read(self.source.clone()) => bytes,
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(cause) => return Outcome::without_envelope(file, 0, Verdict::Unreadable(cause)),
        };
        let size = bytes.len() as u64;
        let mut envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(error) => return Outcome::without_envelope(file, size, Verdict::Malformed(defect(&error))),
        };

        let all = envelope.items().len() as u64;
        let event_id = envelope.event_id().map(|id| id.to_string());
        let outcome =
            |held, verdict| Outcome { file, event_id, items: all - held, held, bytes: size, verdict };
        if all == 0 {
            return outcome(0, Verdict::Empty);
        }
        envelope.tally(&mut |category, quantity| self.ledger.posted(category, quantity));
        let ready = tokio::select! {
            () = given_up(&mut self.abort) => None,
            ready = self.service.ready() => Some(ready.map(drop).map_err(Into::into)),
        };
        match ready {
            // Deliveries are not told to give up at the same instant: this one may be ready because another was told.
            Some(Ok(())) if !*self.abort.borrow() => {}
            Some(Err(failure)) => {
                self.write_off(&envelope, &failure.fault().loss());
                return outcome(0, fault_verdict(failure.fault()));
            }
            Some(Ok(())) | None => {
                self.write_off(&envelope, &Loss::Lost(DiscardReason::QueueOverflow));
                return outcome(0, Verdict::Unsent);
            }
        }
        // Only now, so that what other envelopes learned while this one waited counts (RL-8).
        self.shed(&mut envelope);
        let held = all.saturating_sub(envelope.items().len() as u64);
        if envelope.is_spent() {
            return outcome(0, Verdict::Limited { status: None, words: Explanation::default() });
        }
        // A clone is a few reference counts, and the parcel may not come back.
        let sent = envelope.clone();
        let answer = tokio::select! {
            // An answer that is here counts (decision 17).
            biased;
            answer = self.service.call(Parcel::new(envelope)) => answer.map_err(Into::into),
            () = given_up(&mut self.abort) => Err(Failure::without_parcel(Fault::new(Kind::Halted))),
        };
        if let Some(reply) = reply(&answer) {
            self.limits.learn(reply, SystemClock.now(), SystemClock.wall());
        }
        match &answer {
            Ok(_) => sent.tally(&mut |category, quantity| self.ledger.delivered(category, quantity)),
            Err(failure) => self.write_off(&sent, &failure.fault().loss()),
        }
        outcome(held, verdict(&answer))
    }

    /// Takes out what a known limit holds back, and writes it down.
    fn shed(&self, envelope: &mut Envelope) {
        let now = SystemClock.now();
        if self.limits.any_active(now) {
            envelope.shed(
                &mut |category| self.limits.is_limited(category, now),
                &mut |category, quantity| {
                    self.ledger.lost(DiscardReason::RatelimitBackoff, category, quantity);
                },
            );
        }
    }

    /// Writes down that an envelope is given up.
    fn write_off(&self, envelope: &Envelope, loss: &Loss) {
        envelope.tally(&mut |category, quantity| match loss {
            Loss::Refused(status) => self.ledger.refused(*status, category, quantity),
            Loss::Lost(reason) => self.ledger.lost(reason.clone(), category, quantity),
        });
    }
}

/// Ends when the user does not want to wait any longer.
async fn given_up(abort: &mut watch::Receiver<bool>) {
    if abort.wait_for(|abort| *abort).await.is_err() {
        // Nobody is left who could.
        std::future::pending::<()>().await;
    }
}

async fn read(source: Source) -> Result<Bytes, String> {
    let task = tokio::task::spawn_blocking(move || source.read(files::MAX_BYTES));
    task.await.unwrap_or_else(|_| Err("reading it failed in a way that is a bug".to_owned()))
}

fn reply(answer: &Result<Receipt, Failure<Envelope>>) -> Option<&Reply> {
    match answer {
        Ok(receipt) => receipt.reply(),
        Err(failure) => failure.fault().reply(),
    }
}

fn verdict(answer: &Result<Receipt, Failure<Envelope>>) -> Verdict {
    match answer {
        Ok(receipt) => {
            let reply = receipt.reply();
            Verdict::Delivered { status: reply.map(|reply| reply.status), id: reply.and_then(accepted_id) }
        }
        Err(failure) => fault_verdict(failure.fault()),
    }
}

fn fault_verdict(fault: &Fault) -> Verdict {
    let words = fault.explanation().cloned().unwrap_or_default();
    match fault.status() {
        None if fault.kind() == Kind::Halted => {
            let cause = "interrupted; it may have arrived".to_owned();
            Verdict::Failed { kind: "interrupted".to_owned(), cause }
        }
        status if fault.kind() == Kind::RateLimited => Verdict::Limited { status, words },
        Some(status) => Verdict::Refused { status, words },
        None => {
            Verdict::Failed { kind: format!("{:?}", fault.kind()).to_lowercase(), cause: error::chain(fault) }
        }
    }
}

/// What the parser says about a malformed envelope.
pub(crate) fn defect(error: &envoi_envelope::ParseError) -> Defect {
    Defect {
        kind: error.kind().to_string(),
        stage: error.stage().to_string(),
        item: error.item().map(|item| item as u64),
        offset: Some(error.offset() as u64),
        message: error.to_string(),
    }
}
