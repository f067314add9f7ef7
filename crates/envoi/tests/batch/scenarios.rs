//! The scenarios that the public SDK of this service tests.

use envoi::Kind;
use envoi::batch::BreakerState;
use envoi_testkit::mock::Answer;
use http::HeaderValue;
use http::header::RETRY_AFTER;
use serde_json::json;

use crate::support::{MILLI, PATIENCE, Rig, SECOND, status};

/// BD-8, AU-8: one post of the array on success, with the token, and nothing else.
#[tokio::test(start_paused = true)]
async fn a_success_is_a_single_post() {
    let rig = Rig::new([]);
    rig.logger.log(&json!({"run": 1})).unwrap();
    rig.logger.log(&json!({"run": 2})).unwrap();
    let outcome = rig.logger.flush(PATIENCE).await;
    assert!(outcome.is_complete);
    assert_eq!((outcome.delivered, outcome.lost, outcome.left), (2, 0, 0));
    let seen = rig.mock.seen();
    assert_eq!(seen.len(), 1);
    let request = &seen[0].request;
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/events"));
    assert_eq!(request.body(), r#"[{"run":1},{"run":2}]"#);
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!((rig.told(), rig.account().delivered), (vec![], 2));
}

/// BD-1, BD-2: 5xx backs off, and the batch arrives whole when the server is well again.
#[tokio::test(start_paused = true)]
async fn server_errors_back_off() {
    let rig = Rig::new([status(503), status(500)]);
    rig.log(0, 3);
    assert!(rig.logger.flush(PATIENCE).await.is_complete);
    assert_eq!((rig.times(), rig.sizes()), (vec![0, 100, 500], vec![3, 3, 3]));
    assert_eq!((rig.told(), rig.account().delivered), (vec![], 3));
}

/// BD-5: no retry on 401; the transport is disabled for good, what is logged later is not queued, and the handler hears of
/// it once.
#[tokio::test(start_paused = true)]
async fn refused_credentials_disable_the_transport() {
    let rig = Rig::new([status(401)]);
    rig.log(0, 60);
    assert!(rig.logger.flush(PATIENCE).await.is_complete);
    assert_eq!((rig.times(), rig.told()), (vec![0], vec![("auth", 20)]));
    assert_eq!(rig.logger.stats().waiting, 0, "what waited is gone");
    for _ in 0..100 {
        assert!(rig.logger.log("more").is_err());
    }
    assert_eq!(rig.logger.stats().waiting, 0, "no-ops that enqueue nothing");
    tokio::time::sleep(60 * SECOND).await;
    let outcome = rig.logger.shutdown(SECOND).await;
    assert!(outcome.is_complete);
    assert_eq!((rig.times().len(), rig.told().len()), (1, 1));
    let account = rig.account();
    assert_eq!((account.posted, account.refused[&401], account.lost_total()), (160, 20, 140));
}

/// BD-5: also when several batches that are on their way are refused, the handler hears of it once.
#[tokio::test(start_paused = true)]
async fn refused_credentials_are_told_once() {
    let answers = vec![status(401).after(SECOND), status(403).after(SECOND), status(401).after(2 * SECOND)];
    let rig = Rig::with(answers, |builder| builder.concurrency(3));
    rig.log(0, 60);
    assert!(rig.logger.flush(PATIENCE).await.is_complete);
    assert_eq!((rig.times().len(), rig.told()), (3, vec![("auth", 20)]));
    assert_eq!(rig.account().held(), Some(0));
}

/// BD-2, BD-7: a 400 drops the batch, with a typed error, and the next one goes.
#[tokio::test(start_paused = true)]
async fn a_bad_request_is_dropped() {
    let rig = Rig::new([status(400)]);
    rig.send_one().await;
    rig.send_one().await;
    assert_eq!((rig.times(), rig.told()), (vec![0, 0], vec![("status", 1)]));
    assert_eq!((rig.account().delivered, rig.account().refused[&400]), (1, 1));
}

/// BD-3: on 429 the seconds of `Retry-After` are waited for.
#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_waited_for() {
    let rig = Rig::new([status(429).header(RETRY_AFTER, HeaderValue::from_static("3"))]);
    rig.send_one().await;
    assert_eq!((rig.times(), rig.told(), rig.account().delivered), (vec![0, 3000], vec![], 1));
}

/// BD-4: five failed deliveries in a row open the circuit; then there is no network and no retry, for 30 s.
#[tokio::test(start_paused = true)]
async fn the_breaker_opens_after_five_failures() {
    let rig = Rig::new([]);
    rig.mock.otherwise(status(500));
    for failures in 0..5 {
        assert_eq!(rig.logger.stats().breaker, BreakerState::Closed { failures });
        rig.send_one().await;
    }
    assert_eq!((rig.times().len(), rig.told()), (15, vec![("other", 1); 5]));
    assert!(matches!(rig.logger.stats().breaker, BreakerState::Open { .. }));
    tokio::time::sleep(29 * SECOND).await;
    let before = rig.elapsed();
    rig.send_one().await;
    assert_eq!((rig.times().len(), rig.elapsed()), (15, before), "refused at once");
    assert_eq!(rig.told()[5..], [("breaker open", 1)]);
    assert_eq!(rig.account().lost_total() + rig.account().refused_total(), 6);
    let last = rig.logger.stats().outbox.last_failure.unwrap();
    assert_eq!(last.kind, Kind::Server, "what opened it, not that it is open");
}

/// BD-4: a success in between begins the count anew.
#[tokio::test(start_paused = true)]
async fn only_failures_in_a_row_count() {
    let rig = Rig::new([]);
    for _ in 0..3 {
        rig.mock.script(vec![status(500); 12]);
        for _ in 0..5 {
            rig.send_one().await;
        }
    }
    assert_eq!((rig.told().len(), rig.account().delivered), (12, 3));
    assert_eq!(rig.logger.stats().breaker, BreakerState::Closed { failures: 0 });
}

/// BD-4: after the cooldown one probe goes out. If it fails the circuit is open for another 30 s, if it succeeds it closes.
#[tokio::test(start_paused = true)]
async fn a_probe_decides() {
    let rig = Rig::new([]);
    rig.mock.otherwise(status(500));
    for _ in 0..5 {
        rig.send_one().await;
    }
    tokio::time::sleep(30 * SECOND).await;
    rig.send_one().await;
    assert_eq!(rig.times().len(), 18, "the probe, with its attempts");
    rig.send_one().await;
    assert_eq!(rig.times().len(), 18, "open again");
    tokio::time::sleep(30 * SECOND - MILLI).await;
    rig.send_one().await;
    assert_eq!(rig.times().len(), 18, "for another 30 s");
    rig.mock.otherwise(Answer::ok());
    tokio::time::sleep(MILLI).await;
    rig.send_one().await;
    assert_eq!(rig.logger.stats().breaker, BreakerState::Closed { failures: 0 });
    rig.send_one().await;
    assert_eq!((rig.times().len(), rig.account().delivered), (20, 2));
}

/// BD-4: of many batches that come at once after the cooldown exactly one is the probe.
#[tokio::test(start_paused = true)]
async fn there_is_one_probe() {
    let rig = Rig::with([], |builder| builder.concurrency(50).attempts(1));
    rig.mock.otherwise(status(500));
    for _ in 0..5 {
        rig.send_one().await;
    }
    tokio::time::sleep(30 * SECOND).await;
    rig.mock.script([Answer::ok().after(SECOND)]);
    rig.log(0, 1000);
    assert!(rig.logger.flush(PATIENCE).await.is_complete);
    assert_eq!((rig.times().len(), rig.account().delivered), (6, 20));
    assert_eq!(rig.told()[5..], vec![("breaker open", 20); 49]);
}

/// BD-4: refused credentials, and refusals of a payload, say nothing about the server's health.
#[tokio::test(start_paused = true)]
async fn refusals_do_not_count_for_the_breaker() {
    let rig = Rig::new(vec![status(500); 12]);
    for _ in 0..4 {
        rig.send_one().await;
    }
    rig.mock.script(vec![status(400); 10]);
    for _ in 0..10 {
        rig.send_one().await;
    }
    assert_eq!(rig.logger.stats().breaker, BreakerState::Closed { failures: 4 });
    rig.mock.script([status(401)]);
    rig.send_one().await;
    assert_eq!(rig.logger.stats().breaker, BreakerState::Closed { failures: 4 });
    assert!(rig.logger.is_disabled());
}

/// BD-8: the twentieth event sends the batch, the nineteenth does not.
#[tokio::test(start_paused = true)]
async fn twenty_events_are_sent_at_once() {
    let rig = Rig::new([]);
    rig.log(0, 19);
    tokio::time::sleep(5 * SECOND - MILLI).await;
    assert!(rig.mock.seen().is_empty());
    rig.log(19, 1);
    rig.mock.until_seen(1).await;
    assert_eq!((rig.times(), rig.sizes()), (vec![4999], vec![20]));
    assert_eq!(rig.batches()[0], (0..20).map(|number| json!(number)).collect::<Vec<_>>());
}

/// BD-8: what does not fill a batch leaves five seconds after the last flush.
#[tokio::test(start_paused = true)]
async fn five_seconds_after_the_last_flush_it_is_sent() {
    let rig = Rig::new([]);
    tokio::time::sleep(3 * SECOND).await;
    rig.log(0, 1);
    rig.mock.until_seen(1).await;
    tokio::time::sleep(SECOND).await;
    rig.log(1, 22);
    rig.mock.until_seen(3).await;
    assert_eq!((rig.times(), rig.sizes()), (vec![5000, 6000, 11_000], vec![1, 20, 2]));
}

/// BD-8: flushes that run at once coalesce into one request, and all of them wait for it.
#[tokio::test(start_paused = true)]
async fn flushes_at_once_are_one_request() {
    let rig = Rig::new([Answer::ok().after(SECOND), Answer::ok().after(SECOND)]);
    rig.log(0, 3);
    let flush = || rig.logger.flush(PATIENCE);
    let (one, two, three) = tokio::join!(flush(), flush(), flush());
    assert!([one, two, three].iter().all(|outcome| outcome.is_complete && outcome.delivered == 3));
    assert_eq!((rig.sizes(), rig.elapsed()), (vec![3], SECOND));

    // What comes while one is on its way gathers for the next.
    rig.log(3, 1);
    let late = async {
        rig.mock.until_seen(2).await;
        rig.log(4, 5);
        let (one, two) = tokio::join!(flush(), flush());
        assert!(one.is_complete && two.is_complete);
    };
    tokio::join!(flush(), late);
    assert_eq!(rig.sizes(), [3, 1, 5]);
}

/// BD-9: a flush ends in its time, whatever the server does.
#[tokio::test(start_paused = true)]
async fn a_flush_is_bounded() {
    let rig = Rig::new([]);
    rig.mock.otherwise(Answer::never());
    rig.log(0, 25);
    let outcome = rig.logger.flush(200 * MILLI).await;
    assert_eq!((rig.elapsed(), outcome.is_complete), (200 * MILLI, false));
    assert_eq!((outcome.delivered, outcome.lost, outcome.left), (0, 0, 25));
}

/// BD-8: the thousand-and-first event makes the oldest give way; the handler hears how many did.
#[tokio::test(start_paused = true)]
async fn overflow_is_counted_and_told() {
    let rig = Rig::new([Answer::ok().after(SECOND)]);
    rig.log(0, 20);
    rig.mock.until_seen(1).await;
    rig.log(20, 1005);
    assert_eq!(rig.logger.stats().waiting, 1000);
    assert!(rig.logger.flush(PATIENCE).await.is_complete);
    assert_eq!(rig.told(), [("overflow", 5)]);
    assert_eq!((rig.account().delivered, rig.account().lost_total()), (1020, 5));
    assert_eq!(rig.batches()[1][0], 25, "the oldest of those that waited gave way");
}
