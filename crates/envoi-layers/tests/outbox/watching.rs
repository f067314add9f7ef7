//! What can be seen from outside: statistics and the stream of outcomes.

use envoi_core::{DiscardReason, Explanation, Fate, Fault, Kind, Lane, Loss, Reply};
use envoi_layers::outbox::{Capacity, End, MemoryStore, Notice, Outbox};
use envoi_testkit::mock::Outcome;
use http::StatusCode;

use crate::support::*;

fn is_shareable<T: Send + Sync + Clone + 'static>() {}

/// TR-1: the handle can go anywhere.
#[test]
fn handles_are_shareable() {
    is_shareable::<Outbox<envoi_testkit::Goods>>();
}

/// TR-7: statistics tell depth, waits, attempts, and the last refusal in the server's words.
#[tokio::test(start_paused = true)]
async fn statistics_tell_what_is_going_on() {
    let rig = Rig::new(Config::new().concurrency(1));
    rig.mock.script([
        Outcome::failure(Kind::Connect),
        Outcome::fault(|| {
            Fault::new(Kind::Rejected).with_reply(Reply::new(StatusCode::BAD_REQUEST)).with_explanation(
                Explanation { error: Some("bad envelope".into()), ..Explanation::default() },
            )
        })
        .after(SECOND),
    ]);
    rig.post_all([error("a"), log("b")]);
    settle().await;
    let stats = rig.outbox.stats();
    assert_eq!((stats.queued(), stats.waiting(), stats.in_flight, stats.attempts), (1, 1, 1, 2));
    let critical = stats.lanes[Lane::Critical.index()];
    assert_eq!((critical.parcels, critical.oldest), (1, Some(now())));
    assert_eq!(stats.last_failure.unwrap().kind, Kind::Connect);
    tokio::time::sleep(SECOND).await;
    settle().await;
    let failure = rig.outbox.stats().last_failure.unwrap();
    assert_eq!((failure.status, failure.at), (Some(StatusCode::BAD_REQUEST), now()));
    assert_eq!(failure.message, "the server refused the payload (400 Bad Request): bad envelope");
    rig.flush().await;
    let stats = rig.outbox.stats();
    assert_eq!((stats.discharged, stats.given_up, stats.is_closed), (1, 1, false));
    rig.assert_settled();
}

/// TR-6: whoever listens hears the outcome of every parcel, by id, with status and attempts.
#[tokio::test(start_paused = true)]
async fn outcomes_are_told_by_id() {
    let store = MemoryStore::new().lane_capacity(Lane::Low, Capacity::new(1, 1000));
    let rig = Rig::with_store(store, Config::new().concurrency(1));
    let mut outcomes = rig.outbox.outcomes();
    rig.mock.script([
        Outcome::failure(Kind::Connect),
        Outcome::replied(Reply::new(StatusCode::OK)),
        Outcome::fault(|| Fault::new(Kind::Rejected).with_reply(Reply::new(StatusCode::PAYLOAD_TOO_LARGE))),
        Outcome::panic(),
        Outcome::receipt(Fate::Stored),
    ]);
    rig.post_all([
        error("retried"),
        error("refused"),
        error("panicked"),
        error("stored"),
        log("evicted"),
        log("last"),
    ]);
    tokio::time::sleep(60 * SECOND).await;
    let mut told = Vec::new();
    while let Some(notice) = outcomes.try_next() {
        let Notice::Outcome(outcome) = notice else { panic!("nothing was missed") };
        told.push((outcome.id.unwrap_or_default(), outcome.end, outcome.status, outcome.attempts));
    }
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("", End::Evicted, None, 0),
        ("last", End::Discharged(Fate::Delivered), None, 1),
        ("panicked", End::GivenUp(Loss::Lost(DiscardReason::InternalSdkError)), None, 1),
        ("refused", End::Discharged(Fate::Delivered), Some(StatusCode::OK), 1),
        (
            "retried",
            End::GivenUp(Loss::Refused(StatusCode::PAYLOAD_TOO_LARGE)),
            Some(StatusCode::PAYLOAD_TOO_LARGE),
            2,
        ),
        ("stored", End::Discharged(Fate::Stored), None, 1),
    ];
    assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(
            (told.0.as_str(), &told.1, told.2, told.3),
            (expected.0, &expected.1, expected.2, expected.3)
        );
    }
    // `stored` is another queue's: here it stays in the books.
    assert_eq!(rig.outbox.ledger().snapshot().get(&"critical".into()).unwrap().held(), Some(1));
}

/// TR-6: refusals at the door are told as well.
#[tokio::test(start_paused = true)]
async fn refusals_at_the_door_are_told() {
    let rig = Rig::new(Config::new());
    let mut outcomes = rig.outbox.outcomes();
    rig.outbox.close(SECOND).await;
    rig.outbox.post(error("late")).unwrap_err();
    let Some(Notice::Outcome(outcome)) = outcomes.next().await else { panic!("not told") };
    assert_eq!(outcome.id.as_deref(), Some("late"));
    assert_eq!(outcome.end, End::GivenUp(Loss::Lost(DiscardReason::QueueOverflow)));
    drop(rig);
    settle().await;
    assert_eq!(outcomes.next().await, None, "nobody is left to tell");
}

/// A slow listener loses the oldest and is told how many; the deliveries do not wait for it.
#[tokio::test(start_paused = true)]
async fn a_slow_listener_is_told_what_it_missed() {
    let rig = Rig::new(Config::new());
    rig.mock.otherwise(Outcome::delivered());
    let mut outcomes = rig.outbox.outcomes();
    for batch in 0..3 {
        rig.post_all((0..500).map(|number| error(format!("{}", batch * 500 + number))));
        rig.flush().await;
    }
    assert_eq!(outcomes.next().await, Some(Notice::Missed(1500 - 1024)));
    let Some(Notice::Outcome(first)) = outcomes.next().await else { panic!("not told") };
    assert_eq!(first.id.as_deref(), Some("476"));
    rig.assert_settled();
}
