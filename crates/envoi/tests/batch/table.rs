//! One test per row of the tables of the guarantees, with attempts and waits to the millisecond.

use std::io::ErrorKind;
use std::sync::Arc;

use envoi_testkit::mock::Answer;
use envoi_testkit::{ManualClock, TokioClock};
use http::HeaderValue;
use http::header::{DATE, RETRY_AFTER};

use crate::support::{MILLI, PATIENCE, Rig, SECOND, status};

/// What comes of one batch whose attempts are answered so: when the attempts were made, and what the handler was told.
async fn run(answers: Vec<Answer>) -> (Vec<u128>, Vec<(&'static str, u64)>) {
    let rig = Rig::new(answers);
    rig.send_one().await;
    assert_eq!(rig.account().held(), Some(0));
    (rig.times(), rig.told())
}

async fn always(answer: Answer) -> (Vec<u128>, Vec<(&'static str, u64)>) {
    run(vec![answer; 4]).await
}

/// BD-1: three attempts: at once, after 100 ms, after 400 ms more; then it is lost, and told once.
#[tokio::test(start_paused = true)]
async fn three_attempts_100_and_400_milliseconds_apart() {
    assert_eq!(always(status(500)).await, (vec![0, 100, 500], vec![("other", 1)]));
}

/// BD-1: a jitter of up to 50 % is added to each wait, and spreads them.
#[tokio::test(start_paused = true)]
async fn waits_are_longer_by_up_to_a_half() {
    let mut firsts = Vec::new();
    for seed in 0..50 {
        let rig = Rig::with(vec![status(500); 3], |builder| {
            builder.schedule(envoi::batch::Schedule::brief()).seed(seed)
        });
        rig.send_one().await;
        let times = rig.times();
        let (first, second) = (times[1], times[2] - times[1]);
        assert!((100..=150).contains(&first) && (400..=601).contains(&second), "{times:?}");
        firsts.push(first);
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() > 10, "{firsts:?}");
}

/// BD-2: network errors of every kind are tried again.
#[tokio::test(start_paused = true)]
async fn network_errors_are_tried_again() {
    for kind in [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::BrokenPipe,
        ErrorKind::TimedOut,
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::UnexpectedEof,
    ] {
        let expected = (vec![0, 100, 500], vec![("other", 1)]);
        assert_eq!(always(Answer::io_error(kind)).await, expected, "{kind:?}");
    }
}

/// BD-2: every 5xx is tried again, also those that nobody has heard of.
#[tokio::test(start_paused = true)]
async fn server_errors_are_tried_again() {
    for code in [500, 501, 502, 503, 504, 511, 599] {
        assert_eq!(always(status(code)).await, (vec![0, 100, 500], vec![("other", 1)]), "{code}");
    }
}

/// BD-2, BD-7: 408 and 429 are tried again; after all attempts a 429 has an error of its own.
#[tokio::test(start_paused = true)]
async fn request_timeouts_and_rate_limits_are_tried_again() {
    assert_eq!(always(status(408)).await, (vec![0, 100, 500], vec![("other", 1)]));
    assert_eq!(always(status(429)).await, (vec![0, 100, 500], vec![("rate limited", 1)]));
}

/// BD-2, BD-5: 401 and 403 are never tried again, and nothing is sent afterwards.
#[tokio::test(start_paused = true)]
async fn refused_credentials_are_not_tried_again() {
    for code in [401, 403] {
        let rig = Rig::new([status(code)]);
        rig.send_one().await;
        assert_eq!((rig.times(), rig.told()), (vec![0], vec![("auth", 1)]), "{code}");
        assert!(rig.logger.is_disabled() && rig.logger.stats().is_disabled);
        assert!(rig.logger.log("more").is_err());
        assert!(rig.logger.flush(SECOND).await.is_complete);
        assert_eq!((rig.times().len(), rig.told().len()), (1, 1));
        assert_eq!(rig.account().refused[&code], 1);
    }
}

/// BD-2: other 4xx are dropped, and so is what is no answer to a post.
#[tokio::test(start_paused = true)]
async fn other_refusals_are_dropped() {
    for code in [400, 402, 404, 405, 406, 409, 410, 411, 413, 415, 418, 422, 431, 451, 499, 301, 304, 308] {
        assert_eq!(always(status(code)).await, (vec![0], vec![("status", 1)]), "{code}");
    }
}

/// BD-5: a proxy that wants credentials has no say about those of the server: the batch is lost, the transport goes on.
#[tokio::test(start_paused = true)]
async fn a_refusal_by_a_proxy_disables_nothing() {
    let rig = Rig::new([status(407)]);
    rig.send_one().await;
    rig.send_one().await;
    assert_eq!((rig.times(), rig.told()), (vec![0, 0], vec![("other", 1)]));
    assert_eq!((rig.account().delivered, rig.logger.is_disabled()), (1, false));
}

/// BD-6: an attempt that does not end is ended after 10 s, and counts as one that failed.
#[tokio::test(start_paused = true)]
async fn an_attempt_ends_after_ten_seconds() {
    let (times, told) = always(Answer::never()).await;
    assert_eq!((times, told), (vec![0, 10_100, 20_500], vec![("other", 1)]));
    let rig = Rig::new([Answer::never()]);
    rig.send_one().await;
    assert_eq!((rig.times(), rig.account().delivered), (vec![0, 10_100], 1));
}

/// BD-6: 2xx is delivered, whatever becomes of the reply's body.
#[tokio::test(start_paused = true)]
async fn any_success_is_delivered() {
    for code in [200, 201, 202, 204, 206, 299] {
        assert_eq!(run(vec![status(code)]).await, (vec![0], vec![]), "{code}");
    }
    assert_eq!(run(vec![status(200).body("{").breaking_off(ErrorKind::ConnectionReset)]).await.1, []);
    assert_eq!(run(vec![status(200).body("{").stalling()]).await.1, []);
}

async fn after_429(header: &'static str) -> Vec<u128> {
    let answer = status(429).header(RETRY_AFTER, HeaderValue::from_static(header));
    let rig = Rig::with([answer], |builder| builder.clock(Arc::new(TokioClock::new())));
    rig.send_one().await;
    assert_eq!(rig.account().delivered, 1);
    rig.times()
}

/// BD-3: `Retry-After` in seconds replaces the back-off.
#[tokio::test(start_paused = true)]
async fn retry_after_in_seconds() {
    assert_eq!(after_429("30").await, [0, 30_000]);
    assert_eq!(after_429("0").await, [0, 0]);
    assert_eq!(after_429("1.5").await, [0, 1500]);
}

/// BD-3: `Retry-After` as a date, against the clock, which stands at 22:13:20, or against the date of the reply.
#[tokio::test(start_paused = true)]
async fn retry_after_as_a_date() {
    assert_eq!(after_429("Tue, 14 Nov 2023 22:13:50 GMT").await, [0, 30_000]);
    assert_eq!(after_429("Tue, 14 Nov 2023 21:00:00 GMT").await, [0, 0], "a past date is no wait");
    let date = |text| HeaderValue::from_static(text);
    let answer = status(429)
        .header(DATE, date("Wed, 21 Oct 2026 07:28:00 GMT"))
        .header(RETRY_AFTER, date("Wed, 21 Oct 2026 07:28:07 GMT"));
    let rig = Rig::with([answer], |builder| builder.clock(Arc::new(ManualClock::new())));
    rig.send_one().await;
    assert_eq!(rig.times(), [0, 7000]);
}

/// BD-3: without one that can be read the back-off is the default one.
#[tokio::test(start_paused = true)]
async fn retry_after_that_cannot_be_read() {
    for header in ["", "soon", "-5", "30 Seconds", "NaN", "Wed, 99 Oct 2026", "\u{9}"] {
        assert_eq!(after_429(header).await, [0, 100], "{header:?}");
    }
}

/// BD-3: nobody is made to wait for more than 60 s.
#[tokio::test(start_paused = true)]
async fn retry_after_is_capped() {
    for header in ["61", "86400", "99999999999999999999", "1e300", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        assert_eq!(after_429(header).await, [0, 60_000], "{header}");
    }
}

/// BD-1, BD-3: what the server asks for counts as an attempt like any other.
#[tokio::test(start_paused = true)]
async fn retry_after_gives_no_attempts() {
    let answer = status(429).header(RETRY_AFTER, HeaderValue::from_static("2"));
    assert_eq!(always(answer).await, (vec![0, 2000, 4000], vec![("rate limited", 1)]));
}

/// BD-10: each number can be changed.
#[tokio::test(start_paused = true)]
async fn every_number_can_be_changed() {
    use envoi::batch::{BreakerConfig, BreakerState, Schedule};

    let rig = Rig::with(vec![Answer::never(), status(500), status(500), status(500)], |builder| {
        builder
            .schedule(Schedule::brief().jitter(0.0).base(7 * MILLI).factor(2))
            .attempts(4)
            .attempt_timeout(SECOND)
            .breaker(BreakerConfig::new().failures(1).cooldown(3 * SECOND))
            .batch_events(2)
            .flush_interval(2 * SECOND)
            .queue_events(3)
    });
    rig.log(0, 1);
    tokio::time::sleep(2 * SECOND + MILLI).await;
    assert_eq!(rig.times(), [2000]);
    rig.log(1, 5);
    assert!(rig.logger.flush(PATIENCE).await.is_complete);
    assert_eq!(rig.times(), [2000, 3007, 3021, 3049]);
    assert_eq!(rig.told(), [("overflow", 2), ("other", 1), ("breaker open", 2), ("breaker open", 1)]);
    assert!(matches!(rig.logger.stats().breaker, BreakerState::Open { .. }));
    tokio::time::sleep(3 * SECOND).await;
    rig.send_one().await;
    assert_eq!(rig.account().delivered, 1);

    let answer = status(429).header(RETRY_AFTER, HeaderValue::from_static("600"));
    let rig = Rig::with([answer], |builder| builder.longest_server_wait(100 * SECOND));
    rig.send_one().await;
    assert_eq!(rig.times(), [0, 100_000]);
}
