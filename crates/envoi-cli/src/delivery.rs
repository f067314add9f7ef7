//! From files to outcomes: reads, parses and posts, a bounded number at a time.
//!
//! This is the seam between the command and the transport: [`Deliveries`] is a stream of one [`Outcome`] per source,
//! in the order in which they become known.

use std::collections::HashMap;
use std::time::Duration;
use std::vec;

use bytes::Bytes;
use envoi::core::{Explanation, Itemized, Kind};
use envoi::{Closed, DataCategory, Envelope, Fate, Transport};
use tokio::sync::{oneshot, watch};
use tokio::task::{Id, JoinSet};

use crate::files::{self, Source};
use crate::outcome::{Defect, HELD, Outcome, Verdict};
use crate::tracking::{Glance, Progress, Stage, Ticket};

/// A stream of outcomes.
#[derive(Debug)]
pub(crate) struct Deliveries {
    transport: Transport,
    waiting: vec::IntoIter<Source>,
    running: JoinSet<Outcome>,
    names: HashMap<Id, String>,
    width: usize,
    kept_after: Option<u32>,
    stopping: watch::Sender<bool>,
}

impl Deliveries {
    /// Delivers `sources` through `transport`. At most `width` are in memory: being read, queued or on their way, waits
    /// between attempts included. Needs a runtime.
    ///
    /// With a disk buffer below, `kept_after` says after how many attempts an envelope is left to it.
    pub(crate) fn new(
        transport: Transport,
        sources: Vec<Source>,
        width: usize,
        kept_after: Option<u32>,
    ) -> Self {
        Self {
            transport,
            waiting: sources.into_iter(),
            running: JoinSet::new(),
            names: HashMap::new(),
            width,
            kept_after,
            stopping: watch::Sender::new(false),
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
                transport: self.transport.clone(),
                kept_after: self.kept_after,
                stopping: self.stopping.subscribe(),
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
                Outcome::without_envelope(self.names.remove(&panic.id()).unwrap_or_default(), 0, bug())
            }
        })
    }

    /// Begins no more of them, and gives those that were posted this time to end; the outcomes tell of both. Returns
    /// how many were not begun. Called again it can only shorten the time.
    pub(crate) fn stop(&mut self, within: Duration) -> u64 {
        self.stopping.send_replace(true);
        let transport = self.transport.clone();
        // The close goes on whether or not anybody waits for it.
        tokio::spawn(async move { transport.close(within).await });
        std::mem::take(&mut self.waiting).count() as u64
    }

    pub(crate) const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Closes the transport when all outcomes are known, so that reports of losses still leave (CR-5).
    pub(crate) async fn finish(self, within: Duration) -> Closed {
        self.transport.close(within).await
    }
}

struct Job {
    source: Source,
    transport: Transport,
    kept_after: Option<u32>,
    stopping: watch::Receiver<bool>,
}

impl Job {
    async fn run(mut self) -> Outcome {
        let file = self.source.name();
        let bytes = tokio::select! {
            // A read from a pipe that nobody writes to would never end.
            () = stopped(&mut self.stopping) => return Outcome::without_envelope(file, 0, Verdict::Unsent),
            bytes = read(self.source.clone()) => bytes,
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(cause) => return Outcome::without_envelope(file, 0, Verdict::Unreadable(cause)),
        };
        let size = bytes.len() as u64;
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(error) => return Outcome::without_envelope(file, size, Verdict::Malformed(defect(&error))),
        };

        let all = envelope.items().len() as u64;
        let event_id = envelope.event_id().map(|id| id.to_string());
        let outcome = |attempts, held, verdict| Outcome {
            file,
            event_id,
            items: all - held,
            held,
            bytes: size,
            attempts,
            verdict,
        };
        if all == 0 {
            return outcome(0, 0, Verdict::Empty);
        }
        let mut categories = Vec::new();
        envelope.tally(&mut |category, _| categories.push(category.clone()));
        let (parcel, glance, ended) = Ticket::issue(envelope);
        let sent = match self.kept_after {
            None => self.transport.send(parcel),
            Some(_) => self.transport.send_durable(parcel).await,
        };
        match sent {
            Err(fault) => {
                let is_late = fault.kind() == Kind::Closed;
                return outcome(0, 0, if is_late { Verdict::Unsent } else { Verdict::of_fault(&fault) });
            }
            Ok(Fate::Spent) if self.kept_after.is_some() => {
                return outcome(0, 0, Verdict::Limited { status: None, words: Explanation::default() });
            }
            Ok(_) => {}
        }
        let progress = match self.kept_after {
            // The end of a ticket is always told.
            None => ended.await.unwrap_or_default(),
            Some(attempts) => match self.end_or_kept(&glance, ended, attempts, &categories).await {
                Ok(progress) => progress,
                Err((attempts, why)) => return outcome(attempts, 0, Verdict::Kept(why)),
            },
        };
        let held = all.saturating_sub(progress.left.unwrap_or(all));
        let verdict = match progress.stage {
            Stage::Queued => Verdict::Unsent,
            Stage::Answered(verdict) => verdict,
            Stage::Underway if *self.stopping.borrow() => Verdict::interrupted(),
            // A layer has panicked.
            Stage::Underway => bug(),
        };
        outcome(progress.attempts, held, verdict)
    }

    /// Waits for the end of an envelope that is in the disk buffer; or, as an error, for it to be left there, with the
    /// attempts so far and the reason.
    async fn end_or_kept(
        &self,
        glance: &Glance,
        mut ended: oneshot::Receiver<Progress>,
        enough: u32,
        categories: &[DataCategory],
    ) -> Result<Progress, (u32, String)> {
        loop {
            tokio::select! {
                biased;
                progress = &mut ended => {
                    let progress = progress.unwrap_or_default();
                    // A close leaves to the buffer what is not settled.
                    return match &progress.stage {
                        Stage::Queued | Stage::Underway => Err((progress.attempts, STOPPED.to_owned())),
                        Stage::Answered(Verdict::Failed { kind, .. }) if kind == "interrupted" => {
                            Err((progress.attempts, STOPPED.to_owned()))
                        }
                        Stage::Answered(Verdict::Failed { cause, .. })
                            if progress.may_return && *self.stopping.borrow() =>
                        {
                            Err((progress.attempts, cause.clone()))
                        }
                        Stage::Answered(_) => Ok(progress),
                    };
                }
                () = tokio::time::sleep(GLANCE) => {}
            }
            let Some(progress) = glance.progress() else { continue };
            match progress.stage {
                Stage::Answered(Verdict::Failed { cause, .. })
                    if progress.may_return && progress.attempts >= enough =>
                {
                    return Err((progress.attempts, cause));
                }
                Stage::Queued if categories.iter().any(|one| self.transport.limited_until(one).is_some()) => {
                    return Err((progress.attempts, HELD.to_owned()));
                }
                _ => {}
            }
        }
    }
}

/// How often an envelope in the disk buffer is looked at.
const GLANCE: Duration = Duration::from_millis(25);

/// Why an envelope stays in the disk buffer if nothing else is known.
const STOPPED: &str = "stopped before its end";

fn bug() -> Verdict {
    let cause = "a bug in envoi or in a layer; please report it".to_owned();
    Verdict::Failed { kind: "bug".to_owned(), cause }
}

/// Ends when the user does not want any more.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stopping| *stopping).await.is_err() {
        // Nobody is left who could say so.
        std::future::pending::<()>().await;
    }
}

async fn read(source: Source) -> Result<Bytes, String> {
    let task = tokio::task::spawn_blocking(move || source.read(files::MAX_BYTES));
    task.await.unwrap_or_else(|_| Err("reading it failed in a way that is a bug".to_owned()))
}

/// What the parser says about a malformed envelope.
pub(crate) fn defect(error: &envoi::envelope::ParseError) -> Defect {
    Defect {
        kind: error.kind().to_string(),
        stage: error.stage().to_string(),
        item: error.item().map(|item| item as u64),
        offset: Some(error.offset() as u64),
        message: error.to_string(),
    }
}
