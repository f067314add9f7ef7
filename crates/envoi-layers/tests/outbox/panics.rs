//! Layers that misbehave: panics, parcels that are swallowed, lost or kept.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use envoi_core::{DiscardReason, Failure, Fate, Fault, Kind, Parcel, Payload, Receipt};
use envoi_testkit::Goods;
use envoi_testkit::mock::Outcome;
use tower::{Service, service_fn};

use crate::support::*;

/// Panics where it is told to, once for each parcel named so.
struct Clumsy {
    readiness: Vec<&'static str>,
}

impl Service<Parcel<Goods>> for Clumsy {
    type Response = Receipt;
    type Error = Failure<Goods>;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Receipt, Failure<Goods>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure<Goods>>> {
        match self.readiness.pop() {
            Some("panic") => panic!("in poll_ready"),
            Some(_) => Poll::Ready(Err(Failure::without_parcel(Fault::new(Kind::Disabled)))),
            None => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, parcel: Parcel<Goods>) -> Self::Future {
        let id = parcel.payload().id().unwrap_or_default().into_owned();
        assert!(id != "call", "in call");
        Box::pin(async move {
            let parcel = Arc::new(Mutex::new(parcel));
            if id == "future" {
                let _held = parcel.lock();
                panic!("in the future");
            }
            Ok(Receipt::delivered())
        })
    }
}

/// CR-3: a panic in `call`, in the future or in `poll_ready` costs the parcel at hand, and nothing else.
#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_parcel() {
    let rig = Rig::above(Clumsy { readiness: vec!["panic"] }, Config::new().concurrency(2));
    rig.post_all(["ready", "a", "call", "b", "future", "c"].map(error));
    rig.flush().await;
    assert_eq!(rig.delivered("critical"), 3);
    assert_eq!(rig.lost("critical", DiscardReason::InternalSdkError), 3);
    let failure = rig.outbox.stats().last_failure.unwrap();
    assert_eq!(failure.message, "delivery failed: a layer panicked: in the future");
    rig.assert_settled();
    rig.post_all([error("d")]);
    rig.flush().await;
    assert_eq!(rig.delivered("critical"), 4, "it goes on");
}

/// TR-2: a service whose readiness fails, fails parcel by parcel; no flush hangs.
#[tokio::test(start_paused = true)]
async fn a_readiness_error_fails_a_parcel() {
    let rig = Rig::above(Clumsy { readiness: vec!["error"; 2] }, Config::new());
    rig.post_all(["a", "b", "c"].map(error));
    rig.flush().await;
    assert_eq!(rig.delivered("critical"), 1);
    assert_eq!(rig.lost("critical", DiscardReason::SendError), 2, "as the fault says");
    rig.assert_settled();
}

/// CR-1: what a panicking layer had dropped before is not counted twice.
#[tokio::test(start_paused = true)]
async fn a_panic_after_a_partial_drop_counts_once() {
    let config = Config::new();
    let rig = Rig::new(config);
    let ledger = rig.outbox.ledger().clone();
    let mock = rig.mock.clone().on_parcel(move |parcel| {
        let drop_attachment = &mut |category: &std::borrow::Cow<'static, str>, quantity| {
            envoi_core::LossSink::lost(&ledger, DiscardReason::RatelimitBackoff, category, quantity);
        };
        envoi_core::Itemized::shed(
            parcel.payload_mut(),
            &mut |category| category == "attachment",
            drop_attachment,
        );
    });
    let inner = Rig::above(mock.clone(), Config::new().ledger(rig.outbox.ledger().clone()));
    mock.script([Outcome::panic().after(MILLI), Outcome::delivered().after(MILLI)]);
    inner.post_all([error("a").and("attachment", 5), error("b").and("attachment", 6)]);
    inner.flush().await;
    assert_eq!(inner.lost("attachment", DiscardReason::RatelimitBackoff), 11);
    assert_eq!(inner.lost("attachment", DiscardReason::InternalSdkError), 0);
    assert_eq!(inner.lost("critical", DiscardReason::InternalSdkError), 1);
    assert_eq!(inner.delivered("critical"), 1);
    inner.assert_settled();
}

/// CR-1: a layer that swallows a parcel and says `Spent` is found out.
#[tokio::test(start_paused = true)]
async fn a_swallowed_parcel_is_counted() {
    let rig = Rig::new(Config::new());
    rig.mock.script([Outcome::receipt(Fate::Spent)]);
    rig.post_all([error("a").and("attachment", 3)]);
    rig.flush().await;
    assert_eq!(rig.lost("attachment", DiscardReason::InternalSdkError), 3);
    rig.assert_settled();
}

/// CR-3: a failure that lost its parcel is written down as its fault says; it is not tried again.
#[tokio::test(start_paused = true)]
async fn a_lost_parcel_is_written_down_by_its_fault() {
    let rig = Rig::new(Config::new());
    rig.mock.script([
        Outcome::failure(Kind::Timeout).losing_the_parcel(),
        Outcome::failure(Kind::Other).losing_the_parcel(),
    ]);
    rig.post_all(["a", "b"].map(error));
    rig.flush().await;
    assert_eq!(rig.lost("critical", DiscardReason::NetworkError), 1);
    assert_eq!(rig.lost("critical", DiscardReason::InternalSdkError), 1);
    rig.assert_settled();
}

/// CR-1: a parcel that a layer keeps beyond the outcome is held until it is dropped, and then entered by the outcome.
#[tokio::test(start_paused = true)]
async fn a_parcel_that_outlives_its_outcome_is_held_until_it_is_dropped() {
    let shelf = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&shelf);
    let rig = Rig::above(
        service_fn(move |parcel: Parcel<Goods>| {
            let good = parcel.payload().id().is_some_and(|id| id == "good");
            kept.lock().unwrap().push(parcel);
            async move {
                if good {
                    Ok(Receipt::delivered())
                } else {
                    Err(Failure::<Goods>::without_parcel(Fault::new(Kind::Io)))
                }
            }
        }),
        Config::new(),
    );
    rig.post_all(["good", "bad"].map(error));
    rig.flush().await;
    rig.assert_books();
    assert_eq!(rig.outbox.ledger().snapshot().get(&"critical".into()).unwrap().held(), Some(2));
    shelf.lock().unwrap().clear();
    assert_eq!(rig.delivered("critical"), 1);
    assert_eq!(rig.lost("critical", DiscardReason::NetworkError), 1);
    rig.assert_settled();
}

/// CR-1: a layer that unpacks a parcel and hands back another with the same goods changes nothing in the books.
#[tokio::test(start_paused = true)]
async fn a_repacked_parcel_is_the_same_goods() {
    let first = Arc::new(Mutex::new(true));
    let rig = Rig::above(
        service_fn(move |parcel: Parcel<Goods>| {
            let repacked = Parcel::new(parcel.into_payload());
            let fails = std::mem::take(&mut *first.lock().unwrap());
            async move {
                if fails {
                    Err(Failure::new(Fault::new(Kind::Connect), repacked))
                } else {
                    Ok(Receipt::delivered())
                }
            }
        }),
        Config::new(),
    );
    rig.post_all([error("a").and("attachment", 3)]);
    settle().await;
    rig.assert_books();
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!((rig.delivered("critical"), rig.delivered("attachment")), (1, 3));
    rig.assert_settled();
}
