//! The tables of the guarantees, and what only the whole stack can show.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use envoi_core::{Advice, Kind};
use envoi_layers::breaker::BreakerState;
use envoi_layers::outbox::{Capacity, MemoryStore, Outbox};
use envoi_testkit::Goods;
use envoi_testkit::mock::Outcome;

use crate::rig::*;

/// Status and `Retry-After` of each answer, when each request was made, in milliseconds, and what the handler heard.
type Row<'a> = (&'a [(u16, Option<u64>)], &'a [u128], &'a [&'a str]);

/// BD-1, BD-2, BD-3, BD-7: what becomes of one batch, request by request, by the tables of the guarantees.
#[tokio::test(start_paused = true)]
async fn table_of_the_guarantees() {
    let table: &[Row<'_>] = &[
        (&[(200, None)], &[0], &[]),
        (&[(500, None), (200, None)], &[0, 100], &[]),
        (&[(503, None), (408, None), (200, None)], &[0, 100, 500], &[]),
        (&[(500, None), (500, None), (500, None)], &[0, 100, 500], &["other"]),
        (&[(408, None), (408, None), (408, None)], &[0, 100, 500], &["other"]),
        (&[(429, Some(30)), (200, None)], &[0, 30_000], &[]),
        (&[(429, Some(600)), (200, None)], &[0, 60_000], &[]),
        (&[(429, None), (429, None), (429, None)], &[0, 100, 500], &["rate limited"]),
        (&[(400, None)], &[0], &["status"]),
        (&[(500, None), (404, None)], &[0, 100], &["status"]),
        (&[(401, None)], &[0], &["auth"]),
        (&[(503, None), (403, None)], &[0, 100], &["auth"]),
    ];
    for (steps, times, heard) in table {
        let rig = Rig::new();
        rig.send(steps.iter().map(|(code, after)| match code {
            200 => Outcome::delivered(),
            408 | 429 | 500.. => status(
                *code,
                after.map_or(Advice::Retry, |seconds| Advice::RetryAfter(Duration::from_secs(seconds))),
            ),
            _ => status(*code, Advice::Drop),
        }))
        .await;
        let seen: Vec<_> = rig.below.seen().iter().map(|seen| (seen.at - rig.start).as_millis()).collect();
        assert_eq!((&seen[..], rig.heard()), (*times, heard.iter().map(|name| (*name).to_owned()).collect()));
        assert_eq!(rig.account().held(), Some(0));
    }
}

/// BD-4, BD-7: five exhausted batches, fifteen requests, open the circuit; batches during the cooldown are given up at once
/// and reported; after it one batch is the probe, with all its attempts.
#[tokio::test(start_paused = true)]
async fn an_outage_is_not_amplified() {
    let rig = Rig::new();
    for _ in 0..5 {
        rig.send(vec![status(503, Advice::Retry); 3]).await;
    }
    assert_eq!(rig.heard(), ["other"; 5]);
    for id in 100..150 {
        rig.post(id).unwrap();
    }
    assert!(rig.outbox.flush(SECOND).await.is_complete());
    assert_eq!(rig.heard(), ["breaker open"; 50]);
    assert_eq!(rig.below.seen().len(), 15);

    tokio::time::sleep(30 * SECOND).await;
    rig.send(vec![status(503, Advice::Retry); 3]).await;
    assert_eq!(rig.heard(), ["other"]);
    assert!(matches!(rig.breaker.state(), BreakerState::Open { .. }));
    tokio::time::sleep(30 * SECOND).await;
    rig.send([status(503, Advice::Retry), Outcome::delivered()]).await;
    assert_eq!(rig.breaker.state(), BreakerState::Closed { failures: 0 });
    assert!(rig.heard().is_empty());
    let account = rig.account();
    assert_eq!((account.posted, account.delivered, account.held()), (57, 1, Some(0)));
}

/// BD-4: refused payloads and credentials do not open the circuit, however many.
#[tokio::test(start_paused = true)]
async fn refusals_do_not_open_the_circuit() {
    let rig = Rig::new();
    for _ in 0..20 {
        rig.send([status(400, Advice::Drop)]).await;
    }
    rig.send([status(401, Advice::Drop)]).await;
    assert_eq!(rig.breaker.state(), BreakerState::Closed { failures: 0 });
    assert_eq!(rig.heard().len(), 21);
}

/// BD-5, BD-7: of many batches in flight with a bad key, some queued and one waiting for its next attempt, the handler hears
/// of one refusal, and after the first nothing is sent: neither what is queued nor the next attempt.
#[tokio::test(start_paused = true)]
async fn bad_credentials_are_reported_once() {
    let rig = Rig::new();
    rig.below.script([status(503, Advice::RetryAfter(10 * SECOND))]);
    rig.below.otherwise(status(401, Advice::Drop).after(SECOND));
    for id in 0..100 {
        rig.post(id).unwrap();
    }
    assert!(rig.outbox.flush(60 * SECOND).await.is_complete());
    assert_eq!(rig.heard(), ["auth"]);
    assert!(rig.latch.is_tripped());
    assert_eq!(rig.below.seen().len(), 8, "those that were in flight");
    assert_eq!(rig.post(100).unwrap_err().kind(), Kind::Disabled);
    let account = rig.account();
    assert_eq!((account.posted, account.refused_total(), account.lost_total()), (101, 7, 94));
    assert!(rig.heard().is_empty());

    rig.latch.reset();
    rig.below.otherwise(Outcome::delivered());
    rig.send([]).await;
    assert_eq!(rig.account().delivered, 1);
}

/// BD-7, BD-9: at the deadline of a close everything that is left is reported once: what waits for its next attempt, what
/// hangs, and what is still queued.
#[tokio::test(start_paused = true)]
async fn a_close_reports_what_is_left() {
    let rig = Rig::new();
    rig.below.script([
        status(503, Advice::RetryAfter(50 * SECOND)),
        Outcome::never(),
        Outcome::delivered().after(SECOND),
        Outcome::never(),
        Outcome::failure(Kind::Connect).after(SECOND),
    ]);
    rig.below.otherwise(Outcome::never());
    for id in 0..20 {
        rig.post(id).unwrap();
    }
    let closed = rig.outbox.close(10 * SECOND).await;
    assert!(!closed.is_complete);
    let account = rig.account();
    assert_eq!((account.posted, account.delivered, account.held()), (20, 1, Some(0)));
    let heard = rig.heard();
    assert_eq!(heard.len(), 19, "{heard:?}");
    assert_eq!(heard.iter().filter(|name| *name == "overflow").count(), 11, "what never left the queue");
    assert_eq!(account.lost_total(), 19);
}

/// BD-7, BD-8: a handler that posts again into a queue that is full does no harm: it is called once for what is lost
/// without its doing, and all is booked.
#[tokio::test(start_paused = true)]
async fn a_handler_that_posts_again_does_no_harm() {
    let own = Arc::new(OnceLock::<Outbox<Goods>>::new());
    let store = MemoryStore::new().capacity(Capacity::new(5, 1 << 20));
    let rig = Rig::with(store, {
        let own = Arc::clone(&own);
        move |error| own.get().map(|outbox| outbox.post(Goods::new("event").with_id(error.to_string())))
    });
    own.set(rig.outbox.clone()).unwrap();
    rig.below.otherwise(status(400, Advice::Drop).after(SECOND));
    for id in 0..25 {
        rig.post(id).unwrap();
    }
    assert_eq!(rig.heard(), ["overflow"; 20]);
    // Each that is refused posts another one, for ever: so the receiver gets well.
    tokio::time::sleep(3 * SECOND).await;
    rig.below.otherwise(Outcome::delivered());
    assert!(rig.outbox.flush(60 * SECOND).await.is_complete());
    assert_eq!(rig.account().held(), Some(0));
    assert!(rig.heard().iter().all(|name| name == "status"));
}

/// BD-7: a panic of a layer is reported like any other loss, and nothing else is affected.
#[tokio::test(start_paused = true)]
async fn a_panic_is_reported() {
    let rig = Rig::new();
    rig.send([Outcome::panic()]).await;
    rig.send([Outcome::delivered()]).await;
    assert_eq!(rig.heard(), ["other"]);
    let account = rig.account();
    assert_eq!((account.posted, account.delivered, account.lost_total()), (2, 1, 1));
}
