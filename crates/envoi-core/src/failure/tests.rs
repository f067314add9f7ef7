use std::convert::Infallible;
use std::io;
use std::time::Duration;

use tower::util::{BoxCloneSyncService, service_fn};
use tower::{BoxError as TowerBoxError, ServiceBuilder, ServiceExt};

use super::*;
use crate::{Advice, Deliver, Kind, Receipt, Reply};

type Goods = Vec<u8>;

fn refused() -> Fault {
    Fault::new(Kind::Server)
        .with_advice(Advice::RetryAfter(Duration::from_secs(9)))
        .with_reply(Reply::new(http::StatusCode::SERVICE_UNAVAILABLE))
}

fn marked(goods: &[u8]) -> Parcel<Goods> {
    let mut parcel = Parcel::new(goods.to_vec());
    parcel.meta_mut().attempt = 4;
    parcel.meta_mut().extensions.insert("trace-7");
    parcel
}

fn assert_intact(failure: Failure<Goods>, address: *const u8) {
    assert_eq!(failure.fault().kind(), Kind::Server);
    assert_eq!(failure.fault().advice(), Advice::RetryAfter(Duration::from_secs(9)));
    assert_eq!(failure.fault().status(), Some(http::StatusCode::SERVICE_UNAVAILABLE));
    let parcel = failure.into_parcel().expect("the goods come back");
    assert_eq!(parcel.payload().as_ptr(), address, "the very same goods");
    assert_eq!(parcel.meta().attempt, 4);
    assert_eq!(parcel.meta().extensions.get::<&str>(), Some(&"trace-7"));
}

/// A failure survives `Box<dyn Error>` with parcel, meta data and fault.
#[test]
fn a_failure_survives_a_box() {
    let parcel = marked(b"goods");
    let address = parcel.payload().as_ptr();
    let boxed: BoxError = Failure::new(refused(), parcel).into();
    assert_eq!(boxed.to_string(), "the server failed (503 Service Unavailable)");
    assert_intact(boxed.into(), address);
}

#[test]
fn a_failure_survives_being_boxed_and_unboxed_again_and_again() {
    let parcel = marked(b"goods");
    let address = parcel.payload().as_ptr();
    let mut failure = Failure::new(refused(), parcel);
    for _ in 0..3 {
        failure = Failure::from(BoxError::from(failure));
    }
    assert_intact(failure, address);
}

/// A sink that hands everything back.
fn back() -> impl Deliver<Goods, Error = Failure<Goods>, Future: Send> + Clone + Send + Sync + 'static {
    service_fn(|parcel: Parcel<Goods>| async move { Err::<Receipt, _>(Failure::new(refused(), parcel)) })
}

async fn deliver<S: Deliver<Goods>>(stack: S) {
    let parcel = marked(b"through the stack");
    let address = parcel.payload().as_ptr();
    let failure: Failure<Goods> = match stack.oneshot(parcel).await {
        Ok(receipt) => panic!("{receipt:?}"),
        Err(error) => error.into(),
    };
    assert_intact(failure, address);
}

/// The layers of tower with boxed errors may stand anywhere, more than one of them too.
#[tokio::test(start_paused = true)]
async fn a_failure_survives_towers_layers() {
    let hour = Duration::from_secs(3600);
    deliver(back()).await;
    deliver(ServiceBuilder::new().timeout(hour).service(back())).await;
    deliver(ServiceBuilder::new().load_shed().concurrency_limit(1).timeout(hour).service(back())).await;
    deliver(
        ServiceBuilder::new().timeout(hour).map_err(Failure::<Goods>::from).timeout(hour).service(back()),
    )
    .await;
    let erased: BoxCloneSyncService<Parcel<Goods>, Receipt, TowerBoxError> = BoxCloneSyncService::new(
        ServiceBuilder::new().map_err(TowerBoxError::from).timeout(hour).service(back()),
    );
    deliver(ServiceBuilder::new().timeout(hour).service(erased)).await;
}

/// The documented limit: a layer that cancels the inner call loses the parcel with it, and says so.
#[tokio::test(start_paused = true)]
async fn a_cancelling_layer_above_loses_the_parcel() {
    let stuck = service_fn(|parcel: Parcel<Goods>| async move {
        std::future::pending::<()>().await;
        Err::<Receipt, _>(Failure::new(refused(), parcel))
    });
    let stack = ServiceBuilder::new().timeout(Duration::from_secs(1)).service(stuck);
    let failure = Failure::<Goods>::from(stack.oneshot(marked(b"goods")).await.unwrap_err());
    assert!(failure.parcel().is_none());
    assert_eq!(failure.fault().kind(), Kind::Other);
}

#[test]
fn a_foreign_error_becomes_a_failure_without_a_parcel() {
    let failure = Failure::<Goods>::from(BoxError::from(io::Error::from(io::ErrorKind::ConnectionRefused)));
    assert!(failure.parcel().is_none());
    assert_eq!(failure.fault().kind(), Kind::Connect);
    assert_eq!(failure.source().map(ToString::to_string).as_deref(), Some("connection refused"));

    // A failure of another kind of goods is foreign too; its words stay, its goods cannot.
    let other: BoxError = Failure::new(Fault::new(Kind::Tls), Parcel::new("a str")).into();
    let failure = Failure::<Goods>::from(other);
    assert!(failure.parcel().is_none());
    assert_eq!(failure.source().map(ToString::to_string).as_deref(), Some("the TLS handshake failed"));
}

#[test]
fn a_boxed_fault_becomes_a_failure_with_that_fault() {
    let failure = Failure::<Goods>::from(BoxError::from(refused()));
    assert_eq!((failure.fault().kind(), failure.parcel().is_none()), (Kind::Server, true));
}

#[tokio::test]
async fn an_infallible_service_is_a_delivery() {
    fn accepts(_: &impl Deliver<Goods>) {}
    let sink = service_fn(|parcel: Parcel<Goods>| async move {
        drop(parcel);
        Ok::<_, Infallible>(Receipt::delivered())
    });
    accepts(&sink);
    assert!(sink.oneshot(marked(b"goods")).await.is_ok());
}

#[test]
fn parts_can_be_changed_and_taken() {
    let mut failure =
        Failure::new(refused(), marked(b"goods")).map_fault(|fault| fault.with_advice(Advice::Drop));
    assert_eq!(failure.fault().advice(), Advice::Drop);
    failure.parcel_mut().unwrap().payload_mut().clear();
    let debug = format!("{failure:?}");
    assert!(debug.contains("parcel: true") && debug.contains("503"), "{debug}");
    let (fault, parcel) = failure.into_parts();
    assert_eq!((fault.kind(), parcel.unwrap().payload().len()), (Kind::Server, 0));
}
