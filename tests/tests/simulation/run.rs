//! Runs a schedule, with checks after every step and at the end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use envoi_core::{Clock, Meta, Origin, Parcel, Store};
use envoi_envelope::Envelope;
use envoi_layers::outbox::{Notice, Outbox, Outcomes};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use crate::checks;
use crate::disk::Disk;
use crate::freight::{Counts, EnvelopePlan, Losses, add};
use crate::sabotage::Sabotage;
use crate::schedule::{Ending, Plan, Step, Wait};
use crate::seeds::Failed;
use crate::stack::{Builder, Stack};
use crate::weather::Weather;
use crate::world::World;

/// The resolution of tokio's timers.
const TICK: Duration = Duration::from_millis(2);

/// What was posted, as the application knows it.
#[derive(Default)]
pub(crate) struct Posted {
    pub(crate) counts: Counts,
    /// What its own reports told of.
    pub(crate) carried: Losses,
}

pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) world: Arc<World>,
    pub(crate) posted: Posted,
    pub(crate) disk: Option<Arc<Disk<Envelope>>>,
    pub(crate) handles: Vec<Outbox<Envelope>>,
    pub(crate) second: Option<Outbox<Envelope>>,
    drivers: Vec<JoinHandle<()>>,
    /// Flushes and closes in tasks of their own.
    aside: Vec<JoinHandle<()>>,
    pub(crate) driver_dropped: bool,
    listeners: Vec<Outcomes>,
}

/// What a run was like, for the statistics of the whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) requests: u64,
    pub(crate) items: u64,
}

impl Summary {
    pub(crate) fn and(self, other: &Self) -> Self {
        Self { requests: self.requests + other.requests, items: self.items + other.items }
    }
}

/// Runs a schedule from beginning to end.
pub(crate) fn run(plan: &Plan, sabotage: Option<Sabotage>, with_diary: bool) -> Result<Summary, Failed> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _entered = runtime.enter();
    let setup = &plan.setup;
    let world = World::new(setup.seed, setup.manners(), setup.reports, with_diary);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let builder = Builder { setup, world: &world, sabotage };
            let disk = setup.durable.then(|| Arc::new(Disk::new(setup.capacity.0)));
            let store: Arc<dyn Store<Envelope>> = match &disk {
                Some(disk) => Arc::<Disk<Envelope>>::clone(disk),
                None => Arc::new(builder.memory()),
            };
            let posted = replay(plan, &world, &*store);
            Run::new(plan, Arc::clone(&world), builder.build(store), posted, disk).all().await;
        });
    }));
    let why = match outcome {
        Err(panic) => Some(format!("panic: {}", words_of(panic.as_ref()))),
        Ok(()) => world.first_fault(),
    };
    match why {
        Some(why) => Err(Failed { why, diary: world.diary() }),
        None => {
            let requests = world.server().requests;
            Ok(Summary { requests, items: world.catalogue().iter().count() as u64 })
        }
    }
}

/// Puts into the store what is there from an earlier run.
fn replay(plan: &Plan, world: &World, store: &dyn Store<Envelope>) -> Posted {
    for plan in &plan.setup.replayed {
        let made = world.catalogue().make(plan);
        let meta = Meta { origin: Origin::Replayed, ..Meta::default() };
        // What there is no room for has never been, and what it pushes out neither.
        let _ = store.append(Parcel::with_meta(made.envelope, meta), 0, world.clock.now());
    }
    world.server().replayed = plan.setup.replayed.len();
    let mut posted = Posted::default();
    store.held(&mut |category, quantity| add(&mut posted.counts, category.clone(), quantity));
    posted
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
    words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        world: Arc<World>,
        stack: Stack,
        posted: Posted,
        disk: Option<Arc<Disk<Envelope>>>,
    ) -> Self {
        let mut drivers = vec![stack.driver];
        let second = stack.second.map(|(second, driver)| {
            drivers.push(driver);
            second
        });
        Self {
            plan,
            world,
            posted,
            disk,
            handles: vec![stack.outbox],
            second,
            drivers,
            aside: Vec::new(),
            driver_dropped: false,
            listeners: Vec::new(),
        }
    }

    async fn all(mut self) {
        for step in &self.plan.steps {
            self.world.note(|| format!("-- {step:?}"));
            self.step(step).await;
            checks::after_step(&self);
            if self.world.first_fault().is_some() {
                return;
            }
        }
        self.world.note(|| format!("-- {:?}", self.plan.ending));
        self.end().await;
        if self.world.first_fault().is_none() {
            checks::at_the_end(&mut self);
        }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Post(plan) => self.post(plan),
            Step::Burst(times, plan) => (0..*times).for_each(|_| self.post(plan)),
            Step::Call(plan) => self.call(plan).await,
            Step::Pass(millis) => tokio::time::sleep(Duration::from_millis(*millis)).await,
            Step::Yield(turns) => yields(*turns).await,
            Step::Weather(weather) => self.world.server().weather = *weather,
            Step::Flush(within, wait) => self.flush(*within, *wait).await,
            Step::Close(within, wait) => self.close(*within, *wait).await,
            Step::Online => self.handles.iter().for_each(Outbox::online),
            Step::CloneHandle => self.handles.extend(self.handles.first().cloned()),
            Step::DropHandle => drop(self.handles.pop()),
            Step::DropDriver => {
                self.driver_dropped = true;
                self.drivers[0].abort();
                yields(2).await;
            }
            Step::Listen => self.listeners.extend(self.handles.first().map(Outbox::outcomes)),
            Step::Deafen => drop(self.listeners.pop()),
        }
    }

    fn make(&self, plan: &EnvelopePlan) -> (Envelope, Counts, Losses) {
        let made = self.world.catalogue().make(plan);
        (made.envelope, made.counts, made.carried)
    }

    fn enter(&mut self, counts: Counts, carried: Losses) {
        for (category, quantity) in counts {
            add(&mut self.posted.counts, category, quantity);
        }
        for (key, quantity) in carried {
            add(&mut self.posted.carried, key, quantity);
        }
    }

    fn post(&mut self, plan: &EnvelopePlan) {
        let Some(handle) = self.handles.last().cloned() else { return };
        let (envelope, counts, carried) = self.make(plan);
        let is_closed = handle.stats().is_closed;
        let answer = handle.post(envelope);
        self.enter(counts, carried);
        self.world.note(|| format!("   {answer:?}"));
        let accepted = answer.is_ok();
        self.world.check(!(is_closed && accepted), || "a closed outbox takes a post".to_owned());
    }

    async fn call(&mut self, plan: &EnvelopePlan) {
        let Some(mut handle) = self.handles.last().cloned() else { return };
        let (envelope, counts, carried) = self.make(plan);
        let parcel = Parcel::new(envelope);
        match handle.ready().await.unwrap().call(parcel).await {
            Ok(_) => self.enter(counts, carried),
            // The goods are ours again, and nobody's loss.
            Err(failure) => {
                self.world.note(|| format!("   {failure:?}"));
                let is_whole = failure.parcel().is_some_and(|parcel| {
                    let left = checks::tally(parcel.payload());
                    left == counts
                });
                // What is under a known limit may have been dropped and recorded before the rest was handed back.
                if is_whole {
                    return;
                }
                let left = failure.parcel().map(|parcel| checks::tally(parcel.payload())).unwrap_or_default();
                let mut gone = counts;
                for (category, quantity) in left {
                    if let Some(sum) = gone.get_mut(&category) {
                        *sum -= quantity;
                    }
                }
                self.enter(gone, Losses::new());
            }
        }
    }

    /// What would be there after a restart.
    pub(crate) fn kept(&self) -> Vec<Envelope> {
        let kept = self.disk.as_ref().map(|disk| disk.kept()).unwrap_or_default();
        kept.into_iter().map(|(envelope, _)| envelope).collect()
    }

    /// What the first listener has heard.
    pub(crate) fn heard(&mut self) -> Vec<Notice> {
        let Some(outcomes) = self.listeners.first_mut() else { return Vec::new() };
        std::iter::from_fn(|| outcomes.try_next()).collect()
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

    async fn flush(&mut self, within: Duration, wait: Wait) {
        let Some(handle) = self.handles.last().cloned() else { return };
        let (world, alone) = (Arc::clone(&self.world), wait == Wait::Here);
        let exact = alone
            && !self.plan.setup.keeps_parcels()
            && self.second.is_none()
            && self.plan.setup.replayed.is_empty();
        let task = async move {
            let start = Instant::now();
            let flushed = handle.flush(within).await;
            let took = start.elapsed();
            world.note(|| format!("   {flushed:?} after {took:?}"));
            world.check(took <= within + TICK, || format!("a flush of {within:?} took {took:?} (TR-2)"));
            if exact && flushed.is_complete() {
                let settled = world.ledger.snapshot().is_settled();
                world.check(settled, || "a complete flush, and something is held (TR-2)".to_owned());
            }
        };
        self.aside(task, wait).await;
    }

    async fn close(&mut self, within: Duration, wait: Wait) {
        let Some(handle) = self.handles.last().cloned() else { return };
        let durable = self.disk.is_some();
        let world = Arc::clone(&self.world);
        let task = async move {
            let start = Instant::now();
            let closed = handle.close(within).await;
            let took = start.elapsed();
            world.note(|| format!("   {closed:?} after {took:?}"));
            world.check(took <= within + TICK, || format!("a close of {within:?} took {took:?} (TR-2)"));
            world.check(durable || handle.stats().queued() == 0, || "a closed outbox has a queue".to_owned());
        };
        self.aside(task, wait).await;
    }

    async fn end(&mut self) {
        match self.plan.ending {
            Ending::Recovery => self.recover().await,
            Ending::Close(within) => self.close(within, Wait::Here).await,
            Ending::DropHandles => {}
        }
        if let Some(second) = self.second.take() {
            // The outer one first, so that what it still delivers finds the inner one open.
            if !self.handles.is_empty() {
                self.close(Duration::from_secs(1), Wait::Here).await;
            }
            self.handles.push(second);
            self.close(Duration::from_secs(1), Wait::Here).await;
        }
        self.handles.clear();
        for task in std::mem::take(&mut self.aside) {
            let _ = task.await;
        }
        for driver in std::mem::take(&mut self.drivers) {
            // With the last handle gone a driver has its linger, and calls that never end are dropped.
            let ended = tokio::time::timeout(Duration::from_secs(3600), driver).await;
            self.world.check(ended.is_ok(), || "a driver does not end".to_owned());
        }
        // Whoever keeps parcels beyond their time lets them go now.
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }

    /// All is well again: everything gets an outcome, however long limits and back-offs last.
    async fn recover(&mut self) {
        self.world.server().weather = Weather::Fine;
        // A close that was begun aside is a close.
        yields(4).await;
        let Some(handle) = self.handles.last().cloned() else { return };
        if handle.stats().is_closed || self.driver_dropped || self.plan.may_hang() {
            return;
        }
        for _ in 0..2 {
            let queues = std::iter::once(handle.clone()).chain(self.second.clone());
            for queue in queues {
                let within = Duration::from_secs(100_000);
                let start = Instant::now();
                let flushed = queue.flush(within).await;
                self.world.note(|| format!("   {flushed:?}"));
                let promptly = start.elapsed() < within;
                self.world.check(promptly, || "a flush is not told that it is over".to_owned());
                self.world.check(flushed.is_complete(), || {
                    format!("all is well, and {} parcels stay for ever: {queue:?}", flushed.left)
                });
            }
        }
        // No flush waits for what is of an earlier run.
        let mut patience = 200;
        while patience > 0 && !self.world.ledger.snapshot().is_settled() {
            tokio::time::sleep(Duration::from_secs(500)).await;
            patience -= 1;
        }
        if !self.plan.setup.keeps_parcels() {
            let snapshot = self.world.ledger.snapshot();
            self.world
                .check(snapshot.is_settled(), || format!("all is well, and not settled: {snapshot:#?}"));
        }
    }
}

async fn yields(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}
