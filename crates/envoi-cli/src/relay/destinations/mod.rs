//! The destinations: one transport per DSN, so that queues, rate limits (RL-7), reports and books are its own.
//!
//! They are opened when the first envelope comes, at most so many at once, and closed when nothing came for a while and
//! nothing is left in them. With a spool each has a directory in the [`home`], and what an earlier run left there is
//! sent as soon as there is a place for it.

mod destination;
mod home;
mod troubles;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use envoi::core::{Account, LedgerSnapshot};
use envoi::{BuildError, Closed, DataCategory, Dsn};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::config::{Settings, Upstream};
use crate::error::{self, CliError};
use home::{Home, name_of};

pub(crate) use destination::Destination;

/// Sums by category of destinations that are closed.
pub(crate) type Totals = BTreeMap<DataCategory, Account>;

/// Why there is no destination.
#[derive(Debug)]
pub(crate) enum NoPlace {
    /// As many as allowed are open, and none can be closed.
    TooMany(usize),
    /// It cannot be opened.
    Failed(BuildError),
    /// Its directory cannot be made.
    Directory(std::io::Error),
    /// The relay ends.
    Closed,
}

impl std::fmt::Display for NoPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooMany(limit) => write!(f, "all {limit} places for destinations are taken"),
            Self::Failed(error) => f.write_str(&error::chain(error)),
            Self::Directory(error) => write!(f, "cannot write into the spool directory: {error}"),
            Self::Closed => f.write_str("the relay is stopping"),
        }
    }
}

/// What is kept of those that were closed.
#[derive(Debug, Default)]
struct Closings {
    totals: Totals,
    discharged: u64,
    count: u64,
}

/// How a destination ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) label: String,
    pub(crate) closed: Closed,
    pub(crate) ledger: LedgerSnapshot<DataCategory>,
    /// Envelopes that its disk buffer keeps for the next run; `None` without one.
    pub(crate) kept: Option<usize>,
}

/// Whether one may be opened still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    /// All were closed: nobody would close another.
    Shut,
}

#[derive(Debug)]
pub(crate) struct Destinations {
    home: Option<Arc<Home>>,
    open: Mutex<BTreeMap<String, Arc<Destination>>>,
    /// Held while one is opened or closed, so that a DSN is never open twice.
    gate: tokio::sync::Mutex<Gate>,
    closings: Mutex<Closings>,
    runtime: Handle,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Destinations {
    /// None yet. Takes the spool directory, if there is one.
    ///
    /// # Errors
    /// If that cannot be used.
    pub(super) fn new(spool: Option<&Path>, runtime: Handle) -> Result<Self, CliError> {
        Ok(Self {
            home: spool.map(Home::open).transpose()?.map(Arc::new),
            open: Mutex::default(),
            gate: tokio::sync::Mutex::default(),
            closings: Mutex::default(),
            runtime,
        })
    }

    /// All that are open, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Destination>> {
        lock(&self.open).values().cloned().collect()
    }

    /// What those that were closed have delivered, refused and lost, how many envelopes they have discharged, and how
    /// many there were.
    pub(crate) fn closings(&self) -> (Totals, u64, u64) {
        let closings = lock(&self.closings);
        (closings.totals.clone(), closings.discharged, closings.count)
    }

    /// The destination of a DSN, opened if need be. While somebody has it, it is not closed for want of use.
    ///
    /// Cancel safe: what has begun to open or close for it ends by itself.
    ///
    /// # Errors
    /// If there is no place for it, or it cannot be opened.
    pub(crate) async fn get(
        self: &Arc<Self>,
        dsn: &Dsn,
        settings: &Arc<Settings>,
    ) -> Result<Arc<Destination>, NoPlace> {
        let name = name_of(dsn);
        if let Some(found) = self.find(&name) {
            return Ok(found);
        }
        // A client that goes away takes its request along, but no half-opened buffer, and no books of one that was closed
        // to make room.
        let (this, dsn, settings) = (Arc::clone(self), dsn.clone(), Arc::clone(settings));
        let getting = self.runtime.spawn(async move { this.admit(name, dsn, &settings).await });
        getting.await.unwrap_or_else(|error| Err(NoPlace::Directory(std::io::Error::other(error))))
    }

    async fn admit(&self, name: String, dsn: Dsn, settings: &Settings) -> Result<Arc<Destination>, NoPlace> {
        let gate = self.gate.lock().await;
        if *gate == Gate::Shut {
            return Err(NoPlace::Closed);
        }
        if let Some(found) = self.find(&name) {
            return Ok(found);
        }
        self.make_room(settings).await?;
        self.open(name, dsn, settings).await
    }

    fn find(&self, name: &str) -> Option<Arc<Destination>> {
        lock(&self.open).get(name).cloned().inspect(|destination| destination.touch())
    }

    async fn open(&self, name: String, dsn: Dsn, settings: &Settings) -> Result<Arc<Destination>, NoPlace> {
        let (home, settings, runtime) = (self.home.clone(), settings.clone(), self.runtime.clone());
        let opening = tokio::task::spawn_blocking(move || {
            let dir = home.map(|home| home.prepare(&name, &dsn)).transpose().map_err(NoPlace::Directory)?;
            Destination::open(dsn, dir, &settings, &runtime).map_err(NoPlace::Failed)
        });
        let destination = match opening.await {
            Ok(opened) => Arc::new(opened?),
            Err(error) => return Err(NoPlace::Directory(std::io::Error::other(error))),
        };
        lock(&self.open).insert(destination.name.clone(), Arc::clone(&destination));
        Ok(destination)
    }

    /// Sees to it that one more may be opened: closes the one that was not used for the longest time, if that costs
    /// nothing. The gate is held.
    async fn make_room(&self, settings: &Settings) -> Result<(), NoPlace> {
        let limit = settings.limits.destinations;
        if lock(&self.open).len() < limit {
            return Ok(());
        }
        let mut candidates = self.all();
        candidates.sort_by_key(|destination| std::cmp::Reverse(destination.unused_for()));
        for candidate in candidates {
            if self.retire(candidate, settings).await {
                return Ok(());
            }
        }
        Err(NoPlace::TooMany(limit))
    }

    /// Closes a destination if it is at rest and nobody else has it. The gate is held.
    async fn retire(&self, destination: Arc<Destination>, settings: &Settings) -> bool {
        if is_pinned(&destination, &settings.upstream) {
            return false;
        }
        {
            let mut open = lock(&self.open);
            // Nobody gets it while the list is locked. Who has it (besides the list and this function) may be about to
            // post; what was posted before is seen.
            if Arc::strong_count(&destination) > 2 || !destination.is_at_rest() {
                return false;
            }
            open.remove(&destination.name);
        }
        let ended = end(&destination, settings.timeouts.shutdown).await;
        let is_empty = ended.kept.is_none_or(|kept| kept == 0);
        self.book(&ended);
        let home = self.home.clone().filter(|_| is_empty);
        let leaving = tokio::task::spawn_blocking(move || {
            let name = destination.name.clone();
            // Waits until its disk buffer has written its last.
            drop(destination);
            if let Some(home) = home {
                home.forget(&name);
            }
        });
        // If it panics, the directory stays, and is found by the next run.
        let _ = leaving.await;
        true
    }

    fn book(&self, ended: &Ended) {
        let mut closings = lock(&self.closings);
        closings.count += 1;
        closings.discharged += ended.closed.discharged;
        add(&mut closings.totals, &ended.ledger);
    }

    /// Closes those of which nothing came for a while. Returns their labels.
    pub(super) async fn sweep(&self, settings: &Settings) -> Vec<String> {
        let _gate = self.gate.lock().await;
        let mut closed = Vec::new();
        let unused = self
            .all()
            .into_iter()
            .filter(|destination| destination.unused_for() >= settings.timeouts.destination_idle);
        for destination in unused.collect::<Vec<_>>() {
            let label = destination.label.clone();
            if self.retire(destination, settings).await {
                closed.push(label);
            }
        }
        closed
    }

    /// Opens destinations for which an earlier run has left something, as long as there is a place.
    pub(super) async fn resume(&self, settings: &Settings) -> Resumed {
        let mut resumed = Resumed::default();
        let Some(home) = &self.home else { return resumed };
        let _gate = self.gate.lock().await;
        let known = match home.known() {
            Ok(found) => found,
            Err(error) => {
                resumed.failed.push(format!("cannot read the spool directory: {error}"));
                return resumed;
            }
        };
        resumed.unreadable = known.unreadable;
        for (name, dsn) in known.dsns {
            if self.find(&name).is_some() {
                continue;
            }
            if !settings.upstream.allows(&dsn) {
                resumed.forbidden.push(super::config::label(&dsn));
                continue;
            }
            if lock(&self.open).len() >= settings.limits.destinations {
                resumed.waiting += 1;
                continue;
            }
            match self.open(name, dsn.clone(), settings).await {
                Ok(destination) => resumed.opened.push(destination.label.clone()),
                Err(error) => resumed.failed.push(format!("{}: {error}", super::config::label(&dsn))),
            }
        }
        resumed
    }

    /// Closes all at once, within the time.
    pub(super) async fn close(&self, within: Duration) -> Vec<Ended> {
        let mut gate = self.gate.lock().await;
        *gate = Gate::Shut;
        let all = std::mem::take(&mut *lock(&self.open));
        let mut ending: JoinSet<Ended> =
            all.into_values().map(|destination| async move { end(&destination, within).await }).collect();
        let mut ended = Vec::new();
        while let Some(one) = ending.join_next().await {
            ended.extend(one.ok());
        }
        ended.sort_by(|one, other| one.label.cmp(&other.label));
        ended
    }

    /// Cuts a close short that runs.
    pub(super) async fn hurry(&self, all: &[Arc<Destination>]) {
        for destination in all {
            destination.transport.close(Duration::ZERO).await;
        }
    }
}

/// What came of the directories of an earlier run.
#[derive(Debug, Default)]
pub(super) struct Resumed {
    pub(super) opened: Vec<String>,
    pub(super) failed: Vec<String>,
    /// The list of hosts does not have them.
    pub(super) forbidden: Vec<String>,
    /// There was no place for so many yet.
    pub(super) waiting: usize,
    pub(super) unreadable: Vec<PathBuf>,
}

impl Resumed {
    /// Whether something is left that may be resumed later.
    pub(super) fn is_partial(&self) -> bool {
        self.waiting > 0 || !self.failed.is_empty() || !self.forbidden.is_empty()
    }
}

/// The one upstream stays open.
fn is_pinned(destination: &Destination, upstream: &Upstream) -> bool {
    matches!(upstream, Upstream::Project(dsn) if *dsn == destination.dsn)
}

async fn end(destination: &Destination, within: Duration) -> Ended {
    let before = destination.transport.stats().map_or(0, |stats| stats.outbox.discharged);
    let mut closed = destination.transport.close(within).await;
    closed.discharged += before;
    let kept = destination.transport.disk_stats().map(|_| closed.kept);
    Ended { label: destination.label.clone(), closed, ledger: destination.transport.ledger(), kept }
}

/// Adds the books of one to the sums.
pub(crate) fn add(totals: &mut Totals, ledger: &LedgerSnapshot<DataCategory>) {
    for (category, account) in ledger.iter() {
        let sum = totals.entry(category.clone()).or_default();
        sum.posted = sum.posted.saturating_add(account.posted);
        sum.delivered = sum.delivered.saturating_add(account.delivered);
        for (status, quantity) in &account.refused {
            let entry = sum.refused.entry(*status).or_default();
            *entry = entry.saturating_add(*quantity);
        }
        for (reason, quantity) in &account.lost {
            let entry = sum.lost.entry(reason.clone()).or_default();
            *entry = entry.saturating_add(*quantity);
        }
    }
}
