//! The transport under paused time, over a scripted exchange in the place of the network.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use envoi::core::{Failure, Segments};
use envoi::{DataCategory, DiscardReason, Envelope, Fate, Item, Transport};
use envoi_testkit::mock::{Answer, MockExchange};
use http::StatusCode;
use tokio::time::{Instant, advance};
use tower::layer::layer_fn;

/// A transport whose exchange is a mock: the swap that integrators make in their own tests.
fn transport(mock: &MockExchange) -> Transport {
    let mock = mock.clone();
    envoi::sentry("http://public@ingest.invalid/42")
        .unwrap()
        .http_layer(layer_fn(move |_network| mock.clone()))
        .build_on(&tokio::runtime::Handle::current())
        .unwrap()
}

fn event() -> Envelope {
    Envelope::new().with_item(Item::event("{}")).unwrap()
}

/// TP-4: a container leaves 5 s after its first item, and later items do not put that off.
#[tokio::test(start_paused = true)]
async fn a_container_leaves_five_seconds_after_its_first_item() {
    let mock = MockExchange::new();
    let transport = transport(&mock);
    let start = Instant::now();
    for _ in 0..4 {
        transport.send_log(r#"{"body":"tick"}"#).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(mock.seen().is_empty());
    mock.until_seen(1).await;
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    transport.flush(Duration::from_secs(1)).await;
    assert_eq!(transport.ledger().get(&DataCategory::LogItem).unwrap().delivered, 4);
}

/// CR-5: losses that find no carrier are reported on their own after 30 s.
#[tokio::test(start_paused = true)]
async fn losses_are_reported_on_their_own() {
    let mock = MockExchange::new();
    let transport = transport(&mock);
    let start = Instant::now();
    transport.record_lost(DiscardReason::SampleRate, &DataCategory::Transaction, 5);
    let seen = mock.until_seen(1).await;
    assert!(start.elapsed() <= Duration::from_secs(30), "{:?}", start.elapsed());
    let envelope = Envelope::parse(seen[0].request.body().clone()).unwrap();
    assert_eq!(envelope.items()[0].item_type().as_str(), "client_report");
    assert!(String::from_utf8_lossy(envelope.items()[0].payload()).contains("sample_rate"));
    transport.close(Duration::from_secs(1)).await;
    assert!(transport.ledger().is_settled());
}

/// TR-9: an attempt that hangs ends after its time; the envelope is tried again and delivered.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_ended_and_repeated() {
    let mock = MockExchange::new();
    mock.script([Answer::never()]);
    let transport = transport(&mock);
    let start = Instant::now();
    assert_eq!(transport.send(event()).unwrap(), Fate::Queued);
    mock.until_seen(2).await;
    let waited = start.elapsed();
    // 30 s for the attempt and a moment, then 5 s of back-off, give or take a fifth.
    assert!((Duration::from_secs(34)..=Duration::from_millis(36_100)).contains(&waited), "{waited:?}");
    transport.flush(Duration::from_secs(1)).await;
    assert_eq!(transport.ledger().get(&DataCategory::Error).unwrap().delivered, 1);
}

/// TR-9, decision 17: after the time for the whole delivery an envelope that fails is given up as `network_error`.
#[tokio::test(start_paused = true)]
async fn a_delivery_has_an_end() {
    let mock = MockExchange::answering(Answer::io_error(std::io::ErrorKind::ConnectionRefused));
    let network = mock.clone();
    let transport = envoi::sentry("http://public@ingest.invalid/42")
        .unwrap()
        .delivery_timeout(Duration::from_secs(60))
        .http_layer(layer_fn(move |_network| network.clone()))
        .build_on(&tokio::runtime::Handle::current())
        .unwrap();
    transport.send(event()).unwrap();
    for _ in 0..300 {
        advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    let ledger = transport.ledger();
    assert_eq!(ledger.get(&DataCategory::Error).unwrap().lost[&DiscardReason::NetworkError], 1);
    let is_event = |body: &bytes::Bytes| {
        Envelope::parse(body.clone()).unwrap().items()[0].item_type().as_str() == "event"
    };
    let attempts = mock.seen().iter().filter(|seen| is_event(seen.request.body())).count();
    assert!((4..=6).contains(&attempts), "5, 10, 20 and 40 s between attempts: {attempts}");
}

/// TR-8: a refusal by status is not repeated.
#[tokio::test(start_paused = true)]
async fn refusals_are_not_repeated() {
    let mock = MockExchange::answering(Answer::status(StatusCode::BAD_GATEWAY));
    let transport = transport(&mock);
    transport.send(event()).unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(mock.seen().len(), 1);
    assert_eq!(transport.ledger().get(&DataCategory::Error).unwrap().refused[&502], 1);
}

/// The types of the slots can be named, so a preset with layers of one's own can be kept in a struct.
#[test]
fn the_driver_is_nameable() {
    struct Kept {
        _transport: Transport,
        _driver: Option<envoi::TransportDriver<envoi::sentry::SentryDelivery<envoi::sentry::SentryExchange>>>,
    }
    let (transport, driver) = envoi::sentry("http://public@127.0.0.1:9/1").unwrap().build_driver().unwrap();
    let kept = Kept { _transport: transport, _driver: driver };
    drop(kept);
    fn accepts<P>(_: Option<Failure<P>>, _: Option<Segments>) {}
    accepts::<Envelope>(None, None);
}
