//! Batches: the layers that only they have, and the stack of their preset.

use std::time::Duration;

use envoi_batch::{Batch, Batcher, BatcherConfig, Event, JsonArrayCodec};
use envoi_core::{Codec, Deliver, Parcel};
use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, Policy, bearer};
use envoi_layers::breaker::BreakerLayer;
use envoi_layers::latch::LatchLayer;
use envoi_layers::on_error::OnErrorLayer;
use envoi_layers::retry::{RetryLayer, Schedule};
use tokio_util::sync::CancellationToken;
use tower::{Layer, ServiceBuilder};

use crate::delivery::{deliver_all, headers};
use crate::parts::{NoDelivery, NoExchange, Still};
use crate::{Step, repeat};

pub(crate) const STEPS: &[Step] = &[
    ("batch-parcel", |times| {
        let batch = batch();
        repeat(times, || Parcel::new(batch.clone()));
    }),
    ("batch-delivery", |times| deliver(times, NoDelivery)),
    ("on-error", |times| deliver(times, on_error().layer(NoDelivery))),
    ("breaker", |times| deliver(times, BreakerLayer::default().layer(NoDelivery))),
    ("retry", |times| deliver(times, retry(CancellationToken::new()).layer(NoDelivery))),
    ("latch", |times| deliver(times, LatchLayer::new().layer(NoDelivery))),
    ("batch-layers", |times| deliver(times, guarantees(CancellationToken::new()).service(NoDelivery))),
    ("batch-encode", |times| deliver(times, encode(CancellationToken::new()).layer(NoExchange))),
    ("batch-stack", |times| deliver(times, stack())),
    ("batch-codec", |times| {
        let (codec, batch) = (codec(), batch());
        repeat(times, || codec.encode(&batch));
    }),
    ("event", |times| repeat(times, || Event::new("the job has ended after 7 ms"))),
    ("batcher", |times| {
        let (event, now) = (event(), Still::shared().now());
        let mut batcher = Batcher::new(BatcherConfig::default(), now);
        repeat(times, || {
            for _ in 0..20 {
                let _ = batcher.push(event.clone(), now);
            }
            batcher.poll(now)
        });
    }),
];

fn event() -> Event {
    let json = r#"{"timestamp":1795420800.125,"level":"info","service":"checkout","message":"GET /api/carts/00f357bd/items answered","attributes":{"method":"GET","status":200,"millis":7}}"#;
    Event::from_json(json).unwrap()
}

fn batch() -> Batch {
    (0..20).map(|_| event()).collect()
}

fn deliver(times: u64, service: impl Deliver<Batch>) {
    deliver_all(times, service, &batch());
}

fn codec() -> JsonArrayCodec {
    JsonArrayCodec::new("https://logs.example/v1/events".parse().unwrap())
}

fn on_error() -> OnErrorLayer {
    OnErrorLayer::new(|_| {}).final_when(|_| true)
}

fn retry(halt: CancellationToken) -> RetryLayer {
    RetryLayer::new(Schedule::brief()).halt_on(halt).count_earlier_attempts().seed(1)
}

fn encode(halt: CancellationToken) -> EncodeLayer<JsonArrayCodec> {
    EncodeLayer::new(codec()).policy(Policy::at_least_once()).halt_on(halt).clock(Still::shared())
}

/// The four layers of the guarantees.
fn guarantees(
    halt: CancellationToken,
) -> ServiceBuilder<impl Layer<NoDelivery, Service = impl Deliver<Batch>>> {
    ServiceBuilder::new()
        .layer(on_error())
        .layer(BreakerLayer::default())
        .layer(retry(halt))
        .layer(LatchLayer::new())
}

/// The preset below its queue, with a no-op in place of the client and without compression.
fn stack() -> impl Deliver<Batch> {
    let halt = CancellationToken::new();
    ServiceBuilder::new()
        .layer(on_error())
        .layer(BreakerLayer::default())
        .layer(retry(halt.clone()))
        .layer(LatchLayer::new())
        .layer(encode(halt))
        .timeout(Duration::from_secs(10))
        .layer(AuthLayer::new(bearer("s3cret").unwrap()))
        .layer(headers())
        .layer(CompressLayer::identity())
        .service(NoExchange)
}
