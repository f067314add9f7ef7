//! The latch through its public API: BD-5.
#![cfg(feature = "latch")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use envoi_core::{Advice, Failure, Fault, Kind, Loss, Parcel, Receipt, Reply};
use envoi_layers::latch::LatchLayer;
use envoi_testkit::contract::Contract;
use envoi_testkit::mock::{MockDeliver, Outcome};
use envoi_testkit::probe::{Answers, Probe};
use envoi_testkit::{Drops, Goods};
use http::StatusCode;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

fn goods() -> Parcel<Goods> {
    Parcel::new(Goods::new("event"))
}

fn replied(kind: Kind, code: u16) -> Outcome {
    let status = StatusCode::from_u16(code).unwrap();
    Outcome::fault(move || Fault::new(kind).with_reply(Reply::new(status)))
}

async fn send(layer: &LatchLayer, below: &MockDeliver<Goods>) -> Result<Receipt, Failure<Goods>> {
    layer.layer(below.clone()).oneshot(goods()).await
}

/// BD-5: the first 401 or 403 trips it; it comes up as it is. From then on nothing is sent, by any service of the layer.
#[tokio::test]
async fn the_first_refusal_trips_it() {
    for code in [401, 403] {
        let layer = LatchLayer::new();
        let below = MockDeliver::new();
        below.script([Outcome::delivered(), replied(Kind::Unauthorized, code)]);
        assert!(send(&layer, &below).await.is_ok());
        assert!(!layer.is_tripped());
        let failure = send(&layer, &below).await.unwrap_err();
        assert!(layer.is_tripped());
        assert_eq!((failure.fault().kind(), failure.fault().advice()), (Kind::Unauthorized, Advice::Drop));
        assert_eq!(failure.fault().status().unwrap(), code);
        assert!(failure.parcel().is_some());
        for _ in 0..3 {
            let failure = send(&layer.clone(), &below).await.unwrap_err();
            assert_eq!((failure.fault().kind(), failure.fault().advice()), (Kind::Disabled, Advice::Drop));
            assert!(failure.parcel().is_some(), "with the goods");
        }
        assert_eq!(below.seen().len(), 2);
    }
}

/// BD-5: nothing but the server's own refusal of credentials trips it: not a proxy's 401 or 407, not another status.
#[tokio::test]
async fn nothing_else_trips_it() {
    let layer = LatchLayer::new();
    let below = MockDeliver::new();
    let others = [
        replied(Kind::Proxy, 401),
        replied(Kind::Proxy, 407),
        replied(Kind::Rejected, 400),
        replied(Kind::Rejected, 404),
        replied(Kind::RateLimited, 429),
        replied(Kind::Server, 500),
        Outcome::failure(Kind::Connect),
        Outcome::failure(Kind::Disabled),
        Outcome::failure(Kind::Encode),
    ];
    let count = others.len();
    below.script(others);
    for _ in 0..count {
        let failure = send(&layer, &below).await.unwrap_err();
        assert!(failure.parcel().is_some());
        assert!(!layer.is_tripped(), "{failure:?}");
    }
    assert_eq!(below.steps_left(), 0);
}

/// BD-5: of many that are in flight when the key turns out to be bad one comes up as refused credentials; the others say
/// that the transport is disabled, keep what the server said, and are booked as refused by it.
#[tokio::test(start_paused = true)]
async fn of_many_in_flight_one_is_the_refusal() {
    let layer = LatchLayer::new();
    let below = MockDeliver::answering(
        Outcome::fault(|| {
            Fault::new(Kind::Unauthorized)
                .with_advice(Advice::Retry)
                .with_reply(Reply::new(StatusCode::FORBIDDEN))
        })
        .after(Duration::from_secs(1)),
    );
    let calls: Vec<_> = (0..100).map(|_| tokio::spawn(layer.layer(below.clone()).oneshot(goods()))).collect();
    let mut refusals = 0;
    for call in calls {
        let failure = call.await.unwrap().unwrap_err();
        refusals += usize::from(failure.fault().kind() == Kind::Unauthorized);
        assert!(matches!(failure.fault().kind(), Kind::Unauthorized | Kind::Disabled));
        assert_eq!(failure.fault().advice(), Advice::Drop, "whatever the policy below says");
        assert_eq!(failure.fault().loss(), Loss::Refused(StatusCode::FORBIDDEN));
        assert!(failure.parcel().is_some());
    }
    assert_eq!((refusals, below.seen().len()), (1, 100));
}

/// BD-5: a latch that is reset, after the key was rotated, lets things go and can be tripped again.
#[tokio::test]
async fn a_reset_lets_things_go_again() {
    let layer = LatchLayer::new();
    let below = MockDeliver::new();
    for _ in 0..2 {
        below.script([replied(Kind::Unauthorized, 401)]);
        assert_eq!(send(&layer, &below).await.unwrap_err().fault().kind(), Kind::Unauthorized);
        assert_eq!(send(&layer, &below).await.unwrap_err().fault().kind(), Kind::Disabled);
        layer.reset();
        assert!(send(&layer, &below).await.is_ok());
    }
}

/// BD-5: dropped in whatever state, a call lets go of parcel and permit, and trips nothing.
#[tokio::test]
async fn dropping_it_releases_everything_in_each_state() {
    for state in ["called", "calling", "refused"] {
        let drops = Drops::new();
        let answers = Answers::new(
            |_: Parcel<Goods>| Ok(Receipt::delivered()),
            || Failure::without_parcel(Fault::new(Kind::Unauthorized)),
        );
        let (probe, handle) = Probe::new(answers, 1);
        let layer = LatchLayer::new();
        let mut latch = layer.layer(probe);
        if state == "refused" {
            let trip = MockDeliver::answering(Outcome::failure(Kind::Unauthorized));
            assert!(send(&layer, &trip).await.is_err());
        }
        handle.hold();
        {
            let parcel = Parcel::new(Goods::new("event").tracked(&drops));
            let mut call = pin!(latch.ready().await.unwrap().call(parcel));
            if state == "calling" {
                assert!(is_pending(call.as_mut()).await);
            }
            assert_eq!(drops.alive(), 1, "{state}");
        }
        assert_eq!((drops.alive(), handle.counts().in_flight), (0, 0), "{state}");
        assert_eq!(layer.is_tripped(), state == "refused");
        drop(latch);
        assert_eq!(handle.taken(), 0, "{state}");
    }
}

async fn is_pending(mut future: Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// BD-5: the latch keeps the contract of a tower layer: readied instance, readiness, wakers, drops, cancellation.
#[tokio::test(start_paused = true)]
async fn latch_passes_the_contract_suite() {
    Contract::delivery(LatchLayer::new()).run().await.unwrap();
}

/// BD-5: a refusal that comes through layers with boxed errors trips it.
#[tokio::test(start_paused = true)]
async fn trips_through_boxed_errors() {
    let layer = LatchLayer::new();
    let stack = ServiceBuilder::new()
        .layer(layer.clone())
        .timeout(Duration::from_secs(60))
        .service(MockDeliver::answering(replied(Kind::Unauthorized, 401)));
    assert!(stack.oneshot(goods()).await.unwrap_err().parcel().is_some());
    assert!(layer.is_tripped());
}
