//! The mocks do what their script says and tell what they saw.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoi_core::{Advice, Fate, Fault, Itemized, Kind, Origin, Parcel, Reply, Segments};
use envoi_testkit::mock::{Answer, MockBody, MockDeliver, MockExchange, Outcome};
use envoi_testkit::{Drops, Goods};
use http::{HeaderValue, Request, Response, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, timeout};
use tower::{Service, ServiceExt};

const HOUR: Duration = Duration::from_secs(3600);

fn request() -> Request<Segments> {
    let mut request = Request::new(Segments::from("hello"));
    request.extensions_mut().insert(7_u8);
    request
}

async fn exchange(mock: &MockExchange) -> Result<Response<MockBody>, envoi_core::BoxError> {
    mock.clone().oneshot(request()).await
}

#[tokio::test(start_paused = true)]
async fn an_exchange_plays_its_script_in_order_then_the_default() {
    let mock = MockExchange::answering(StatusCode::IM_A_TEAPOT);
    mock.script([
        Answer::status(StatusCode::TOO_MANY_REQUESTS)
            .header(RETRY_AFTER, HeaderValue::from(60))
            .body("slow ")
            .body("down"),
        Answer::error(Kind::Tls),
        Answer::io_error(io::ErrorKind::ConnectionReset),
    ]);
    let limited = exchange(&mock).await.unwrap();
    assert_eq!(
        (limited.status(), limited.headers()[RETRY_AFTER].as_bytes()),
        (StatusCode::TOO_MANY_REQUESTS, &b"60"[..])
    );
    assert_eq!(limited.into_body().collect().await.unwrap().to_bytes(), "slow down");
    assert_eq!(Fault::from_error(exchange(&mock).await.unwrap_err()).kind(), Kind::Tls);
    assert_eq!(Fault::from_error(exchange(&mock).await.unwrap_err()).kind(), Kind::Reset);
    assert_eq!(mock.steps_left(), 0);
    assert_eq!(exchange(&mock).await.unwrap().status(), StatusCode::IM_A_TEAPOT);
    mock.otherwise(Answer::ok());
    assert_eq!(exchange(&mock).await.unwrap().status(), StatusCode::OK);
    let seen = mock.seen();
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[4].request.body(), "hello");
    assert_eq!(seen[4].request.extensions().get(), Some(&7_u8));
}

#[tokio::test(start_paused = true)]
async fn an_exchange_waits_hangs_and_panics_on_demand() {
    let mock = MockExchange::new();
    mock.script([Answer::ok().after(HOUR), Answer::never(), Answer::panic()]);
    let start = Instant::now();
    exchange(&mock).await.unwrap();
    assert_eq!(start.elapsed(), HOUR);
    assert!(timeout(HOUR, exchange(&mock)).await.is_err());
    let mock = mock.clone();
    assert!(tokio::spawn(async move { exchange(&mock).await }).await.unwrap_err().is_panic());
}

#[tokio::test(start_paused = true)]
async fn an_exchange_takes_any_body_and_its_own_may_break_or_stall() {
    let mock = MockExchange::new();
    mock.script([Answer::ok().breaking_off(io::ErrorKind::UnexpectedEof), Answer::ok().stalling()]);
    let full = Request::new(Full::new(bytes::Bytes::from_static(b"other")));
    let broken = mock.clone().oneshot(full).await.unwrap();
    let error = broken.into_body().collect().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let mut stalled = exchange(&mock).await.unwrap().into_body();
    assert!(stalled.frame().await.unwrap().unwrap().is_data());
    assert!(timeout(HOUR, stalled.frame()).await.is_err());
    assert_eq!(mock.seen()[0].request.body(), "other");
}

#[tokio::test(start_paused = true)]
async fn a_mock_can_be_waited_for() {
    let mock = MockExchange::new();
    let waiting = tokio::spawn({
        let mock = mock.clone();
        async move { mock.until_seen(2).await.len() }
    });
    exchange(&mock).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    exchange(&mock).await.unwrap();
    assert_eq!(waiting.await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_gives_receipts_and_failures() {
    let drops = Drops::new();
    let mock = MockDeliver::new();
    mock.script([
        Outcome::replied(Reply::new(StatusCode::ACCEPTED)),
        Outcome::receipt(Fate::Queued),
        Outcome::advised(Kind::RateLimited, Advice::RetryAfter(HOUR)),
        Outcome::fault(|| Fault::new(Kind::Server).with_reply(Reply::new(StatusCode::BAD_GATEWAY)))
            .losing_the_parcel()
            .after(HOUR),
    ]);
    let send = || mock.clone().oneshot(Parcel::new(Goods::new("error").with_id("a").tracked(&drops)));
    assert_eq!(send().await.unwrap().reply().unwrap().status, StatusCode::ACCEPTED);
    assert_eq!(send().await.unwrap().fate(), Fate::Queued);
    assert_eq!(drops.alive(), 0, "a receipt takes the parcel");
    let failure = send().await.unwrap_err();
    assert_eq!(failure.fault().advice(), Advice::RetryAfter(HOUR));
    assert_eq!(failure.into_parcel().unwrap().payload().items().len(), 1);
    let start = Instant::now();
    let failure = send().await.unwrap_err();
    assert_eq!((failure.fault().status(), start.elapsed()), (Some(StatusCode::BAD_GATEWAY), HOUR));
    assert!(failure.parcel().is_none());
    assert_eq!(drops.alive(), 0);
    assert_eq!(send().await.unwrap().fate(), Fate::Delivered);
    assert_eq!(mock.seen().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_holds_the_parcel_while_it_hangs_and_drops_it_when_it_panics() {
    let drops = Drops::new();
    let mut mock = MockDeliver::new();
    mock.script([Outcome::never(), Outcome::panic()]);
    let hanging = mock.call(Parcel::new(Goods::new("error").tracked(&drops)));
    let mut hanging = polled(hanging).await;
    assert_eq!(drops.alive(), 1);
    assert!(timeout(HOUR, hanging.as_mut()).await.is_err());
    drop(hanging);
    assert_eq!(drops.alive(), 0);
    let panicking = mock.call(Parcel::new(Goods::new("error").tracked(&drops)));
    assert!(tokio::spawn(panicking).await.unwrap_err().is_panic());
    assert_eq!(drops.alive(), 0);
}

/// The future, after a first poll.
async fn polled<F: Future + Unpin>(mut future: F) -> std::pin::Pin<Box<F>> {
    assert!(timeout(Duration::ZERO, &mut future).await.is_err());
    Box::pin(future)
}

#[tokio::test]
async fn a_receiver_shows_and_changes_what_came() {
    let tallies = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&tallies);
    let mut mock = MockDeliver::answering(Outcome::failure(Kind::Io)).on_parcel(move |parcel| {
        let payload: &mut Goods = parcel.payload_mut();
        payload.tally(&mut |category, quantity| written.lock().unwrap().push((category.clone(), quantity)));
        payload.shed(&mut |category| category == "log", &mut |_, _| {});
    });
    let mut parcel = Parcel::new(Goods::new("error").and("log", 2));
    parcel.meta_mut().attempt = 3;
    parcel.meta_mut().origin = Origin::Replayed;
    let failure = mock.ready().await.unwrap().call(parcel).await.unwrap_err();
    assert_eq!(failure.parcel().unwrap().payload().items().len(), 1);
    assert_eq!(*tallies.lock().unwrap(), [("error".into(), 1), ("log".into(), 2)]);
    let seen = &mock.until_seen(1).await[0];
    assert_eq!((seen.attempt, seen.origin, seen.weight.items), (3, Origin::Replayed, 2));
}
