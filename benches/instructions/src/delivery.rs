//! The delivery level: layers over a service that does nothing, and the stack of the Sentry preset.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use envoi::ExtraHeadersLayer;
use envoi_core::{Deliver, Ledger, Limits, Parcel, Reply};
use envoi_envelope::{ClientReports, DataCategory, Envelope, EnvelopeCodec, RateLimits, user_agent};
use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, HeaderAuth};
use envoi_layers::filter::FilterLayer;
use envoi_layers::outbox::{Capacity, Driver, MemoryStore, Outbox, OutboxConfig, outbox};
use envoi_layers::report::ReportLayer;
use http::{HeaderMap, HeaderName, StatusCode, header};
use tower::{Layer, ServiceBuilder};

use crate::parts::{NoDelivery, NoExchange, Still, ask, dsn, envelope};
use crate::{Step, repeat};

pub(crate) const STEPS: &[Step] = &[
    ("envelope-clone", |times| {
        let envelope = envelope();
        repeat(times, || envelope.clone());
    }),
    ("parcel", |times| {
        let envelope = envelope();
        repeat(times, || Parcel::new(envelope.clone()));
    }),
    ("delivery", |times| deliver(times, NoDelivery)),
    ("filter-idle", |times| deliver(times, filter(RateLimits::default()).layer(NoDelivery))),
    ("filter-limited", |times| {
        deliver(times, filter(limited("600:session;transaction;log_item:organization")).layer(NoDelivery));
    }),
    ("filter-drops", |times| {
        // The answer is `Spent`, and each drop is recorded in the ledger and in the reports.
        deliver(times, filter(limited("600:error:organization")).layer(NoDelivery));
    }),
    ("report-idle", |times| deliver(times, ReportLayer::new(ClientReports::new()).layer(NoDelivery))),
    ("encode", |times| deliver(times, EncodeLayer::new(codec()).clock(Still::shared()).layer(NoExchange))),
    ("stack", |times| deliver(times, sentry())),
    ("outbox-post", |times| {
        let (outbox, mut driver) = queue(NoDelivery);
        let envelope = envelope();
        // Room for all that follow, so that the queue does not grow.
        repeat(4096, || outbox.post(envelope.clone()));
        while outbox.stats().queued() > 0 {
            turn(&mut driver);
        }
        repeat(times, || outbox.post(envelope.clone()));
    }),
    ("outbox", |times| through_queue(times, NoDelivery)),
    ("outbox-stack", |times| through_queue(times, sentry())),
];

/// Timers of the stack belong to a runtime. It is never run.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn deliver(times: u64, service: impl Deliver<Envelope>) {
    deliver_all(times, service, &envelope());
}

pub(crate) fn deliver_all<P: Clone>(times: u64, mut service: impl Deliver<P>, payload: &P) {
    let runtime = runtime();
    let _entered = runtime.enter();
    assert!(ask(&mut service, Parcel::new(payload.clone())).is_some(), "the stack has to answer at once");
    repeat(times, || ask(&mut service, Parcel::new(payload.clone())));
}

fn through_queue<S: Deliver<Envelope>>(times: u64, service: S) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (outbox, mut driver) = queue(service);
    let envelope = envelope();
    let mut step = || {
        let fate = outbox.post(envelope.clone());
        turn(&mut driver);
        fate
    };
    repeat(times, &mut step);
    assert_eq!(outbox.stats().discharged, times, "each turn has to deliver one");
}

fn queue<S: Deliver<Envelope>>(service: S) -> (Outbox<Envelope>, Driver<S, Envelope>) {
    let store = MemoryStore::new().capacity(Capacity::new(usize::MAX, usize::MAX));
    let config = OutboxConfig::new().seed(1).limits(RateLimits::default()).clock(Still::shared());
    outbox(store, config, service)
}

/// Lets a driver do what there is to do.
fn turn<S: Deliver<Envelope>>(driver: &mut Driver<S, Envelope>) {
    let _ = Pin::new(driver).poll(&mut Context::from_waker(Waker::noop()));
}

fn filter(limits: RateLimits) -> FilterLayer<RateLimits, (Ledger<DataCategory>, ClientReports)> {
    FilterLayer::new(limits).report_to((Ledger::new(), ClientReports::new())).clock(Still::shared())
}

/// A table that has learned this header.
pub(crate) fn limited(header: &'static str) -> RateLimits {
    let (limits, clock) = (RateLimits::default(), Still::shared());
    let mut reply = Reply::new(StatusCode::OK);
    reply.headers.insert("x-sentry-rate-limits", http::HeaderValue::from_static(header));
    limits.learn(&reply, clock.now(), clock.wall());
    limits
}

pub(crate) fn codec() -> EnvelopeCodec {
    EnvelopeCodec::new(&dsn()).with_clock(Still::shared())
}

pub(crate) fn auth() -> AuthLayer<HeaderAuth> {
    let name = HeaderName::from_static("x-sentry-auth");
    AuthLayer::new(HeaderAuth::new(name, dsn().auth_header("envoi/0.1.0")))
}

pub(crate) fn headers() -> ExtraHeadersLayer {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, user_agent("envoi/0.1.0"));
    ExtraHeadersLayer::new(headers)
}

/// The preset below its queue, with a no-op in place of the client and without compression.
fn sentry() -> impl Deliver<Envelope> {
    let clock = Still::shared();
    ServiceBuilder::new()
        .layer(filter(RateLimits::default()))
        .layer(ReportLayer::new(ClientReports::with_clock(Arc::clone(&clock))))
        .layer(EncodeLayer::new(codec()).clock(clock))
        .timeout(Duration::from_secs(10))
        .layer(auth())
        .layer(headers())
        .layer(CompressLayer::identity())
        .service(NoExchange)
}
