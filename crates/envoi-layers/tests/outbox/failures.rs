//! What a failure leads to: back-off, patience with servers, giving up, recovery.

use std::time::Duration;

use envoi_core::{Advice, Clock, DiscardReason, Fault, Kind, Reply};
use envoi_layers::outbox::{Backoff, MemoryStore, outbox};
use envoi_testkit::mock::{MockDeliver, Outcome};
use envoi_testkit::{Goods, ManualClock};
use http::StatusCode;

use crate::support::*;

fn steady(config: Config) -> Config {
    config.backoff(Backoff::default().jitter(0.0))
}

fn offline() -> Outcome {
    Outcome::failure(Kind::Connect)
}

fn status(status: StatusCode) -> Outcome {
    let kind = if status == StatusCode::TOO_MANY_REQUESTS { Kind::RateLimited } else { Kind::Rejected };
    Outcome::fault(move || Fault::new(kind).with_reply(Reply::new(status)))
}

/// OC-4, decision 17: a network error is tried again after 5 s, doubling, to the millisecond; attempts are counted.
#[tokio::test(start_paused = true)]
async fn network_errors_back_off() {
    let rig = Rig::new(steady(Config::new()));
    rig.mock.script([Kind::Connect, Kind::Timeout, Kind::Tls, Kind::Io].map(Outcome::failure));
    rig.post_all([error("a")]);
    // A flush would hurry it.
    while rig.delivered("critical") == 0 {
        rig.assert_books();
        tokio::time::sleep(100 * MILLI).await;
    }
    assert_eq!(rig.times(), [0, 5_000, 15_000, 35_000, 75_000]);
    let attempts: Vec<_> = rig.mock.seen().iter().map(|seen| seen.attempt).collect();
    assert_eq!(attempts, [0, 1, 2, 3, 4]);
    rig.assert_settled();
}

/// BD-4: what an open breaker refuses waits as long as that says, and has used up no attempt.
#[tokio::test(start_paused = true)]
async fn a_refusal_by_a_breaker_is_no_attempt() {
    let rig = Rig::new(steady(Config::new().max_attempts(2)));
    let refused = || Outcome::advised(Kind::CircuitOpen, Advice::RetryAfter(30 * SECOND));
    rig.mock.script([refused(), refused(), refused(), offline(), refused()]);
    rig.post_all([error("a")]);
    while rig.delivered("critical") == 0 {
        rig.assert_books();
        tokio::time::sleep(100 * MILLI).await;
    }
    assert_eq!(rig.times(), [0, 30_000, 60_000, 90_000, 95_000, 125_000]);
    let attempts: Vec<_> = rig.mock.seen().iter().map(|seen| seen.attempt).collect();
    assert_eq!(attempts, [0, 0, 0, 0, 1, 1]);
    rig.assert_settled();
}

/// OC-4, decision 17: jitter spreads the delays by up to a fifth, and a seed makes them repeatable.
#[tokio::test(start_paused = true)]
async fn jitter_is_bounded_and_seeded() {
    let mut schedules = Vec::new();
    for seed in [1, 1, 2] {
        let rig = Rig::new(Config::new().seed(seed));
        rig.mock.script([offline(), offline()]);
        rig.post_all([error("a")]);
        tokio::time::sleep(30 * SECOND).await;
        let times = rig.times();
        assert_eq!(times.len(), 3);
        assert!((4_000..=6_001).contains(&times[1]), "{times:?}");
        assert!((8_000..=12_001).contains(&(times[2] - times[1])), "{times:?}");
        assert_ne!(times[1], 5_000, "no jitter at all");
        rig.assert_settled();
        schedules.push(times);
    }
    assert_eq!(schedules[0], schedules[1]);
    assert_ne!(schedules[0], schedules[2]);
}

/// OC-4, decision 18: one that waits does not block those behind it, and goes before them when it is ready.
#[tokio::test(start_paused = true)]
async fn a_failed_parcel_keeps_its_place_but_blocks_nobody() {
    let rig = Rig::new(steady(Config::new().concurrency(1)));
    rig.mock.script([
        offline().after(MILLI),
        Outcome::delivered().after(MILLI),
        Outcome::delivered().after(5 * SECOND),
    ]);
    // The second success hurries nobody: the first did.
    rig.post_all(["a", "b", "c", "d"].map(error));
    rig.flush().await;
    assert_eq!(rig.ids(), ["a", "b", "a", "c", "d"]);
    rig.assert_settled();
}

/// OC-6: a success after failures makes those who wait try at once.
#[tokio::test(start_paused = true)]
async fn a_success_hurries_those_who_wait() {
    let rig = Rig::new(steady(Config::new()));
    rig.mock.script([offline(), offline(), offline()]);
    rig.post_all(["a", "b", "c"].map(error));
    tokio::time::sleep(SECOND).await;
    assert_eq!(rig.outbox.stats().waiting(), 3);
    rig.post_all([error("d")]);
    tokio::time::sleep(50 * MILLI).await;
    assert_eq!(rig.times(), [0, 0, 0, 1000, 1010, 1010, 1010]);
    rig.assert_settled();
}

/// OC-6, decision 17: a parcel that never gets through among many that do is not hurried through its attempts.
#[tokio::test(start_paused = true)]
async fn a_poison_parcel_among_successes_keeps_its_attempts() {
    let rig = Rig::above(
        tower::service_fn(|parcel: envoi_core::Parcel<Goods>| async move {
            let poison = envoi_core::Payload::id(parcel.payload()).is_some_and(|id| id == "poison");
            if poison {
                return Err(envoi_core::Failure::new(Fault::new(Kind::Timeout), parcel));
            }
            Ok(envoi_core::Receipt::delivered())
        }),
        steady(Config::new()),
    );
    rig.post_all([error("poison")]);
    for _ in 0..600 {
        rig.post_all([error("fine")]);
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(rig.delivered("critical"), 600);
    assert_eq!(rig.outbox.stats().queued(), 1, "still there after ten minutes");
    let attempts = rig.outbox.stats().attempts - 600;
    assert!((7..=14).contains(&attempts), "{attempts} attempts");
    rig.assert_books();
}

/// OC-6: the explicit signal that the network is back.
#[tokio::test(start_paused = true)]
async fn online_tries_at_once() {
    let rig = Rig::new(steady(Config::new()));
    rig.mock.script([offline()]);
    rig.post_all([error("a")]);
    tokio::time::sleep(1234 * MILLI).await;
    rig.outbox.online();
    tokio::time::sleep(20 * MILLI).await;
    assert_eq!(rig.times(), [0, 1234]);
    rig.assert_settled();
}

/// TR-8: a wait that the server asked for is kept to the millisecond, whoever hurries.
#[tokio::test(start_paused = true)]
async fn a_server_that_asks_to_wait_is_not_hurried() {
    let rig = Rig::new(steady(Config::new()));
    rig.mock.script([Outcome::advised(Kind::Server, Advice::RetryAfter(Duration::from_millis(61_500)))]);
    rig.post_all([error("a")]);
    tokio::time::sleep(SECOND).await;
    rig.outbox.online();
    assert!(!rig.outbox.flush(10 * SECOND).await.is_complete());
    rig.post_all([error("b")]);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(rig.ids(), ["a", "b", "a"]);
    assert_eq!(rig.times(), [0, 11_000, 61_500]);
    rig.assert_settled();
}

/// CR-3, decision 17: after 20 attempts it is a `network_error`.
#[tokio::test(start_paused = true)]
async fn attempts_are_bounded() {
    let rig = Rig::new(Config::new().backoff(Backoff::new(SECOND, SECOND)));
    rig.mock.otherwise(offline());
    rig.post_all([error("a")]);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(rig.ids().len(), 20);
    assert_eq!(rig.lost("critical", DiscardReason::NetworkError), 1);
    rig.assert_settled();
}

/// CR-3, decision 17: an old parcel that fails is given up.
#[tokio::test(start_paused = true)]
async fn age_is_bounded() {
    let rig = Rig::new(steady(Config::new().max_age(12 * SECOND)));
    rig.mock.otherwise(offline());
    rig.post_all([error("a")]);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(rig.times(), [0, 5_000, 15_000]);
    assert_eq!(rig.lost("critical", DiscardReason::NetworkError), 1);
    rig.assert_settled();
}

/// CR-3, decision 17: three resets in a row end in `send_error`; another failure between them begins anew.
#[tokio::test(start_paused = true)]
async fn three_resets_in_a_row_are_a_refusal() {
    let rig = Rig::new(steady(Config::new()));
    rig.mock.script(
        [Kind::Reset, Kind::Reset, Kind::Io, Kind::Reset, Kind::Reset, Kind::Reset].map(Outcome::failure),
    );
    rig.post_all([error("a")]);
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(rig.ids().len(), 6);
    assert_eq!(rig.lost("critical", DiscardReason::SendError), 1);
    rig.assert_settled();
}

/// CR-3, TR-8: refusals are final and stand under their status; a 429 is refused and no loss of ours.
#[tokio::test(start_paused = true)]
async fn refusals_are_final() {
    let reports = Reports::default();
    let rig = Rig::new(Config::new().losses(reports.clone()).concurrency(1));
    rig.mock.script([400_u16, 413, 429, 500].map(|code| status(StatusCode::from_u16(code).unwrap())));
    rig.post_all(["a", "b", "c", "d"].map(error));
    rig.flush().await;
    assert_eq!(rig.ids(), ["a", "b", "c", "d"], "never again");
    let snapshot = rig.outbox.ledger().snapshot();
    let account = snapshot.get(&"critical".into()).unwrap();
    assert_eq!(
        account.refused.iter().map(|(code, count)| (*code, *count)).collect::<Vec<_>>(),
        [(400, 1), (413, 1), (429, 1), (500, 1)]
    );
    assert_eq!(account.lost_total(), 0);
    let pending = reports.take();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[&(DiscardReason::SendError, "critical".into())], 3, "not the 429");
    rig.assert_settled();
}

/// CR-3: what cannot be encoded is our fault.
#[tokio::test(start_paused = true)]
async fn a_local_failure_is_ours() {
    let rig = Rig::new(Config::new());
    rig.mock.script([Outcome::failure(Kind::Encode)]);
    rig.post_all([error("a").and("attachment", 9)]);
    rig.flush().await;
    assert_eq!(rig.lost("critical", DiscardReason::InternalSdkError), 1);
    assert_eq!(rig.lost("attachment", DiscardReason::InternalSdkError), 9);
    rig.assert_settled();
}

/// Decision 16: a halt that nobody ordered is no attempt, and does not make the driver spin.
#[tokio::test(start_paused = true)]
async fn a_stray_halt_waits_without_an_attempt() {
    let rig = Rig::new(steady(Config::new()));
    rig.mock.script([Outcome::failure(Kind::Halted), Outcome::failure(Kind::Halted)]);
    rig.post_all([error("a")]);
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(rig.times(), [0, 5_000, 10_000]);
    assert!(rig.mock.seen().iter().all(|seen| seen.attempt == 0));
    rig.assert_settled();
}

/// RL-11: deadlines follow the clock that the outbox was given, not the runtime's.
#[tokio::test(start_paused = true)]
async fn a_clock_of_ones_own_decides() {
    let clock = std::sync::Arc::new(ManualClock::new());
    let mock = MockDeliver::new();
    mock.script([offline()]);
    let config = steady(Config::new().clock(clock.clone()));
    let (outbox, driver) = outbox(MemoryStore::<Goods>::new(), config, mock.clone());
    tokio::spawn(driver);
    let start = clock.now();
    outbox.post(error("a")).unwrap();
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(mock.seen().len(), 1, "the clock stands still");
    clock.advance(5 * SECOND);
    assert_eq!(clock.now() - start, 5 * SECOND);
    tokio::time::sleep(6 * SECOND).await;
    assert_eq!(mock.seen().len(), 2);
    assert_books(&outbox);
}
