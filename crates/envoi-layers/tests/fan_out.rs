//! Copies to further sinks, through the public API: nobody blocks or fails another, and every book balances.
#![cfg(feature = "fan_out")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::borrow::Cow;
use std::time::Duration;

use envoi_core::{Advice, DiscardReason, Fate, Kind, Ledger, LossSink, Parcel};
use envoi_layers::fan_out::FanOutLayer;
use envoi_layers::outbox::{Backoff, Capacity, MemoryStore, Outbox, OutboxConfig, OutboxLayer};
use envoi_testkit::contract::Contract;
use envoi_testkit::mock::{MockDeliver, Outcome};
use envoi_testkit::{Goods, GoodsCategory};
use tower::{Layer, ServiceBuilder, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);

/// A sink that answers so, behind an outbox of its own.
fn sink(outcome: Outcome) -> (MockDeliver<Goods>, Outbox<Goods>) {
    let below = MockDeliver::answering(outcome);
    let outbox = OutboxLayer::new(OutboxConfig::new()).layer(below.clone());
    (below, outbox)
}

fn event(number: usize) -> Goods {
    Goods::new("event").with_id(number.to_string())
}

fn ids(below: &MockDeliver<Goods>) -> Vec<String> {
    below.seen().into_iter().filter_map(|seen| seen.id).collect()
}

fn account(ledger: &Ledger<GoodsCategory>) -> (u64, u64, u64) {
    let snapshot = ledger.snapshot();
    assert!(snapshot.balances(), "{snapshot:#?}");
    let account = snapshot.get(&Cow::Borrowed("event")).cloned().unwrap_or_default();
    (account.posted, account.delivered, account.lost_total())
}

/// BD-7, BD-10: a sink that fails, hangs or panics changes nothing for the primary and for the other sinks, and the books
/// of each tell its own story.
#[tokio::test(start_paused = true)]
async fn no_sink_blocks_or_fails_another() {
    let (primary, good) = (MockDeliver::new(), sink(Outcome::delivered()));
    let (bad, panicking) = (sink(Outcome::failure(Kind::Rejected)), sink(Outcome::panic()));
    let slow = sink(Outcome::never());
    let all = [&bad, &panicking, &slow, &good].map(|(_, outbox)| outbox.clone());
    let stack = ServiceBuilder::new().layer(FanOutLayer::new(all)).service(primary.clone());
    let outbox = OutboxLayer::new(OutboxConfig::new()).layer(stack);
    for number in 0..20 {
        outbox.post(event(number)).unwrap();
    }
    assert!(outbox.flush(SECOND).await.is_complete());
    for (_, outbox) in [&good, &bad, &panicking] {
        assert!(outbox.flush(SECOND).await.is_complete());
    }
    let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!((ids(&primary), ids(&good.0)), (expected.clone(), expected));
    assert_eq!(account(outbox.ledger()), (20, 20, 0));
    assert_eq!(account(good.1.ledger()), (20, 20, 0));
    assert_eq!(account(bad.1.ledger()), (20, 0, 20));
    assert_eq!(account(panicking.1.ledger()), (20, 0, 20));
    assert_eq!(account(slow.1.ledger()), (20, 0, 0));
    slow.1.close(SECOND).await;
    assert_eq!(account(slow.1.ledger()), (20, 0, 20));
}

/// BD-10: the answer is the primary's, and a primary that fails does not fail the sinks.
#[tokio::test(start_paused = true)]
async fn the_answer_is_that_of_the_primary() {
    let (below, outbox) = sink(Outcome::delivered());
    let primary = MockDeliver::new();
    primary.script([Outcome::failure(Kind::Connect), Outcome::receipt(Fate::Stored)]);
    let stack = FanOutLayer::new([outbox.clone()]).layer(primary);
    let failure = stack.clone().oneshot(Parcel::new(event(1))).await.unwrap_err();
    assert_eq!((failure.fault().kind(), failure.fault().advice()), (Kind::Connect, Advice::Retry));
    assert_eq!(stack.oneshot(Parcel::new(event(2))).await.unwrap().fate(), Fate::Stored);
    assert!(outbox.flush(SECOND).await.is_complete());
    assert_eq!(ids(&below), ["1", "2"]);
}

/// BD-10: however often the primary tries, each parcel is copied once; a second layer in the stack copies to its own sinks.
#[tokio::test(start_paused = true)]
async fn a_parcel_is_copied_once() {
    let (first, second) = (sink(Outcome::delivered()), sink(Outcome::delivered()));
    let primary = MockDeliver::new();
    primary.script(vec![Outcome::failure(Kind::Connect); 7]);
    let stack = ServiceBuilder::new()
        .layer(FanOutLayer::new([first.1.clone()]))
        .layer(FanOutLayer::new([second.1.clone()]))
        .layer(FanOutLayer::new([]))
        .service(primary.clone());
    let config = OutboxConfig::new().backoff(Backoff::new(SECOND, SECOND));
    let outbox = OutboxLayer::new(config).layer(stack);
    outbox.post(event(1)).unwrap();
    outbox.post(event(2)).unwrap();
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(primary.seen().len(), 9);
    for (below, outbox) in [first, second] {
        assert_eq!(ids(&below), ["1", "2"]);
        assert_eq!(account(outbox.ledger()), (2, 2, 0));
    }
    assert_eq!(account(outbox.ledger()), (2, 2, 0));
}

/// BD-10: what a layer below the primary takes out of a parcel is still in the copy, which is a fresh parcel.
#[tokio::test(start_paused = true)]
async fn the_copy_is_what_came() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let below = MockDeliver::new().on_parcel({
        let seen = std::sync::Arc::clone(&seen);
        move |parcel: &mut Parcel<Goods>| {
            assert!(parcel.meta().extensions.get::<&str>().is_none());
            seen.lock().unwrap().push(parcel.payload().clone());
        }
    });
    let outbox = OutboxLayer::new(OutboxConfig::new()).layer(below);
    let primary = MockDeliver::new().on_parcel(|parcel: &mut Parcel<Goods>| {
        assert_eq!(parcel.meta().extensions.get(), Some(&"mine"));
        *parcel.payload_mut() = Goods::nothing();
    });
    let mut parcel = Parcel::new(event(1).and("more", 2));
    parcel.meta_mut().extensions.insert("mine");
    assert!(FanOutLayer::new([outbox.clone()]).layer(primary).oneshot(parcel).await.is_ok());
    outbox.flush(SECOND).await;
    assert_eq!(*seen.lock().unwrap(), [event(1).and("more", 2)]);
}

/// Books that panic.
struct Panicking;

impl LossSink<GoodsCategory> for Panicking {
    #[expect(clippy::panic, reason = "that is what it is for")]
    fn lost(&self, _: DiscardReason, _: &GoodsCategory, _: u64) {
        panic!("the books of a sink panic");
    }
}

/// BD-10: a sink that is full, closed, or panics while a copy is posted harms nobody; its own books know.
#[tokio::test(start_paused = true)]
async fn a_refused_copy_is_the_sinks_own_loss() {
    let (below, closed) = sink(Outcome::delivered());
    closed.close(SECOND).await;
    let store = || MemoryStore::new().capacity(Capacity::new(1, 1));
    let full = OutboxLayer::new(OutboxConfig::new()).store(store()).layer(below.clone());
    let hostile = OutboxLayer::new(OutboxConfig::new().losses(Panicking)).store(store()).layer(below.clone());
    let primary = MockDeliver::new();
    let layer = FanOutLayer::new([hostile, closed.clone(), full.clone()]);
    assert!(layer.layer(primary.clone()).oneshot(Parcel::new(event(1))).await.is_ok());
    assert_eq!(account(closed.ledger()), (1, 0, 1));
    assert_eq!(account(full.ledger()), (1, 0, 1));
    assert_eq!((primary.seen().len(), below.seen().len()), (1, 0));
}

/// BD-10: with one ledger for all, a copy is a posting of its own, and the books balance.
#[tokio::test(start_paused = true)]
async fn a_shared_ledger_counts_each_copy() {
    let ledger = Ledger::new();
    let config = || OutboxConfig::<Goods>::new().ledger(ledger.clone());
    let below = MockDeliver::answering(Outcome::failure(Kind::Rejected));
    let copies = OutboxLayer::new(config()).layer(below);
    let stack = FanOutLayer::new([copies.clone()]).layer(MockDeliver::new());
    let outbox = OutboxLayer::new(config()).layer(stack);
    outbox.post(event(1)).unwrap();
    assert!(outbox.flush(SECOND).await.is_complete() && copies.flush(SECOND).await.is_complete());
    assert_eq!(account(&ledger), (2, 1, 1));
}

/// BD-10: it keeps the contract of a tower layer: readied instance, readiness, wakers, drops, cancellation.
#[tokio::test(start_paused = true)]
async fn fan_out_passes_the_contract_suite() {
    let sinks = [sink(Outcome::delivered()).1, sink(Outcome::failure(Kind::Rejected)).1];
    Contract::delivery(FanOutLayer::new(sinks)).run().await.unwrap();
    Contract::delivery(FanOutLayer::new([])).run().await.unwrap();
}

/// CR-5: what the primary has lost is told to its own server, not to the sinks.
#[tokio::test(start_paused = true)]
async fn a_report_of_its_own_is_not_copied() {
    let (primary, (below, archive)) = (MockDeliver::new(), sink(Outcome::delivered()));
    let stack = ServiceBuilder::new().layer(FanOutLayer::new([archive.clone()])).service(primary.clone());
    let report = Goods::nothing().carrying(DiscardReason::SendError, "event", 2);
    let carrier = event(1).carrying(DiscardReason::SendError, "event", 2);
    for goods in [report, carrier] {
        assert!(stack.clone().oneshot(Parcel::new(goods)).await.is_ok());
    }
    assert!(archive.flush(SECOND).await.is_complete());
    assert_eq!((primary.seen().len(), ids(&below)), (2, vec!["1".to_owned()]));
}
