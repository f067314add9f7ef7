//! Runs a schedule, with checks after every step and at the end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use envoi_batch::{Batch, Category};
use envoi_core::{Account, Ledger, Meta, Origin, Parcel, Store};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use crate::checks;
use crate::disk::Disk;
use crate::front::{Front, Sums};
use crate::plan::{Ending, Handler, Plan, Step, Wait};
use crate::sabotage::Sabotage;
use crate::seeds::Failed;
use crate::stack::{Builder, Poster, Sink, Stack};
use crate::weather::Weather;
use crate::world::World;

/// The resolution of tokio's timers.
const TICK: Duration = Duration::from_millis(2);
/// With less a shutdown has no time to wait for what it has interrupted.
const GRACE: Duration = Duration::from_millis(20);

pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) world: Arc<World>,
    sabotage: Option<Sabotage>,
    poster: Poster,
    pub(crate) disk: Option<Arc<Disk<Batch>>>,
    pub(crate) handles: Vec<Front>,
    /// The books, if they can be read when all handles are gone.
    ledger: Option<Ledger<Category>>,
    /// They cannot be, and all handles are gone.
    pub(crate) is_blind: bool,
    driver: JoinHandle<()>,
    pub(crate) sinks: Vec<Sink>,
    /// Flushes and shutdowns in tasks of their own.
    aside: Vec<JoinHandle<()>>,
    pub(crate) driver_dropped: bool,
    /// Of earlier runs of the program.
    pub(crate) sums: Sums,
    pub(crate) posted_before: u64,
    /// What this run of the program has found on the disk.
    pub(crate) found: u64,
    restarts: u64,
}

/// What a run was like, for the statistics of the whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) requests: u64,
    pub(crate) retries: u64,
    pub(crate) refused: u64,
    pub(crate) probes: u64,
    pub(crate) latched: u64,
    pub(crate) restarts: u64,
    pub(crate) kept: u64,
    pub(crate) events: u64,
}

impl Summary {
    pub(crate) fn and(self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            retries: self.retries + other.retries,
            refused: self.refused + other.refused,
            probes: self.probes + other.probes,
            latched: self.latched + other.latched,
            restarts: self.restarts + other.restarts,
            kept: self.kept + other.kept,
            events: self.events + other.events,
        }
    }
}

/// Runs a schedule from beginning to end.
pub(crate) fn run(plan: &Plan, sabotage: Option<Sabotage>, with_diary: bool) -> Result<Summary, Failed> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _entered = runtime.enter();
    let world = World::new(&plan.setup, with_diary);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { Run::new(plan, Arc::clone(&world), sabotage).all().await })
    }));
    let (why, restarts, kept) = match outcome {
        Err(panic) => (Some(format!("panic: {}", words_of(panic.as_ref()))), 0, 0),
        Ok((restarts, kept)) => (world.first_fault(), restarts, kept),
    };
    if let Some(why) = why {
        return Err(Failed { why, diary: world.diary() });
    }
    let state = world.state();
    Ok(Summary {
        requests: state.requests,
        retries: state.retries,
        refused: state.refused + state.model.refused,
        probes: state.probes + state.model.probes,
        latched: state.latches + u64::from(state.latched),
        restarts,
        kept,
        events: state.next,
    })
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
    words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, world: Arc<World>, sabotage: Option<Sabotage>) -> Self {
        let poster = Poster::default();
        let disk = plan.setup.durable.then(|| Arc::new(Disk::new(plan.setup.queue)));
        let builder = Builder { world: &world, sabotage, poster: &poster };
        let Stack { front, driver, sinks } = builder.build(disk.as_ref());
        Self {
            plan,
            world,
            sabotage,
            poster,
            disk,
            ledger: front.ledger(),
            is_blind: false,
            handles: vec![front],
            driver,
            sinks,
            aside: Vec::new(),
            driver_dropped: false,
            sums: Sums::default(),
            posted_before: 0,
            found: 0,
            restarts: 0,
        }
    }

    /// How often the program was restarted, and how much is left for the next run.
    async fn all(mut self) -> (u64, u64) {
        for step in &self.plan.steps {
            self.world.note(|| format!("-- {step:?}"));
            self.step(*step).await;
            checks::after_step(&self);
            if self.world.first_fault().is_some() {
                return (0, 0);
            }
        }
        self.world.note(|| format!("-- {:?}", self.plan.ending));
        match self.plan.ending {
            Ending::Recovery => self.recover().await,
            Ending::Shutdown(within) => self.shutdown(within, Wait::Here).await,
            Ending::DropHandles => {}
        }
        self.end().await;
        for sink in &mut self.sinks {
            let ended = tokio::time::timeout(Duration::from_secs(3600), &mut sink.driver).await;
            self.world.check(ended.is_ok(), || "a sink does not end".to_owned());
        }
        if self.world.first_fault().is_none() {
            checks::at_the_end(&self);
            checks::sinks(&self);
        }
        (self.restarts, self.kept().len() as u64)
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Log(count) => {
                if let Some(front) = self.handles.last() {
                    front.log(&self.world, count);
                }
            }
            Step::Pass(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Step::Yield(turns) => yields(turns).await,
            Step::Weather(weather) => self.world.state().weather = weather,
            Step::Flush(within, wait) => self.flush(within, wait).await,
            Step::Shutdown(within, wait) => self.shutdown(within, wait).await,
            Step::CloneHandle => self.handles.extend(self.handles.first().cloned()),
            Step::DropHandle if self.handles.len() == 1 => self.drop_handles(),
            Step::DropHandle => drop(self.handles.pop()),
            Step::DropDriver => {
                self.driver_dropped = true;
                self.driver.abort();
                yields(2).await;
            }
            Step::Restart(within) => self.restart(within).await,
        }
    }

    /// What would be there after a restart.
    pub(crate) fn kept(&self) -> Vec<Batch> {
        let kept = self.disk.as_ref().map(|disk| disk.kept()).unwrap_or_default();
        kept.into_iter().map(|(batch, _)| batch).collect()
    }

    /// All handles go. The preset takes its books along, unless there is time to write them up.
    fn drop_handles(&mut self) {
        self.poster.lock().unwrap().take();
        self.is_blind |= !self.handles.is_empty() && self.ledger.is_none();
        self.handles.clear();
    }

    /// The books of this run of the program.
    fn account(&self) -> Account {
        let of =
            |ledger: &Ledger<Category>| ledger.snapshot().get(&Category::EVENT).cloned().unwrap_or_default();
        let front = || self.handles.first().map(Front::account);
        self.ledger.as_ref().map(of).or_else(front).unwrap_or_default()
    }

    /// The program ends, with so much time or with none, and begins anew on the same disk.
    async fn restart(&mut self, within: Option<Duration>) {
        let Some(disk) = self.disk.clone() else { return };
        match within {
            Some(within) => self.shutdown(within, Wait::Here).await,
            None => self.driver.abort(),
        }
        self.poster.lock().unwrap().take();
        self.handles.clear();
        self.end().await;
        self.world.restart();
        // What was on loan was beyond the bounds. It is all there again.
        let kept = disk.kept();
        let again = Disk::new(self.plan.setup.queue.max(kept.len()));
        for (batch, attempt) in kept {
            let meta = Meta { attempt, origin: Origin::Replayed, ..Meta::default() };
            again.append(Parcel::with_meta(batch, meta), 0, self.world.now()).unwrap();
        }
        let disk = Arc::new(again);
        self.found = disk.kept().iter().map(|(batch, _)| batch.len() as u64).sum();
        self.posted_before = self.world.state().posted;
        self.restarts += 1;
        let builder = Builder { world: &self.world, sabotage: self.sabotage, poster: &self.poster };
        let Stack { front, driver, sinks } = builder.build(Some(&disk));
        (self.ledger, self.driver, self.disk, self.driver_dropped) =
            (front.ledger(), driver, Some(disk), false);
        self.handles.push(front);
        self.sinks.extend(sinks);
    }

    /// Waits until this run of the program is over, and adds its books to the sums.
    async fn end(&mut self) {
        for task in std::mem::take(&mut self.aside) {
            let _ = task.await;
        }
        if self.ledger.is_some() || self.plan.ending == Ending::DropHandles {
            self.drop_handles();
        } else {
            // The books of the preset are read through a handle, so it has to be shut down.
            self.shutdown(Duration::from_secs(1), Wait::Here).await;
        }
        // With the last handle gone a driver has its linger, and calls that never end are dropped.
        let ended = tokio::time::timeout(Duration::from_secs(3600), &mut self.driver).await;
        self.world.check(ended.is_ok(), || "a driver does not end".to_owned());
        yields(4).await;
        self.sums.add(&self.account());
        self.drop_handles();
    }

    async fn flush(&mut self, within: Duration, wait: Wait) {
        let Some(front) = self.handles.last().cloned() else { return };
        let (world, exact) = (Arc::clone(&self.world), wait == Wait::Here && self.found == 0);
        // A handler may hand over more while the flush ends.
        let exact = exact && self.plan.setup.handler != Handler::Posts;
        let task = async move {
            let start = Instant::now();
            let is_complete = front.flush(within).await;
            let took = start.elapsed();
            world.note(|| format!("   complete: {is_complete}, after {took:?}"));
            world.check(took <= within + TICK, || format!("a flush of {within:?} took {took:?} (BD-9)"));
            if exact && is_complete {
                let settled = front.snapshot().is_settled();
                world.check(settled, || "a complete flush, and something is held (BD-9)".to_owned());
            }
        };
        self.aside(task, wait).await;
    }

    async fn shutdown(&mut self, within: Duration, wait: Wait) {
        let Some(front) = self.handles.last().cloned() else { return };
        let (world, durable) = (Arc::clone(&self.world), self.disk.is_some());
        let task = async move {
            let start = Instant::now();
            front.shutdown(within).await;
            let took = start.elapsed();
            let account = front.account();
            world.note(|| format!("   {account:?} after {took:?}"));
            world.check(took <= within + TICK, || format!("a shutdown of {within:?} took {took:?} (BD-9)"));
            world.check(durable || within < GRACE || account.held() == Some(0), || {
                format!("something is held after a shutdown: {account:?} (BD-9)")
            });
        };
        self.aside(task, wait).await;
    }

    /// All is well again: everything gets an outcome, and what comes then is delivered.
    async fn recover(&mut self) {
        self.world.state().weather = Weather::Fine;
        // A shutdown that was begun aside is one.
        yields(4).await;
        let Some(front) = self.handles.last().cloned() else { return };
        if front.is_closed() || self.driver_dropped {
            return;
        }
        let within = Duration::from_secs(1_000_000);
        for _ in 0..2 {
            let is_complete = front.flush(within).await;
            self.world.check(is_complete, || "all is well, and a flush does not end".to_owned());
        }
        // No flush waits for what is of an earlier run.
        let mut patience = 200;
        while patience > 0 && !front.snapshot().is_settled() {
            tokio::time::sleep(Duration::from_secs(500)).await;
            patience -= 1;
        }
        let snapshot = front.snapshot();
        self.world.check(snapshot.is_settled(), || format!("all is well, and not settled: {snapshot:#?}"));
        // BD-4: the circuit closes again, with a probe.
        tokio::time::sleep(self.plan.setup.cooldown).await;
        if checks::is_able(&front, self) {
            let before = front.account().delivered;
            for _ in 0..2 {
                front.log(&self.world, 1);
                front.flush(within).await;
            }
            let delivered = front.account().delivered - before;
            self.world.check(delivered == 2, || format!("all is well, and {delivered} of 2 are delivered"));
        }
    }

    /// Runs something that has to be done within its time.
    async fn aside(&mut self, task: impl Future<Output = ()> + Send + 'static, wait: Wait) {
        match wait {
            Wait::Here => task.await,
            Wait::Aside => self.aside.push(tokio::spawn(task)),
            Wait::Abandon(millis) => {
                let abort: AbortHandle = tokio::spawn(task).abort_handle();
                self.aside.push(tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    abort.abort();
                }));
            }
        }
    }
}

async fn yields(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}
