//! Every layer keeps tower's contract.

use bytes::Bytes;
use envoi_core::{BoxError, Codec, Failure, Fault, Kind, Parcel, Payload, Segments};
use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, Encoding, RequestBody, bearer};
use envoi_testkit::contract::Contract;
use envoi_testkit::{Drops, Goods};
use http::{Request, Response};
use http_body_util::Full;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
struct Plain;

impl Codec<Goods> for Plain {
    fn encode(&self, goods: &Goods) -> Result<Request<Segments>, BoxError> {
        let id = goods.id().unwrap_or_default().into_owned();
        Ok(Request::post("http://localhost/").body(id.into())?)
    }
}

fn answer<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, BoxError> {
    Ok(Response::new(Full::from("{}")))
}

fn down() -> BoxError {
    Fault::new(Kind::Connect).into()
}

/// TR-9: `Encode` with and without a halt token.
#[tokio::test(start_paused = true)]
async fn encode_keeps_the_contract() {
    for layer in [EncodeLayer::new(Plain), EncodeLayer::new(Plain).halt_on(CancellationToken::new())] {
        let drops = Drops::new();
        let tracked = drops.clone();
        let parcel = move || Parcel::new(Goods::new("error").with_id("contract").tracked(&tracked));
        Contract::new(layer, parcel, answer::<Segments>, down).tracked_by(&drops).run().await.unwrap();
    }
}

/// AU-8: `Auth`.
#[tokio::test(start_paused = true)]
async fn auth_keeps_the_contract() {
    Contract::exchange(AuthLayer::new(bearer("token").unwrap())).run().await.unwrap();
}

/// TR-5: `Forward`, with credentials to put on.
#[cfg(feature = "proxy")]
#[tokio::test(start_paused = true)]
async fn forward_keeps_the_contract() {
    use envoi_http::proxy::{ForwardLayer, ProxyConfig};
    let config = ProxyConfig::new("http://user:secret@proxy.test").unwrap();
    Contract::exchange(ForwardLayer::new(config)).run().await.unwrap();
}

/// CO-1, CO-2: `Compress`, on each of its ways: as it is, at once, on a thread, as a stream.
#[tokio::test]
async fn compress_keeps_the_contract() {
    for &encoding in Encoding::ALL {
        for (offload, stream) in [(u64::MAX, u64::MAX), (0, u64::MAX), (0, 0)] {
            let layer = CompressLayer::new(encoding).min_size(0).offload_above(offload).stream_above(stream);
            let drops = Drops::new();
            let tracked = drops.clone();
            let request = move || {
                let mut request = Request::new(Segments::from(tracked.bytes("compress me ".repeat(50))));
                request.extensions_mut().insert(tracked.token());
                request
            };
            Contract::new(layer, request, answer::<RequestBody>, down)
                .tracked_by(&drops)
                .run()
                .await
                .unwrap();
        }
    }
}

/// The failure of a stack keeps its parcel through tower's boxed errors.
#[tokio::test]
async fn a_failure_survives_a_boxing_layer() {
    use tower::{Layer, ServiceExt};
    let refusing = tower::service_fn(|_: Request<Segments>| async { Err::<Response<Segments>, _>(down()) });
    let stack = tower::timeout::TimeoutLayer::new(std::time::Duration::from_secs(1))
        .layer(EncodeLayer::new(Plain).layer(refusing));
    let error: BoxError = stack.oneshot(Parcel::new(Goods::new("error").with_id("kept"))).await.unwrap_err();
    let failure = Failure::<Goods>::from(error);
    assert_eq!(failure.fault().kind(), Kind::Connect);
    assert_eq!(failure.parcel().unwrap().payload().id().as_deref(), Some("kept"));
}
