//! The retry through its public API, under paused time: BD-1 to BD-3, BD-10.
#![cfg(feature = "retry")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use envoi_core::{Advice, Failure, Fate, Fault, Kind, Meta, Parcel, Receipt, Reply};
use envoi_layers::retry::{Budget, Retry, RetryLayer, Schedule};
use envoi_testkit::contract::Contract;
use envoi_testkit::mock::{MockDeliver, Outcome};
use envoi_testkit::probe::{Answers, Gate, Probe};
use envoi_testkit::{Drops, Goods};
use http::StatusCode;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn steady() -> RetryLayer {
    RetryLayer::new(Schedule::brief().jitter(0.0))
}

fn goods() -> Parcel<Goods> {
    Parcel::new(Goods::new("event").with_id("a"))
}

fn status(code: u16, advice: Advice) -> Outcome {
    let status = StatusCode::from_u16(code).unwrap();
    let kind = match code {
        401 | 403 => Kind::Unauthorized,
        429 => Kind::RateLimited,
        500.. => Kind::Server,
        _ => Kind::Rejected,
    };
    Outcome::fault(move || Fault::new(kind).with_advice(advice).with_reply(Reply::new(status)))
}

/// What came of one delivery, and when each attempt began, in milliseconds.
async fn run(
    layer: &RetryLayer,
    steps: impl IntoIterator<Item = Outcome>,
) -> (Result<Receipt, Failure<Goods>>, Vec<u128>) {
    let below = MockDeliver::new();
    below.script(steps);
    let start = Instant::now();
    let answer = layer.layer(below.clone()).oneshot(goods()).await;
    let times = below.seen().into_iter().map(|seen| (seen.at - start).as_millis()).collect();
    (answer, times)
}

/// BD-1: at most three attempts, 100 ms and 400 ms apart, to the millisecond; the last failure is the answer.
#[tokio::test(start_paused = true)]
async fn three_attempts_then_the_last_failure() {
    let (answer, times) =
        run(&steady(), [Kind::Connect, Kind::Timeout, Kind::Io].map(Outcome::failure)).await;
    let failure = answer.unwrap_err();
    assert_eq!(times, [0, 100, 500]);
    assert_eq!(failure.fault().kind(), Kind::Io);
    assert_eq!(failure.fault().advice(), Advice::Retry, "who stands above decides");
    assert!(failure.parcel().is_some());
}

/// BD-1: if asked to, attempts of an earlier run count, and so do their waits.
#[tokio::test(start_paused = true)]
async fn earlier_attempts_count_if_asked_to() {
    for (layer, expected) in [(steady(), &[0, 100, 500][..]), (steady().count_earlier_attempts(), &[0, 400])]
    {
        let below = MockDeliver::answering(Outcome::failure(Kind::Connect));
        let mut parcel = goods();
        parcel.meta_mut().attempt = 1;
        let start = Instant::now();
        layer.layer(below.clone()).oneshot(parcel).await.unwrap_err();
        let times: Vec<_> = below.seen().iter().map(|seen| (seen.at - start).as_millis()).collect();
        assert_eq!(times, expected);
    }
}

/// BD-1: a success ends it, at whichever attempt.
#[tokio::test(start_paused = true)]
async fn a_success_ends_it() {
    for failures in 0..3 {
        let steps = vec![status(500, Advice::Retry); failures];
        let (answer, times) = run(&steady(), steps).await;
        assert_eq!(answer.unwrap().fate(), Fate::Delivered);
        assert_eq!(times, [0, 100, 500][..=failures]);
    }
}

/// BD-1: attempts are spread by a jitter that a seed makes repeatable.
#[tokio::test(start_paused = true)]
async fn jitter_is_bounded_and_seeded() {
    let mut seen = Vec::new();
    for seed in [1, 1, 2] {
        let layer = RetryLayer::default().seed(seed);
        let (_, times) = run(&layer, vec![Outcome::failure(Kind::Connect); 3]).await;
        assert!((100..=150).contains(&times[1]), "{times:?}");
        // Timers count in whole milliseconds, so each wait may be one longer.
        assert!((400..=601).contains(&(times[2] - times[1])), "{times:?}");
        seen.push(times);
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2]);
}

/// BD-2: what is tried again is what the advice says: network errors, timeouts, 5xx, 408, 429; never 401, 403, other 4xx.
#[tokio::test(start_paused = true)]
async fn table_of_what_is_tried_again() {
    let again = [
        Outcome::failure(Kind::Connect),
        Outcome::failure(Kind::Reset),
        Outcome::failure(Kind::Tls),
        Outcome::failure(Kind::Timeout),
        status(500, Advice::Retry),
        status(503, Advice::Retry),
        status(408, Advice::Retry),
        status(429, Advice::Retry),
    ];
    for outcome in again {
        let (answer, times) = run(&steady(), [outcome]).await;
        assert!(answer.is_ok());
        assert_eq!(times, [0, 100]);
    }
    let never = [401, 403, 400, 404, 413].map(|code| status(code, Advice::Drop));
    let local = [Kind::Encode, Kind::Disabled, Kind::CircuitOpen, Kind::Halted].map(Outcome::failure);
    for outcome in never.into_iter().chain(local) {
        let (answer, times) = run(&steady(), [outcome]).await;
        assert!(answer.unwrap_err().parcel().is_some());
        assert_eq!(times, [0]);
    }
}

/// BD-3: the wait that a server asks for replaces the back-off, up to 60 s; without one the back-off holds.
#[tokio::test(start_paused = true)]
async fn a_server_that_asks_to_wait_is_waited_for() {
    let asked = |wait| status(429, Advice::RetryAfter(wait));
    let table = [
        (vec![asked(30 * SECOND)], vec![0, 30_000]),
        (vec![asked(3600 * SECOND), asked(2 * SECOND)], vec![0, 60_000, 62_000]),
        (vec![asked(Duration::ZERO)], vec![0, 0]),
        (vec![status(429, Advice::Retry), asked(SECOND)], vec![0, 100, 1100]),
        (vec![asked(SECOND), status(429, Advice::Retry)], vec![0, 1000, 1400]),
    ];
    for (steps, expected) in table {
        let (answer, times) = run(&steady(), steps).await;
        assert!(answer.is_ok());
        assert_eq!(times, expected);
    }
}

/// BD-10: a schedule of one's own.
#[tokio::test(start_paused = true)]
async fn the_schedule_can_be_changed() {
    let schedule = Schedule::brief().attempts(5).base(SECOND).factor(2).jitter(0.0).longest_wait(3 * SECOND);
    let (answer, times) = run(&RetryLayer::new(schedule), vec![Outcome::failure(Kind::Io); 9]).await;
    assert!(answer.is_err());
    assert_eq!(times, [0, 1000, 3000, 6000, 9000]);
}

/// BD-1: the payload is never cloned, every attempt has the parcel as the one before left it, and counts up.
#[tokio::test(start_paused = true)]
async fn the_parcel_itself_is_sent_again() {
    let drops = Drops::new();
    let watched = drops.clone();
    let below = MockDeliver::new().on_parcel(move |parcel: &mut Parcel<Goods>| {
        assert_eq!(watched.alive(), 1, "a copy");
        let grown = std::mem::take(parcel.payload_mut()).and("more", 1);
        *parcel.payload_mut() = grown;
    });
    below.script([Outcome::failure(Kind::Connect), Outcome::failure(Kind::Connect)]);
    let mut meta = Meta { attempt: 7, ..Meta::default() };
    meta.extensions.insert("kept");
    below.otherwise(Outcome::failure(Kind::Encode));
    let parcel = Parcel::with_meta(Goods::new("event").tracked(&drops), meta);

    let failure = steady().layer(below.clone()).oneshot(parcel).await.unwrap_err();

    let attempts: Vec<_> = below.seen().iter().map(|seen| seen.attempt).collect();
    assert_eq!(attempts, [7, 8, 9]);
    let parcel = failure.into_parcel().unwrap();
    assert_eq!(parcel.meta().attempt, 9, "the last failure is counted by whoever tries again");
    assert_eq!(parcel.meta().extensions.get(), Some(&"kept"));
    assert_eq!(parcel.payload().items().len(), 4);
    drop(parcel);
    assert_eq!(drops.alive(), 0);
}

/// BD-2: a failure that has lost its parcel is the answer; there is nothing to try again.
#[tokio::test(start_paused = true)]
async fn without_a_parcel_there_is_no_retry() {
    let (answer, times) = run(&steady(), [Outcome::failure(Kind::Io).losing_the_parcel()]).await;
    assert!(answer.unwrap_err().parcel().is_none());
    assert_eq!(times, [0]);
}

/// BD-9: a halt ends the wait at once, with the goods, and the last fault is the source.
#[tokio::test(start_paused = true)]
async fn a_halt_hands_the_parcel_back() {
    let token = CancellationToken::new();
    let below = MockDeliver::answering(status(503, Advice::RetryAfter(30 * SECOND)));
    let layer = steady().halt_on(token.clone());
    let start = Instant::now();
    let halt = async {
        tokio::time::sleep(7 * SECOND).await;
        token.cancel();
    };
    let (answer, ()) = tokio::join!(layer.layer(below.clone()).oneshot(goods()), halt);
    let failure = answer.unwrap_err();
    assert_eq!(start.elapsed(), 7 * SECOND);
    assert_eq!(failure.fault().kind(), Kind::Halted);
    assert_eq!(failure.fault().advice(), Advice::Retry);
    let source = std::error::Error::source(failure.fault()).unwrap().downcast_ref::<Fault>().unwrap();
    assert_eq!(source.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(failure.into_parcel().unwrap().payload().items().len(), 1);

    // After the halt each is still tried once, and never waits.
    let failure = layer.layer(below.clone()).oneshot(goods()).await.unwrap_err();
    assert_eq!((failure.fault().kind(), start.elapsed()), (Kind::Halted, 7 * SECOND));
    assert_eq!(below.seen().len(), 2);
}

type Echo = Answers<Parcel<Goods>, Receipt, Failure<Goods>>;

fn refusing() -> Echo {
    Answers::new(|_| Ok(Receipt::delivered()), || Failure::without_parcel(Fault::new(Kind::Tls)))
        .refusing(|parcel| Failure::new(Fault::new(Kind::Connect), parcel))
}

async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
}

/// BD-1: readiness is asked for before every attempt; a halt ends that wait, too; its failure brings the goods.
#[tokio::test(start_paused = true)]
async fn readiness_comes_before_every_attempt() {
    for end in [Gate::Open, Gate::Failed, Gate::Pending] {
        let token = CancellationToken::new();
        let (probe, handle) = Probe::new(refusing(), 1);
        let mut retry: Retry<_> = steady().halt_on(token.clone()).layer(probe);
        handle.set_refusing(true);
        let mut call = Box::pin(retry.ready().await.unwrap().call(goods()));
        assert!(is_pending(&mut call).await);
        handle.set_gate(Gate::Pending);
        handle.set_refusing(false);
        assert_eq!(handle.taken(), 0, "a wait keeps nobody out");
        tokio::time::sleep(SECOND).await;
        assert!(is_pending(&mut call).await);
        assert_eq!(handle.counts().calls, 1);
        if end == Gate::Pending {
            token.cancel();
        } else {
            handle.set_gate(end);
        }
        let answer = call.await;
        match end {
            Gate::Open => assert_eq!(answer.unwrap().fate(), Fate::Delivered),
            Gate::Failed => {
                let failure = answer.unwrap_err();
                assert_eq!(failure.fault().kind(), Kind::Tls);
                assert!(failure.into_parcel().is_some());
            }
            Gate::Pending => {
                let failure = answer.unwrap_err();
                assert_eq!(failure.fault().kind(), Kind::Halted);
                assert!(failure.into_parcel().is_some());
            }
        }
        assert_eq!((handle.counts().unready_calls, handle.counts().repeated_calls), (0, 0));
    }
}

/// BD-1: dropped in whatever state, a delivery lets go of the parcel, the permit and the timer.
#[tokio::test(start_paused = true)]
async fn dropping_it_releases_everything_in_each_state() {
    for state in ["called", "trying", "waiting", "readying"] {
        let drops = Drops::new();
        let (probe, handle) = Probe::new(refusing(), 1);
        let mut retry = steady().layer(probe);
        handle.hold();
        handle.set_refusing(true);
        {
            let parcel = Parcel::new(Goods::new("event").tracked(&drops));
            let mut call = pin!(retry.ready().await.unwrap().call(parcel));
            if state != "called" {
                assert!(is_pending(&mut call).await);
            }
            if state == "waiting" || state == "readying" {
                handle.release();
                assert!(is_pending(&mut call).await);
            }
            if state == "readying" {
                handle.set_gate(Gate::Pending);
                tokio::time::sleep(SECOND).await;
                assert!(is_pending(&mut call).await);
            }
            assert_eq!(drops.alive(), 1, "{state}");
        }
        assert_eq!((drops.alive(), handle.taken(), handle.counts().in_flight), (0, 0, 0), "{state}");
    }
}

/// BD-10: a budget bounds the retries of all deliveries together, and fills up by successes.
#[tokio::test(start_paused = true)]
async fn a_budget_bounds_retries_across_deliveries() {
    let budget = Budget::new(3, 0.5);
    let below = MockDeliver::answering(Outcome::failure(Kind::Connect));
    let mut retry = steady().budget(budget.clone()).layer(below.clone());
    for attempts in [3, 5, 6] {
        let failure = retry.ready().await.unwrap().call(goods()).await.unwrap_err();
        assert_eq!((failure.fault().kind(), failure.fault().advice()), (Kind::Connect, Advice::Retry));
        assert_eq!(below.seen().len(), attempts);
    }
    below.otherwise(Outcome::delivered());
    for _ in 0..2 {
        let _ = retry.ready().await.unwrap().call(goods()).await.unwrap();
    }
    assert_eq!(budget.left(), 1);
}

/// BD-1: the retry keeps the contract of a tower layer: readied instance, readiness, wakers, drops, cancellation.
#[tokio::test(start_paused = true)]
async fn retry_passes_the_contract_suite() {
    Contract::delivery(RetryLayer::default()).run().await.unwrap();
    let halted = RetryLayer::default().halt_on(CancellationToken::new()).budget(Budget::new(1, 1.0));
    Contract::delivery(halted).run().await.unwrap();
}

/// BD-1: a failure that comes through layers with boxed errors is tried again with its parcel.
#[tokio::test(start_paused = true)]
async fn retries_through_boxed_errors() {
    let below = MockDeliver::new();
    below.script([Outcome::failure(Kind::Connect)]);
    let stack = ServiceBuilder::new()
        .layer(steady())
        .timeout(60 * SECOND)
        .concurrency_limit(1)
        .service(below.clone());
    assert!(stack.oneshot(goods()).await.is_ok());
    assert_eq!(below.seen().len(), 2);
    assert_eq!(below.seen()[1].at - below.seen()[0].at, 100 * MILLI);
}
