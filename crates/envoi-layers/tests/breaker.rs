//! The circuit breaker through its public API, under paused time: BD-4, BD-10.
#![cfg(feature = "breaker")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use envoi_core::{Advice, Clock, Failure, Fate, Fault, Kind, Parcel, Receipt, Reply};
use envoi_layers::TokioClock;
use envoi_layers::breaker::{Breaker, BreakerConfig, BreakerLayer, BreakerState, Verdict};
use envoi_testkit::contract::Contract;
use envoi_testkit::mock::{MockDeliver, Outcome};
use envoi_testkit::probe::{Answers, Gate, Probe};
use envoi_testkit::{Drops, Goods, ManualClock};
use http::StatusCode;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);
const CLOSED: BreakerState = BreakerState::Closed { failures: 0 };

fn goods() -> Parcel<Goods> {
    Parcel::new(Goods::new("event"))
}

fn replied(kind: Kind, code: u16) -> Outcome {
    let status = StatusCode::from_u16(code).unwrap();
    Outcome::fault(move || Fault::new(kind).with_reply(Reply::new(status)))
}

/// A breaker with the numbers of the preset above a script.
struct Rig {
    layer: BreakerLayer,
    below: MockDeliver<Goods>,
    breaker: Breaker<MockDeliver<Goods>>,
}

impl Rig {
    fn new() -> Self {
        Self::with(BreakerConfig::new())
    }

    fn with(config: BreakerConfig) -> Self {
        let (layer, below) = (BreakerLayer::new(config), MockDeliver::new());
        let breaker = layer.layer(below.clone());
        Self { layer, below, breaker }
    }

    async fn send(&mut self) -> Result<Receipt, Failure<Goods>> {
        self.breaker.ready().await.unwrap().call(goods()).await
    }

    async fn send_all(&mut self, steps: impl IntoIterator<Item = Outcome>) {
        for step in steps {
            self.below.script([step]);
            let _ = self.send().await;
        }
        assert_eq!(self.below.steps_left(), 0, "one was refused");
    }

    /// Five failures.
    async fn open(&mut self) {
        self.send_all(vec![Outcome::failure(Kind::Connect); 5]).await;
        assert!(matches!(self.layer.state(), BreakerState::Open { .. }));
    }

    /// That the next one is refused, with this wait, and nothing is sent.
    async fn assert_refuses(&mut self, wait: Duration) {
        let sent = self.below.seen().len();
        let failure = self.send().await.unwrap_err();
        assert_eq!(failure.fault().kind(), Kind::CircuitOpen);
        assert_eq!(failure.fault().advice(), Advice::RetryAfter(wait));
        assert_eq!(failure.into_parcel().unwrap().payload().items().len(), 1, "with the goods");
        assert_eq!(self.below.seen().len(), sent);
    }
}

/// BD-4: five failures in a row open it for 30 s, to the millisecond; while it is open nothing is sent.
#[tokio::test(start_paused = true)]
async fn five_failures_open_it_for_thirty_seconds() {
    let mut rig = Rig::new();
    rig.send_all(vec![Outcome::failure(Kind::Timeout); 4]).await;
    assert_eq!(rig.layer.state(), BreakerState::Closed { failures: 4 });
    rig.send_all([Outcome::failure(Kind::Timeout)]).await;
    let until = TokioClock.now() + 30 * SECOND;
    assert_eq!(rig.layer.state(), BreakerState::Open { until });
    rig.assert_refuses(30 * SECOND).await;
    tokio::time::advance(29_999 * MILLI).await;
    rig.assert_refuses(MILLI).await;
    tokio::time::advance(MILLI).await;
    assert_eq!(rig.send().await.unwrap().fate(), Fate::Delivered);
    assert_eq!(rig.below.seen().len(), 6);
    assert_eq!(rig.layer.state(), CLOSED);
}

/// BD-4: a success in between begins the count anew.
#[tokio::test(start_paused = true)]
async fn only_failures_in_a_row_count() {
    let mut rig = Rig::new();
    for _ in 0..3 {
        rig.send_all(vec![Outcome::failure(Kind::Connect); 4]).await;
        rig.send_all([Outcome::delivered()]).await;
        assert_eq!(rig.layer.state(), CLOSED);
    }
}

/// BD-4: refused credentials, other 4xx and local errors neither open it nor begin the count anew.
#[tokio::test(start_paused = true)]
async fn neutral_answers_do_not_count() {
    let mut rig = Rig::new();
    rig.send_all(vec![Outcome::failure(Kind::Connect); 4]).await;
    let neutral = [
        replied(Kind::Unauthorized, 401),
        replied(Kind::Unauthorized, 403),
        replied(Kind::Rejected, 400),
        replied(Kind::Rejected, 404),
        Outcome::failure(Kind::Encode),
        Outcome::failure(Kind::Storage),
        Outcome::failure(Kind::Halted),
        Outcome::failure(Kind::Disabled),
        Outcome::receipt(Fate::Spent),
        Outcome::receipt(Fate::Stored),
    ];
    for _ in 0..3 {
        rig.send_all(neutral.clone()).await;
    }
    assert_eq!(rig.layer.state(), BreakerState::Closed { failures: 4 });
    rig.send_all([replied(Kind::RateLimited, 429)]).await;
    assert!(matches!(rig.layer.state(), BreakerState::Open { .. }), "a 429 after all attempts counts");
}

/// BD-4: a probe that fails opens it for another 30 s, as often as it does; one that succeeds closes it.
#[tokio::test(start_paused = true)]
async fn a_failed_probe_opens_it_again() {
    let mut rig = Rig::new();
    rig.open().await;
    for _ in 0..3 {
        tokio::time::advance(30 * SECOND).await;
        rig.send_all([replied(Kind::Server, 503)]).await;
        rig.assert_refuses(30 * SECOND).await;
    }
    tokio::time::advance(30 * SECOND).await;
    rig.send_all([Outcome::delivered()]).await;
    assert_eq!(rig.layer.state(), CLOSED);
    assert_eq!(rig.below.seen().len(), 5 + 4);
}

/// BD-4: a probe with a neutral end leaves the question open: the next one is the probe.
#[tokio::test(start_paused = true)]
async fn a_neutral_probe_frees_its_slot() {
    let mut rig = Rig::new();
    rig.open().await;
    tokio::time::advance(30 * SECOND).await;
    rig.send_all([
        replied(Kind::Unauthorized, 401),
        Outcome::receipt(Fate::Spent),
        replied(Kind::Rejected, 400),
    ])
    .await;
    assert!(matches!(rig.layer.state(), BreakerState::Open { .. }));
    rig.send_all([Outcome::delivered()]).await;
    assert_eq!(rig.layer.state(), CLOSED);
}

/// BD-4: of five thousand who come at once when the cooldown is over exactly one is sent. If it is dropped its slot is
/// free, and again one of thousands takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_probe_among_thousands() {
    const CALLERS: usize = 5000;
    let clock = Arc::new(ManualClock::new());
    let layer = BreakerLayer::new(BreakerConfig::new().failures(1).clock(clock.clone()));
    let (sent, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let service = layer.layer(service_fn({
        let (sent, gate) = (Arc::clone(&sent), Arc::clone(&gate));
        move |parcel: Parcel<Goods>| {
            let is_first = sent.fetch_add(1, Ordering::Relaxed) == 0;
            let gate = Arc::clone(&gate);
            async move {
                if is_first {
                    return Err(Failure::new(Fault::new(Kind::Connect), parcel));
                }
                drop(gate.acquire().await);
                Ok(Receipt::delivered())
            }
        }
    }));
    assert!(service.clone().oneshot(goods()).await.is_err());
    clock.advance(30 * SECOND);

    for probes in 1..=3 {
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(service.clone().oneshot(goods()));
        }
        while callers.len() > 1 {
            let failure = callers.join_next().await.unwrap().unwrap().unwrap_err();
            assert_eq!(failure.fault().kind(), Kind::CircuitOpen);
            assert_eq!(failure.fault().advice(), Advice::RetryAfter(SECOND));
            assert!(failure.parcel().is_some());
        }
        // The one that is left hangs in the service.
        while sent.load(Ordering::Relaxed) == probes {
            tokio::task::yield_now().await;
        }
        assert_eq!(sent.load(Ordering::Relaxed), 1 + probes);
        assert_eq!(layer.state(), BreakerState::HalfOpen);
        if probes < 3 {
            callers.shutdown().await;
            assert!(matches!(layer.state(), BreakerState::Open { .. }), "dropped, so its slot is free");
        } else {
            gate.add_permits(1);
            assert!(callers.join_next().await.unwrap().unwrap().is_ok());
            assert_eq!(layer.state(), CLOSED);
        }
    }
}

/// BD-4: an answer from before the outage comes back late and has no say: neither a success closes the circuit nor does
/// a failure prolong the cooldown or count in the next epoch.
#[tokio::test(start_paused = true)]
async fn late_answers_have_no_say() {
    let mut rig = Rig::new();
    rig.below.script([
        Outcome::delivered().after(10 * SECOND),
        Outcome::failure(Kind::Timeout).after(20 * SECOND),
        Outcome::failure(Kind::Timeout).after(40 * SECOND),
    ]);
    let early: Vec<_> =
        (0..3).map(|_| tokio::spawn(rig.layer.layer(rig.below.clone()).oneshot(goods()))).collect();
    rig.below.until_seen(3).await;
    rig.open().await;
    let opened = rig.layer.state();
    tokio::time::sleep(25 * SECOND).await;
    assert_eq!(rig.layer.state(), opened);
    tokio::time::sleep(5 * SECOND).await;
    rig.send_all([Outcome::delivered()]).await;
    for late in early {
        let _ = late.await.unwrap();
    }
    assert_eq!(rig.layer.state(), CLOSED, "nor does it count after the outage");
}

/// BD-10: every number and the verdicts can be changed.
#[tokio::test(start_paused = true)]
async fn numbers_and_verdicts_can_be_changed() {
    let mut rig =
        Rig::with(BreakerConfig::new().failures(2).cooldown(250 * MILLI).judge(|answer| match answer {
            Err(fault) if fault.kind() == Kind::Rejected => Verdict::Failure,
            answer => Verdict::of(answer),
        }));
    rig.send_all(vec![replied(Kind::Rejected, 400); 2]).await;
    rig.assert_refuses(250 * MILLI).await;
    tokio::time::advance(250 * MILLI).await;
    rig.below.script([Outcome::never()]);
    let mut probe = Box::pin(rig.layer.layer(rig.below.clone()).oneshot(goods()));
    assert!(is_pending(&mut probe).await);
    rig.assert_refuses(250 * MILLI).await;

    let mut at_once = Rig::with(BreakerConfig::new().failures(0).cooldown(Duration::ZERO));
    at_once.send_all([Outcome::failure(Kind::Io), Outcome::delivered()]).await;
    assert_eq!(at_once.layer.state(), CLOSED);
    let mut for_ever = Rig::with(BreakerConfig::new().failures(1).cooldown(Duration::MAX));
    for_ever.send_all([Outcome::failure(Kind::Io)]).await;
    tokio::time::advance(86_400 * 365 * SECOND).await;
    assert_eq!(for_ever.send().await.unwrap_err().fault().kind(), Kind::CircuitOpen);
}

async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
}

fn probed() -> Answers<Parcel<Goods>, Receipt, Failure<Goods>> {
    Answers::new(|_| Ok(Receipt::delivered()), || Failure::without_parcel(Fault::new(Kind::Tls)))
        .refusing(|parcel| Failure::new(Fault::new(Kind::Connect), parcel))
}

fn quick() -> BreakerLayer {
    BreakerLayer::new(BreakerConfig::new().failures(1))
}

/// BD-4: an open circuit refuses without asking the inner service for readiness; `poll_ready` never fails for it. A call
/// that was readied then and comes after the cooldown asks for it by itself.
#[tokio::test(start_paused = true)]
async fn an_open_circuit_does_not_touch_the_inner_service() {
    for end in [Gate::Open, Gate::Failed] {
        let (probe, handle) = Probe::new(probed(), 1);
        let layer = quick();
        let mut breaker = layer.layer(probe);
        handle.set_refusing(true);
        assert!(breaker.ready().await.unwrap().call(goods()).await.is_err());
        handle.set_gate(Gate::Failed);
        let refused = breaker.ready().await.unwrap().call(goods()).await.unwrap_err();
        assert_eq!(refused.fault().kind(), Kind::CircuitOpen);
        assert_eq!((handle.counts().readied, handle.counts().calls, handle.taken()), (1, 1, 0));

        handle.set_gate(Gate::Pending);
        handle.set_refusing(false);
        breaker.ready().await.unwrap();
        tokio::time::advance(30 * SECOND).await;
        let mut call = pin!(breaker.call(goods()));
        assert!(is_pending(&mut call).await);
        assert_eq!(layer.state(), BreakerState::HalfOpen);
        handle.set_gate(end);
        match call.await {
            Ok(receipt) => {
                assert_eq!((end, receipt.fate()), (Gate::Open, Fate::Delivered));
                assert_eq!(layer.state(), CLOSED);
            }
            Err(failure) => {
                assert_eq!((end, failure.fault().kind()), (Gate::Failed, Kind::Tls));
                assert!(failure.parcel().is_some());
                let until = TokioClock.now() + 30 * SECOND;
                assert_eq!(layer.state(), BreakerState::Open { until });
            }
        }
        assert_eq!((handle.counts().unready_calls, handle.counts().repeated_calls), (0, 0));
    }
}

/// BD-4: dropped in whatever state, a probe frees its slot, the parcel and the permit; a caller dropped while the circuit
/// is closed changes nothing.
#[tokio::test(start_paused = true)]
async fn dropping_it_frees_the_slot_in_each_state() {
    for state in ["closed", "readying", "called", "calling", "refused"] {
        let drops = Drops::new();
        let (probe, handle) = Probe::new(probed(), 1);
        let layer = quick();
        let mut breaker = layer.layer(probe);
        handle.set_refusing(true);
        if state != "closed" {
            assert!(breaker.ready().await.unwrap().call(goods()).await.is_err());
        }
        if state == "readying" {
            breaker.ready().await.unwrap();
            handle.set_gate(Gate::Pending);
        }
        if state != "refused" {
            tokio::time::advance(30 * SECOND).await;
        }
        handle.hold();
        if state != "readying" {
            breaker.ready().await.unwrap();
        }
        let before = layer.state();
        {
            let mut call = pin!(breaker.call(Parcel::new(Goods::new("event").tracked(&drops))));
            if state != "called" && state != "refused" {
                assert!(is_pending(&mut call).await);
            }
            let is_probe = matches!(state, "readying" | "called" | "calling");
            assert_eq!(layer.state() == BreakerState::HalfOpen, is_probe, "{state}");
            assert_eq!(drops.alive(), 1, "{state}");
        }
        assert_eq!(layer.state(), before, "{state}");
        assert_eq!((drops.alive(), handle.taken(), handle.counts().in_flight), (0, 0, 0), "{state}");
    }
}

/// BD-4: a probe that panics frees its slot.
#[tokio::test(start_paused = true)]
async fn a_panicking_probe_frees_its_slot() {
    let mut rig = Rig::new();
    rig.open().await;
    tokio::time::advance(30 * SECOND).await;
    rig.below.script([Outcome::panic()]);
    let probe = tokio::spawn(rig.layer.layer(rig.below.clone()).oneshot(goods()));
    assert!(probe.await.unwrap_err().is_panic());
    rig.send_all([Outcome::delivered()]).await;
    assert_eq!(rig.layer.state(), CLOSED);
}

/// BD-4: changes are told as they happen, single failures are not; the layer and its clones share the circuit.
#[tokio::test(start_paused = true)]
async fn changes_are_told() {
    let mut rig = Rig::new();
    let mut changes = rig.layer.clone().changes();
    rig.send_all(vec![Outcome::failure(Kind::Connect); 4]).await;
    assert!(!changes.has_changed().unwrap());
    rig.send_all([Outcome::failure(Kind::Connect)]).await;
    let until = TokioClock.now() + 30 * SECOND;
    assert_eq!(*changes.borrow_and_update(), BreakerState::Open { until });
    tokio::time::advance(30 * SECOND).await;
    rig.below.script([Outcome::delivered().after(SECOND)]);
    let told = async {
        let mut states = Vec::new();
        while states.last() != Some(&CLOSED) {
            changes.changed().await.unwrap();
            states.push(*changes.borrow_and_update());
        }
        states
    };
    let breaker = rig.layer.clone().layer(rig.below.clone());
    let (answer, states) = tokio::join!(breaker.oneshot(goods()), told);
    assert!(answer.is_ok());
    assert_eq!(states, [BreakerState::HalfOpen, CLOSED]);
}

/// BD-4: the state survives a restart by the wall clock: what is left of a cooldown, cut to a ceiling, and the
/// failures in a row, which alone open nothing.
#[tokio::test(start_paused = true)]
async fn the_state_survives_a_restart() {
    let clock = Arc::new(ManualClock::new());
    let config = || BreakerConfig::new().clock(clock.clone());
    let mut rig = Rig::with(config());
    rig.open().await;
    clock.advance(10 * SECOND);
    let saved = rig.layer.snapshot();
    assert_eq!(saved.end(), Some(clock.wall() + 20 * SECOND));
    let saved = saved.to_string().parse().unwrap();

    clock.advance(5 * SECOND);
    let mut next = Rig::with(config());
    next.layer.restore(&saved, 30 * SECOND);
    next.assert_refuses(15 * SECOND).await;
    next.layer.restore(&saved, 2 * SECOND);
    next.assert_refuses(2 * SECOND).await;
    clock.set_wall(clock.wall() - 86_400 * SECOND);
    next.layer.restore(&saved, 30 * SECOND);
    next.assert_refuses(30 * SECOND).await;
    clock.set_wall(clock.wall() + 2 * 86_400 * SECOND);
    next.layer.restore(&saved, 30 * SECOND);
    next.send_all([Outcome::failure(Kind::Io)]).await;
    next.assert_refuses(30 * SECOND).await;

    let mut counting = Rig::with(config());
    counting.send_all(vec![Outcome::failure(Kind::Io); 3]).await;
    let saved = counting.layer.snapshot();
    let mut next = Rig::with(config());
    next.layer.restore(&saved, 30 * SECOND);
    next.send_all(vec![Outcome::failure(Kind::Io); 2]).await;
    next.assert_refuses(30 * SECOND).await;
    let strict = Rig::with(config().failures(1));
    strict.layer.restore(&saved, 30 * SECOND);
    assert_eq!(strict.layer.state(), CLOSED);
}

/// BD-4: a cooldown that was saved under other settings is cut to one's own.
#[tokio::test(start_paused = true)]
async fn a_restored_cooldown_is_no_longer_than_ones_own() {
    let mut rig = Rig::new();
    rig.open().await;
    let mut quick = Rig::with(BreakerConfig::new().cooldown(SECOND));
    quick.layer.restore(&rig.layer.snapshot(), Duration::MAX);
    quick.assert_refuses(SECOND).await;
}

/// BD-4: a queue that asks how long calls are refused for loses nothing, and sends nothing in vain: neither in the cooldown
/// nor beside the probe. A close does not wait for what cannot go in its time.
#[cfg(feature = "outbox")]
#[tokio::test(start_paused = true)]
async fn a_queue_can_hold_what_would_be_refused() {
    use envoi_layers::outbox::{MemoryStore, OutboxConfig, outbox};

    let rig = Rig::new();
    let layer = rig.layer.clone();
    let config = OutboxConfig::new().concurrency(4).hold(move |now| layer.refuses_until(now)).max_attempts(1);
    let (outbox, driver) = outbox(MemoryStore::new(), config, rig.breaker);
    tokio::spawn(driver);
    let post = |count| (0..count).for_each(|_| assert_eq!(outbox.post(goods()).unwrap(), Fate::Queued));
    let (start, failed) = (Instant::now(), || Outcome::failure(Kind::Io));
    // The sixth leaves beside the fifth.
    rig.below.script(vec![failed(); 6]);
    post(6);
    assert!(outbox.flush(SECOND).await.is_complete());
    rig.below.script([failed().after(SECOND), Outcome::delivered().after(2 * SECOND)]);
    post(10);
    assert!(outbox.flush(60 * SECOND).await.left > 0);
    assert!(outbox.flush(60 * SECOND).await.is_complete());
    let mut times: Vec<_> = rig.below.seen().iter().skip(6).map(|seen| (seen.at - start).as_secs()).collect();
    assert_eq!(times.split_off(2), [63; 8]);
    assert_eq!(times, [30, 61], "the probes, alone");
    let stats = outbox.stats();
    assert_eq!(
        (stats.given_up, stats.discharged, stats.attempts),
        (7, 9, 16),
        "no delivery was begun in vain"
    );

    rig.below.script(vec![failed(); 5]);
    post(5);
    assert!(outbox.flush(SECOND).await.is_complete());
    post(3);
    let start = Instant::now();
    let closed = outbox.close(20 * SECOND).await;
    assert_eq!((closed.is_complete, closed.lost, start.elapsed()), (false, 3, Duration::ZERO));
}

/// BD-4: the breaker keeps the contract of a tower layer: readied instance, readiness, wakers, drops, cancellation.
#[tokio::test(start_paused = true)]
async fn breaker_passes_the_contract_suite() {
    Contract::delivery(BreakerLayer::default()).run().await.unwrap();
}

/// BD-4: failures that come through layers with boxed errors count.
#[tokio::test(start_paused = true)]
async fn counts_through_boxed_errors() {
    let below = MockDeliver::answering(Outcome::failure(Kind::Connect));
    let layer = quick();
    let stack = ServiceBuilder::new().layer(layer.clone()).timeout(60 * SECOND).service(below.clone());
    let start = Instant::now();
    assert!(stack.clone().oneshot(goods()).await.unwrap_err().into_parcel().is_some());
    assert_eq!(layer.state(), BreakerState::Open { until: (start + 30 * SECOND).into_std() });
}
