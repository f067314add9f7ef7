use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use envoi_core::{Advice, BoxError, Codec, Fate, Kind, Meta, Origin, Parcel, Segments};
use envoi_testkit::mock::{Answer, MockExchange};
use envoi_testkit::{Goods, ManualClock};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, StatusCode};
use tokio_util::sync::CancellationToken;
use tower::timeout::TimeoutLayer;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use super::EncodeLayer;
use crate::Policy;

#[derive(Clone, Debug)]
struct Plain;

impl Codec<Goods> for Plain {
    fn encode(&self, _: &Goods) -> Result<Request<Segments>, BoxError> {
        Ok(Request::post("http://localhost/").body(Segments::from("goods"))?)
    }
}

#[derive(Clone, Debug)]
struct Broken;

impl Codec<Goods> for Broken {
    fn encode(&self, _: &Goods) -> Result<Request<Segments>, BoxError> {
        Err("cannot be expressed".into())
    }
}

fn parcel() -> Parcel<Goods> {
    Parcel::new(Goods::new("error").with_id("the one"))
}

fn id(parcel: Option<Parcel<Goods>>) -> String {
    envoi_core::Payload::id(parcel.expect("handed back").payload()).unwrap().into_owned()
}

/// TR-6: the body of a success is there for the caller.
#[tokio::test]
async fn a_success_carries_the_reply() {
    let exchange = MockExchange::answering(Answer::ok().body(r#"{"id":"7"}"#));
    exchange.script([Answer::status(StatusCode::ACCEPTED).body(r#"{"id""#).body(r#":"7"}"#)]);
    let receipt = EncodeLayer::new(Plain).layer(exchange).oneshot(parcel()).await.unwrap();
    assert_eq!(receipt.fate(), Fate::Delivered);
    let reply = receipt.into_reply().unwrap();
    assert_eq!((reply.status, reply.truncated), (StatusCode::ACCEPTED, false));
    assert_eq!(crate::accepted_id(&reply).as_deref(), Some("7"));
}

/// CR-3: a payload that cannot be encoded comes back at once, without a request, to be dropped.
#[tokio::test]
async fn an_encoding_error_hands_the_parcel_back_and_sends_nothing() {
    let exchange = MockExchange::new();
    let failure = EncodeLayer::new(Broken).layer(exchange.clone()).oneshot(parcel()).await.unwrap_err();
    assert_eq!((failure.fault().kind(), failure.fault().advice()), (Kind::Encode, Advice::Drop));
    assert_eq!(id(failure.into_parcel()), "the one");
    assert!(exchange.seen().is_empty());
}

/// OC-4, TR-9: a network error and a timeout below hand the parcel back for another attempt.
#[tokio::test(start_paused = true)]
async fn errors_below_hand_the_parcel_back() {
    let exchange = MockExchange::new();
    exchange.script([Answer::io_error(io::ErrorKind::ConnectionRefused), Answer::never()]);
    let stack = ServiceBuilder::new()
        .layer(EncodeLayer::new(Plain))
        .layer(TimeoutLayer::new(Duration::from_secs(10)))
        .service(exchange);
    for kind in [Kind::Connect, Kind::Timeout] {
        let failure = stack.clone().oneshot(parcel()).await.unwrap_err();
        assert_eq!((failure.fault().kind(), failure.fault().advice()), (kind, Advice::Retry));
        assert_eq!(id(failure.into_parcel()), "the one");
    }
}

/// The meta data of a parcel reaches the exchange level.
#[tokio::test]
async fn extensions_of_the_parcel_are_copied_to_the_request() {
    let exchange = service_fn(|request: Request<Segments>| async move {
        assert_eq!(request.extensions().get::<u32>(), Some(&42));
        Ok::<_, BoxError>(http::Response::new(Segments::default()))
    });
    let mut meta = Meta { attempt: 1, origin: Origin::Replayed, ..Meta::default() };
    meta.extensions.insert(42_u32);
    let parcel = Parcel::with_meta(Goods::new("error"), meta);
    assert!(EncodeLayer::new(Plain).layer(exchange).oneshot(parcel).await.is_ok());
}

/// Decision 17: a status once received beats a body that breaks off, in success and in failure.
#[tokio::test]
async fn a_status_beats_a_body_that_breaks_off() {
    for (status, delivered) in [(StatusCode::OK, true), (StatusCode::PAYLOAD_TOO_LARGE, false)] {
        let answer = Answer::status(status).body("begin").breaking_off(io::ErrorKind::ConnectionReset);
        let result = EncodeLayer::new(Plain).layer(MockExchange::answering(answer)).oneshot(parcel()).await;
        assert_eq!(result.is_ok(), delivered);
        let reply = match &result {
            Ok(receipt) => receipt.reply(),
            Err(failure) => failure.fault().reply(),
        };
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.truncated, &reply.body[..]), (status, true, &b"begin"[..]));
    }
}

/// TR-6: a reply that says it is enormous reserves no memory for what has not come, however much may be kept.
#[tokio::test]
async fn memory_is_reserved_for_what_comes_not_for_what_is_announced() {
    struct Boastful;
    impl http_body::Body for Boastful {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
            std::task::Poll::Ready(None)
        }

        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(u64::MAX)
        }
    }
    let exchange =
        service_fn(|_: Request<Segments>| async { Ok::<_, BoxError>(http::Response::new(Boastful)) });
    let stack = EncodeLayer::new(Plain).keep(usize::MAX).layer(exchange);
    let receipt = stack.oneshot(parcel()).await.unwrap();
    assert!(receipt.reply().unwrap().body.is_empty());
}

/// TR-9, decision 17: a body that does not come is waited for so long and no longer; the status stands.
#[tokio::test(start_paused = true)]
async fn a_stalled_body_ends_at_its_deadline() {
    let answer = Answer::status(StatusCode::BAD_GATEWAY).body("begin").stalling();
    let begun = tokio::time::Instant::now();
    let stack = EncodeLayer::new(Plain)
        .policy(Policy::at_least_once())
        .body_timeout(Duration::from_secs(3))
        .layer(MockExchange::answering(answer));
    let failure = stack.oneshot(parcel()).await.unwrap_err();
    let reply = failure.fault().reply().unwrap();
    assert_eq!(
        (reply.status, reply.truncated, &reply.body[..]),
        (StatusCode::BAD_GATEWAY, true, &b"begin"[..])
    );
    assert_eq!(begun.elapsed().as_secs(), 3);
}

/// TR-6: 64 KiB are kept, the rest is read and thrown away.
#[tokio::test]
async fn a_long_body_is_kept_up_to_the_bound() {
    let piece = Bytes::from(vec![b'x'; 50_000]);
    let answer = (0..4).fold(Answer::status(StatusCode::OK), |answer, _| answer.body(piece.clone()));
    let stack = EncodeLayer::new(Plain).layer(MockExchange::answering(answer.clone()));
    let reply = stack.oneshot(parcel()).await.unwrap().into_reply().unwrap();
    assert_eq!((reply.body.len(), reply.truncated), (64 * 1024, true));

    let stack = EncodeLayer::new(Plain).keep(0).drain(0).layer(MockExchange::answering(answer));
    let reply = stack.oneshot(parcel()).await.unwrap().into_reply().unwrap();
    assert_eq!((reply.body.len(), reply.truncated), (0, true));
}

/// A body without end and without a stated size is given up after the drain limit.
#[tokio::test(start_paused = true)]
async fn an_endless_body_is_given_up_after_the_drain_limit() {
    let piece = Bytes::from(vec![b'x'; 1000]);
    let endless = (0..20).fold(Answer::ok(), |answer, _| answer.body(piece.clone())).stalling();
    let begun = tokio::time::Instant::now();
    let stack = EncodeLayer::new(Plain).keep(500).drain(10_000).layer(MockExchange::answering(endless));
    let reply = stack.oneshot(parcel()).await.unwrap().into_reply().unwrap();
    assert_eq!((reply.body.len(), reply.truncated), (500, true));
    assert!(begun.elapsed().is_zero(), "no waiting for the deadline");
}

/// TR-2: the halt token brings the parcel back from a hanging exchange.
#[tokio::test(start_paused = true)]
async fn a_halt_brings_the_parcel_back_from_a_hanging_exchange() {
    let token = CancellationToken::new();
    let stack =
        EncodeLayer::new(Plain).halt_on(token.clone()).layer(MockExchange::answering(Answer::never()));
    let mut call = tokio_test::task::spawn(stack.clone().oneshot(parcel()));
    assert!(call.poll().is_pending());
    token.cancel();
    assert!(call.is_woken());
    let failure = call.await.unwrap_err();
    assert_eq!((failure.fault().kind(), failure.fault().advice()), (Kind::Halted, Advice::Retry));
    assert_eq!(id(failure.into_parcel()), "the one");

    // Later ones are not begun.
    let failure = stack.oneshot(parcel()).await.unwrap_err();
    assert_eq!(failure.fault().kind(), Kind::Halted);
    assert_eq!(id(failure.into_parcel()), "the one");
}

/// Decision 17: a halt while the body is being read does not undo the status.
#[tokio::test(start_paused = true)]
async fn a_halt_after_the_status_is_judged_by_the_status() {
    let token = CancellationToken::new();
    let exchange = MockExchange::answering(Answer::status(StatusCode::OK).body("begin").stalling());
    let stack = EncodeLayer::new(Plain).halt_on(token.clone()).layer(exchange);
    let mut call = tokio_test::task::spawn(stack.oneshot(parcel()));
    assert!(call.poll().is_pending());
    token.cancel();
    let reply = call.await.unwrap().into_reply().unwrap();
    assert!(reply.truncated);
}

/// A readiness error is a failure of the right kind; there was no parcel yet.
#[tokio::test]
async fn a_readiness_error_is_judged() {
    let (service, mut handle) = tower_test::mock::pair::<Request<Segments>, http::Response<Segments>>();
    handle.send_error(io::Error::from(io::ErrorKind::ConnectionRefused));
    let mut stack = EncodeLayer::new(Plain).layer(service);
    let failure = ServiceExt::<Parcel<Goods>>::ready(&mut stack).await.unwrap_err();
    assert_eq!(failure.fault().kind(), Kind::Connect);
    assert!(failure.parcel().is_none());
}

/// BD-3: a `Retry-After` date without `Date` is measured against the given clock.
#[tokio::test]
async fn retry_dates_use_the_given_clock() {
    let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)));
    let answer = Answer::status(StatusCode::SERVICE_UNAVAILABLE)
        .header(RETRY_AFTER, HeaderValue::from_static("Sun, 06 Nov 1994 08:50:07 GMT"));
    let stack = EncodeLayer::new(Plain)
        .policy(Policy::at_least_once())
        .clock(clock)
        .layer(MockExchange::answering(answer));
    let failure = stack.oneshot(parcel()).await.unwrap_err();
    assert_eq!(failure.fault().advice(), Advice::RetryAfter(Duration::from_secs(30)));
}

/// The future is nameable, small and free of boxes.
#[test]
fn the_future_is_nameable_and_send() {
    fn assert_send<T: Send>() {}
    assert_send::<
        super::EncodeFuture<std::future::Ready<Result<http::Response<Segments>, io::Error>>, Segments, Goods>,
    >();
    let text = format!("{:?}", EncodeLayer::new(Plain));
    assert!(text.starts_with("EncodeLayer"), "{text}");
}
