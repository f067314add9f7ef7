use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use envoi_core::{
    Confirm, DiscardReason, Failure, Fate, Fault, Itemized, Kind, Lane, Limits, LossSink, Parcel, Receipt,
    Reporter, SharedClock, Store, StoreHost,
};
use http::StatusCode;

use super::OutboxConfig;
use super::books::Books;
use super::config::{Gate, Hold};
use super::outcome::{Announcer, End, Outcome};
use super::rota::LaneSet;
use super::signal::Signal;
use super::stats::{Counters, LastFailure, Totals};
use super::watch::Watch;

/// Deadlines beyond this are as good as none, and cannot overflow.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// What a close keeps of its time for those whom it interrupts: a tenth, at most this.
const GRACE: Duration = Duration::from_millis(250);

pub(super) fn later(now: Instant, wait: Duration) -> Instant {
    now + wait.min(FAR)
}

/// What the store sees of its outbox.
pub(super) struct Core<C> {
    pub(super) books: Arc<Books<C>>,
    pub(super) signal: Signal,
    pub(super) watch: Watch,
    pub(super) counters: Counters,
    pub(super) announcer: Announcer,
    // Whether the reporter, which knows the payload and not only its categories, has anything to report.
    pub(super) has_unreported: Box<dyn Fn() -> bool + Send + Sync>,
}

impl<C: Clone + Ord + Send + Sync + 'static> LossSink<C> for Core<C> {
    fn lost(&self, reason: DiscardReason, category: &C, quantity: u64) {
        self.books.sink.lost(reason, category, quantity);
    }

    fn refused(&self, status: StatusCode, category: &C, quantity: u64) {
        self.books.sink.refused(status, category, quantity);
    }

    fn restore(&self, reason: DiscardReason, category: &C, quantity: u64) {
        self.books.sink.restore(reason, category, quantity);
    }
}

impl<C: Clone + Ord + Send + Sync + 'static> StoreHost<C> for Core<C> {
    fn wake(&self) {
        self.signal.lanes_filled(LaneSet::ALL);
    }

    fn gone(&self, tag: u64) {
        Counters::add(&self.counters.given_up);
        self.announcer.announce(|| Outcome::new(End::Evicted));
        self.watch.settle(tag);
    }

    fn has_unreported(&self) -> bool {
        (self.has_unreported)()
    }

    fn found(&self, category: &C, quantity: u64) {
        self.books.ledger.posted(category, quantity);
    }
}

/// When a close interrupts what runs, and when it drops it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    pub(super) halt_at: Instant,
    pub(super) drop_at: Instant,
}

impl Deadlines {
    /// A last quarter of the grace is left for the books, so that they are closed when the waiting ends.
    fn new(now: Instant, within: Duration) -> Self {
        let within = within.min(FAR);
        let grace = (within / 10).min(GRACE);
        Self { halt_at: now + (within - grace), drop_at: now + (within - grace / 4) }
    }
}

#[derive(Debug, Default)]
pub(super) struct Control {
    pub(super) closing: Option<Deadlines>,
    pub(super) orphaned: bool,
    // The totals when the first close began.
    before: Totals,
}

/// What handles and driver share.
pub(super) struct Shared<P: Itemized> {
    pub(super) core: Arc<Core<P::Category>>,
    pub(super) store: Arc<dyn Store<P>>,
    pub(super) limits: Arc<dyn Limits<P::Category>>,
    pub(super) reporter: Option<Arc<dyn Reporter<P>>>,
    pub(super) clock: SharedClock,
    gate: Option<Gate>,
    hold: Option<Hold>,
    last_failure: Mutex<Option<LastFailure>>,
    control: Mutex<Control>,
    closed: AtomicBool,
    kept: OnceLock<usize>,
}

impl<P: Itemized> Shared<P> {
    pub(super) fn new(store: Arc<dyn Store<P>>, config: &OutboxConfig<P>) -> Arc<Self> {
        let reporter = config.reporter.clone();
        let core = Arc::new(Core {
            has_unreported: Box::new(move || reporter.as_ref().is_some_and(Reporter::is_pending)),
            books: Arc::new(Books::new(config.ledger.clone(), config.losses.clone())),
            signal: Signal::default(),
            watch: Watch::default(),
            counters: Counters::default(),
            announcer: Announcer::default(),
        });
        store.connect(Arc::<Core<P::Category>>::clone(&core));
        // What an earlier run left is there without anybody posting it.
        core.signal.lanes_filled(LaneSet::ALL);
        Arc::new(Self {
            core,
            store,
            limits: Arc::clone(&config.limits),
            reporter: config.reporter.clone(),
            clock: Arc::clone(&config.clock),
            gate: config.gate.clone(),
            hold: config.hold.clone(),
            last_failure: Mutex::default(),
            control: Mutex::default(),
            closed: AtomicBool::new(false),
            kept: OnceLock::new(),
        })
    }

    pub(super) fn books(&self) -> &Books<P::Category> {
        &self.core.books
    }

    pub(super) fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Why nothing goes through, if the gate is shut (BD-5).
    pub(super) fn disabled(&self) -> Option<Fault> {
        let is_shut = self.gate.as_ref().is_some_and(|is_open| !is_open());
        is_shut.then(|| Fault::new(Kind::Disabled).with_message("it was switched off, nothing is taken on"))
    }

    /// Until when nothing may leave: a limit on everything, or whoever holds it.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        let limited = if self.limits.is_idle() { None } else { self.limits.all_until(now) };
        let Some(hold) = &self.hold else { return limited };
        // What a shut gate discards need not wait for anybody.
        let held = if self.disabled().is_some() { None } else { hold(now).filter(|until| *until > now) };
        limited.max(held)
    }

    /// Takes a parcel on that is in the ledger already. The steps are those of the module's documentation.
    pub(super) fn admit(
        &self,
        mut parcel: Parcel<P>,
        confirm: Option<Confirm>,
    ) -> Result<Receipt, Failure<P>> {
        if self.is_closed() {
            return Err(Failure::new(Fault::new(Kind::Closed), parcel));
        }
        if let Some(fault) = self.disabled() {
            return Err(Failure::new(fault, parcel));
        }
        let now = self.clock.now();
        if self.turned_away(parcel.payload_mut(), now) {
            // Its items are written down here, so an outer queue has nothing left to write down.
            parcel.reclaim();
            self.core.announcer.announce(|| Outcome {
                id: parcel.payload().id().map(Cow::into_owned),
                ..Outcome::new(End::Discharged(Fate::Spent))
            });
            return Ok(Receipt::new(Fate::Spent));
        }
        let custodian = parcel.reclaim();
        self.enqueue(parcel, now, confirm).map_err(|mut failure| {
            if let (Some(parcel), Some(custodian)) = (failure.parcel_mut(), custodian) {
                parcel.entrust(custodian);
            }
            failure
        })
    }

    /// Drops what is under a known limit (TP-3). Says whether nothing is left.
    fn turned_away(&self, payload: &mut P, now: Instant) -> bool {
        if !self.limits.is_idle() && self.limits.any_active(now) {
            let sink = &self.core.books.sink;
            let mut lost = |category: &P::Category, quantity| {
                sink.lost(DiscardReason::RatelimitBackoff, category, quantity);
            };
            let mut limited = |category: &P::Category| self.limits.category_until(category, now).is_some();
            if self.limits.all_until(now).is_some() || payload.is_held(&mut limited) {
                self.books().restore(payload);
                payload.clear(&mut lost);
                return true;
            }
            payload.shed(&mut limited, &mut lost);
        }
        payload.is_spent()
    }

    fn enqueue(
        &self,
        parcel: Parcel<P>,
        now: Instant,
        confirm: Option<Confirm>,
    ) -> Result<Receipt, Failure<P>> {
        let lane = parcel.payload().lane();
        // Entered before it is appended, so that no flush misses it.
        let tag = self.core.watch.enter();
        let fate = match confirm {
            Some(confirm) => self.store.append_durable(parcel, tag, now, confirm),
            None => self.store.append(parcel, tag, now),
        };
        match fate {
            Ok(fate) => {
                self.core.signal.lanes_filled(LaneSet::of(lane));
                Ok(Receipt::new(fate))
            }
            Err(failure) => {
                self.core.watch.settle(tag);
                Err(failure)
            }
        }
    }

    /// Sends pending reports on their way without a carrier (CR-5). Under a limit on everything they stay pending
    /// (decision 11). They are nobody's posting: a report counts for nothing.
    pub(super) fn post_report(&self, now: Instant) -> bool {
        let Some(reporter) = self.reporter.as_ref().filter(|reporter| reporter.is_pending()) else {
            return false;
        };
        if self.limits.all_until(now).is_some() {
            return false;
        }
        let Some(report) = reporter.standalone() else { return false };
        match self.enqueue(Parcel::new(report), now, None) {
            Ok(_) => true,
            Err(failure) => {
                if let Some(report) = failure.parcel() {
                    self.books().restore(report.payload());
                }
                false
            }
        }
    }

    /// Makes everybody ready who only waits for a back-off (OC-6).
    pub(super) fn hurry(&self) {
        self.store.hurry();
        self.core.signal.lanes_filled(LaneSet::ALL);
    }

    /// Begins a flush and returns the mark to wait for.
    pub(super) fn begin_flush(&self) -> u64 {
        self.post_report(self.clock.now());
        self.hurry();
        self.core.watch.cut()
    }

    /// Parcels that are queued or in flight, whoever posted them.
    pub(super) fn undelivered(&self) -> usize {
        let queued: usize = Lane::ALL.map(|lane| self.store.depth(lane).parcels).into_iter().sum();
        queued + self.core.counters.in_flight.load(Ordering::Relaxed)
    }

    /// Begins a close, or shortens the time of one that runs.
    pub(super) fn begin_close(&self, within: Duration) {
        let now = self.clock.now();
        let deadlines = Deadlines::new(now, within);
        let first = {
            let mut control = self.control();
            let first = !self.closed.swap(true, Ordering::AcqRel);
            if first {
                control.before = self.core.counters.totals();
            }
            let closing = control.closing.get_or_insert(deadlines);
            if deadlines.drop_at < closing.drop_at {
                *closing = deadlines;
            }
            first
        };
        if first {
            self.post_report(now);
            self.hurry();
        }
        self.core.signal.command();
    }

    /// The last handle is gone.
    pub(super) fn orphan(&self) {
        self.control().orphaned = true;
        self.core.signal.command();
    }

    /// Closes the store: what is still queued is kept or counted as lost, once. Returns how many entries are kept.
    pub(super) fn seal(&self) -> usize {
        self.closed.store(true, Ordering::Release);
        *self.kept.get_or_init(|| self.store.close(self.clock.now()))
    }

    /// The totals since the first close began.
    pub(super) fn closing_totals(&self) -> Totals {
        let now = self.core.counters.totals();
        let before = self.control().before;
        Totals {
            discharged: now.discharged.saturating_sub(before.discharged),
            given_up: now.given_up.saturating_sub(before.given_up),
        }
    }

    pub(super) fn note_failure(&self, fault: &Fault, now: Instant) {
        // What follows from a transport that is switched off must not hide why it was.
        if fault.kind() == Kind::Disabled {
            return;
        }
        let mut last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        // Nor must an open circuit hide what opened it.
        if fault.kind() != Kind::CircuitOpen || last.is_none() {
            *last = Some(LastFailure::new(fault, now));
        }
    }

    pub(super) fn last_failure(&self) -> Option<LastFailure> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
