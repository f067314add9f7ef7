//! Tickets in a real queue, over a receiver that does as it is told.

use std::time::Duration;

use envoi::core::{Failure, Fault, Kind, LedgerSnapshot, Parcel, Receipt, Reply};
use envoi::layers::outbox::{Backoff, MemoryStore, Outbox, OutboxConfig, outbox};
use envoi::{DataCategory, DiscardReason, Envelope, Item};
use envoi_testkit::Drops;
use envoi_testkit::contract::Contract;
use envoi_testkit::mock::{MockDeliver, Outcome};
use http::StatusCode;
use tower::Layer;

use super::ticket::Progress;
use super::{Stage, Ticket, TrackLayer};
use crate::outcome::Verdict;

const PATIENCE: Duration = Duration::from_secs(20);

fn envelope() -> Envelope {
    let envelope = Envelope::new().with_item(Item::event("{}")).unwrap();
    envelope.with_item(Item::attachment("a", "b")).unwrap()
}

fn queue(mock: MockDeliver<Envelope>) -> Outbox<Envelope> {
    let soon = Duration::from_millis(1);
    let config = OutboxConfig::new().concurrency(1).backoff(Backoff::new(soon, soon)).max_attempts(3);
    let (outbox, driver) = outbox(MemoryStore::new(), config, TrackLayer.layer(mock));
    tokio::spawn(driver);
    outbox
}

/// Sends one envelope to a receiver that follows this script.
async fn send(mock: MockDeliver<Envelope>) -> (Progress, LedgerSnapshot<DataCategory>) {
    let outbox = queue(mock);
    let (parcel, _, ended) = Ticket::issue(envelope());
    outbox.post(parcel).unwrap();
    let progress = ended.await.unwrap();
    assert!(outbox.flush(PATIENCE).await.is_complete());
    (progress, outbox.ledger().snapshot())
}

fn scripted(outcomes: impl IntoIterator<Item = Outcome>) -> MockDeliver<Envelope> {
    let mock = MockDeliver::answering(Outcome::never());
    mock.script(outcomes);
    mock
}

#[tokio::test]
async fn the_layer_keeps_the_contract() {
    let drops = Drops::new();
    let tracked = drops.clone();
    let parcel = move || {
        let (mut parcel, _, _) = Ticket::issue(envelope());
        parcel.meta_mut().extensions.insert(tracked.token());
        parcel
    };
    let answer = |_: Parcel<Envelope>| Ok::<_, Failure<Envelope>>(Receipt::delivered());
    let down = || Failure::without_parcel(Fault::new(Kind::Connect));
    Contract::new(TrackLayer, parcel, answer, down).tracked_by(&drops).run().await.unwrap();
}

/// OC-4: an attempt that failed and is made again is not the end.
#[tokio::test]
async fn the_end_is_told_when_there_is_no_more_attempt() {
    let ok = Outcome::replied(Reply::new(StatusCode::OK));
    let (progress, ledger) = send(scripted([Outcome::failure(Kind::Connect), ok])).await;
    let verdict = Verdict::Delivered { status: Some(StatusCode::OK), id: None };
    assert_eq!(
        progress,
        Progress { stage: Stage::Answered(verdict), attempts: 2, left: Some(2), ..Progress::default() }
    );
    assert_eq!(ledger.get(&DataCategory::Error).unwrap().delivered, 1, "the queue was told what was left");

    let (progress, ledger) = send(MockDeliver::answering(Outcome::failure(Kind::Connect))).await;
    assert_eq!(progress.attempts, 3);
    assert!(matches!(progress.stage, Stage::Answered(Verdict::Failed { .. })), "{progress:?}");
    assert_eq!(ledger.get(&DataCategory::Error).unwrap().lost[&DiscardReason::NetworkError], 1);
}

/// RL-8, decision 14: items that were taken out on the way are seen to be missing; reports that ride along are no items.
#[tokio::test]
async fn what_is_left_is_counted() {
    for outcome in [
        Outcome::delivered(),
        Outcome::fault(|| Fault::new(Kind::Rejected)),
        Outcome::fault(|| Fault::new(Kind::Rejected)).losing_the_parcel(),
    ] {
        let mock = scripted([outcome]).on_parcel(|parcel: &mut Parcel<Envelope>| {
            parcel.payload_mut().retain(|item| item.item_type().as_str() == "event");
            parcel.payload_mut().push(Item::client_report("{}").into_rider()).unwrap();
        });
        let (progress, _) = send(mock).await;
        assert_eq!(progress.left, Some(1));
    }
}

/// A panic of a layer costs one parcel, its end is told, and it is in the books.
#[tokio::test]
async fn a_panic_leaves_an_attempt_without_an_answer() {
    let (progress, ledger) = send(scripted([Outcome::panic()])).await;
    assert_eq!(
        progress,
        Progress { stage: Stage::Underway, attempts: 1, left: Some(2), ..Progress::default() }
    );
    assert_eq!(ledger.get(&DataCategory::Error).unwrap().lost[&DiscardReason::InternalSdkError], 1);
}

/// TR-2: a shutdown tells the end of those that were on their way and of those that never left.
#[tokio::test]
async fn a_shutdown_ends_every_ticket() {
    let outbox = queue(scripted([]));
    let (first, _, first_ended) = Ticket::issue(envelope());
    let (second, _, second_ended) = Ticket::issue(envelope());
    outbox.post(first).unwrap();
    outbox.post(second).unwrap();
    while outbox.stats().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    outbox.close(Duration::ZERO).await;
    assert_eq!(first_ended.await.unwrap().stage, Stage::Underway);
    assert_eq!(second_ended.await.unwrap(), Progress::default());
    let late = Ticket::issue(envelope());
    assert_eq!(outbox.post(late.0).unwrap_err().kind(), Kind::Closed);
    assert_eq!(late.2.await.unwrap(), Progress::default());
    assert!(outbox.ledger().snapshot().is_settled());
}
