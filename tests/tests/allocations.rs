//! What the hot paths allocate. Allocations are counted per thread, so the tests do not disturb each other.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests")]

use std::future::{Future, Ready, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use envoi_core::{
    Clock, Codec, DiscardReason, Failure, Fate, Itemized, Ledger, Limits, LossSink, Parcel, Receipt, Reply,
    Reporter, SystemClock,
};
use envoi_envelope::{
    ClientReports, DataCategory, Dsn, Envelope, EnvelopeCodec, EventId, Item, ItemType, RateLimits,
};
use envoi_layers::filter::FilterLayer;
use envoi_layers::outbox::{Capacity, Driver, MemoryStore, Outbox, OutboxConfig, outbox};
use envoi_layers::report::ReportLayer;
use http::{HeaderValue, StatusCode};
use tower::{Layer, Service};

/// Delivers everything, and allocates nothing.
#[derive(Clone, Debug)]
struct Sink;

impl Service<Parcel<Envelope>> for Sink {
    type Response = Receipt;
    type Error = Failure<Envelope>;
    type Future = Ready<Result<Receipt, Failure<Envelope>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure<Envelope>>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, parcel: Parcel<Envelope>) -> Self::Future {
        drop(parcel);
        ready(Ok(Receipt::delivered()))
    }
}

fn event() -> Envelope {
    let payload = format!(r#"{{"message":"{}"}}"#, "m".repeat(4 << 10));
    let input = format!("{{\"event_id\":\"{}\"}}\n{{\"type\":\"event\"}}\n{payload}\n", EventId::random());
    Envelope::parse(input).unwrap()
}

/// What one call of `service` allocates, with a parcel that was made before.
fn of_a_call(
    service: &mut impl Service<Parcel<Envelope>, Response = Receipt, Error = Failure<Envelope>>,
) -> AllocationInfo {
    let mut parcel = Some(Parcel::new(event()));
    let mut fate = None;
    let info = measure(|| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let call = pin!(service.call(parcel.take().expect("a parcel is sent once")));
        if let Poll::Ready(Ok(receipt)) = call.poll(&mut context) {
            fate = Some(receipt.fate());
        }
    });
    assert_eq!(fate, Some(Fate::Delivered));
    info
}

#[track_caller]
fn assert_none(info: AllocationInfo) {
    assert_eq!((info.count_total, info.bytes_total), (0, 0), "allocations, and bytes of them");
}

/// What measures the others would also see an allocation.
#[test]
fn allocations_are_counted() {
    let info = measure(|| drop(Parcel::new(7_u64)));
    assert_eq!((info.count_total, info.count_current), (1, 0));
}

/// Limits that came in a reply, and do not concern an event.
fn limits_on_others() -> RateLimits {
    let limits = RateLimits::default();
    let mut reply = Reply::new(StatusCode::OK);
    let header = HeaderValue::from_static("600:session;transaction;log_item:organization");
    reply.headers.insert("x-sentry-rate-limits", header);
    limits.learn(&reply, SystemClock.now(), SystemClock.wall());
    assert!(limits.any_active(SystemClock.now()));
    limits
}

type Queue = (Outbox<Envelope>, Driver<Sink, Envelope>);

/// An outbox that has been busy: what grows with the backlog has grown.
fn warm_outbox(limits: RateLimits) -> Queue {
    let store = MemoryStore::new().capacity(Capacity::new(usize::MAX, usize::MAX));
    let (outbox, mut driver) = outbox(store, OutboxConfig::new().limits(limits), Sink);
    for _ in 0..64 {
        outbox.post(event()).unwrap();
    }
    while outbox.stats().queued() > 0 {
        let _ = Pin::new(&mut driver).poll(&mut Context::from_waker(Waker::noop()));
    }
    (outbox, driver)
}

/// TR-1: to post costs the caller one allocation, that of the parcel; under limits on other categories as well.
#[test]
fn a_post_allocates_the_parcel_and_nothing_else() {
    for limits in [RateLimits::default(), limits_on_others()] {
        let (outbox, _driver) = warm_outbox(limits);
        for _ in 0..32 {
            let mut envelope = Some(event());
            let mut fate = None;
            let info = measure(|| fate = envelope.take().map(|envelope| outbox.post(envelope)));
            assert_eq!(fate.and_then(Result::ok), Some(Fate::Queued));
            assert_eq!((info.count_total, info.count_current), (1, 1), "the parcel, and it is kept");
            assert!(info.bytes_total < 1024, "{} bytes are more than a parcel has", info.bytes_total);
        }
    }
}

/// TP-1: in a full lane, too, a post allocates its parcel only; the oldest makes room and is counted as lost.
#[test]
fn a_post_into_a_full_lane_allocates_the_parcel_and_nothing_else() {
    let store = MemoryStore::new().capacity(Capacity::new(32, usize::MAX));
    let reports = ClientReports::new();
    let (outbox, _driver) = outbox(store, OutboxConfig::new().losses(reports.clone()), Sink);
    for _ in 0..64 {
        outbox.post(event()).unwrap();
    }
    assert!(reports.is_pending(), "the lane is full");
    for _ in 0..32 {
        let mut envelope = Some(event());
        let info = measure(|| drop(envelope.take().map(|envelope| outbox.post(envelope))));
        assert_eq!(info.count_total, 1);
        assert_eq!(outbox.stats().queued(), 32);
    }
}

/// A parcel that is made already is posted without any allocation.
#[test]
fn posting_a_parcel_allocates_nothing() {
    let (outbox, _driver) = warm_outbox(RateLimits::default());
    let mut parcel = Some(Parcel::new(event()));
    let mut fate = None;
    assert_none(measure(|| fate = parcel.take().map(|parcel| outbox.post(parcel))));
    assert_eq!(fate.and_then(Result::ok), Some(Fate::Queued));
}

/// RL-8: what is not limited passes a filter without any allocation, whether the table of limits is empty or not.
#[test]
fn a_filter_allocates_nothing_for_what_may_pass() {
    for limits in [RateLimits::default(), limits_on_others()] {
        let filter = FilterLayer::new(limits).report_to((Ledger::new(), ClientReports::new()));
        let mut filter = filter.layer(Sink);
        assert_none(of_a_call(&mut filter));
    }
}

/// CR-7: with nothing to report the layer of reports allocates nothing.
#[test]
fn reporting_nothing_allocates_nothing() {
    let mut report = ReportLayer::new(ClientReports::new()).layer(Sink);
    assert_none(of_a_call(&mut report));
}

/// RL-7: questions about limits allocate nothing.
#[test]
fn asking_about_limits_allocates_nothing() {
    for limits in [RateLimits::default(), limits_on_others()] {
        let now = SystemClock.now();
        let mut limited = 0;
        assert_none(measure(|| {
            for category in DataCategory::KNOWN {
                limited += u32::from(limits.is_limited(&category, now));
                limited += u32::from(Limits::is_limited(&limits, &category, now));
                limited += u32::from(limits.category_until(&category, now).is_some());
            }
            let any = [limits.is_idle(), limits.any_active(now), limits.all_until(now).is_some()];
            limited += u32::from(any.into_iter().any(|yes| yes) && limits.next_end(now).is_some());
        }));
        assert_eq!(limited > 0, !limits.is_idle());
    }
}

/// A success that says nothing about limits, as nearly all do, teaches nothing at no cost.
#[test]
fn learning_from_a_quiet_reply_allocates_nothing() {
    let limits = RateLimits::default();
    let mut reply = Reply::new(StatusCode::OK);
    reply.headers.insert("content-type", HeaderValue::from_static("application/json"));
    assert_none(measure(|| limits.learn(&reply, SystemClock.now(), SystemClock.wall())));
    assert!(limits.is_idle());
}

/// CR-1: a loss with known names is counted without any allocation.
#[test]
fn counting_a_loss_allocates_nothing() {
    let reports = ClientReports::new();
    assert_none(measure(|| {
        for reason in DiscardReason::KNOWN {
            for category in &DataCategory::KNOWN {
                reports.lost(reason.clone(), category, 1);
            }
        }
    }));
    assert!(reports.is_pending());
}

/// CR-1: counting what an envelope holds allocates nothing.
#[test]
fn a_tally_allocates_nothing() {
    let envelope = event();
    let mut sum = 0;
    assert_none(measure(|| envelope.tally(&mut |_, quantity| sum += quantity)));
    assert_eq!(sum, 1);
}

/// EN-8: an envelope that was not changed is written without any allocation.
#[test]
fn writing_an_unmodified_envelope_allocates_nothing() {
    let envelope = event();
    let mut body = None;
    assert_none(measure(|| body = Some(envelope.to_segments())));
    assert_eq!(body.expect("it was written").to_bytes(), envelope.to_bytes());
}

const ITEMS: usize = 20;
const PAYLOAD: usize = 64 << 10;

/// EN-8: an envelope of many items becomes a request, with the time of sending in it, without a copy of any payload:
/// as it was read, with an item removed, and as it was built.
#[test]
fn framing_copies_no_payload() {
    let payload = Bytes::from(vec![b'p'; PAYLOAD]);
    let mut built = Envelope::new().with_event_id(EventId::random());
    for number in 0..ITEMS {
        built.push(Item::attachment(&format!("part-{number}"), payload.clone())).unwrap();
    }
    let read = Envelope::parse(built.to_bytes()).unwrap();
    let mut thinned = read.clone();
    let mut number = 0;
    thinned.retain(|item| {
        number += 1;
        *item.item_type() != ItemType::Attachment || number % 2 == 0
    });

    let codec = EnvelopeCodec::new(&Dsn::parse("https://public@example.com/1").unwrap());
    for (envelope, items) in [(&read, ITEMS), (&thinned, ITEMS / 2), (&built, ITEMS)] {
        let mut request = None;
        let info = measure(|| request = codec.encode(envelope).ok());
        let body = request.expect("it can be sent").into_body();
        assert!(body.len() > (items * PAYLOAD) as u64);
        let hundredth = body.len() / 100;
        assert!(info.bytes_total < hundredth, "{} bytes for the framing of {items} items", info.bytes_total);
    }
}

/// EN-8: reading an envelope copies no payload.
#[test]
fn reading_copies_no_payload() {
    let built = Envelope::new().with_item(Item::event(vec![b' '; 1 << 20])).unwrap();
    let input = built.to_bytes();
    let mut envelope = None;
    let info = measure(|| envelope = Envelope::parse(input.clone()).ok());
    assert_eq!(envelope.expect("it can be read"), built);
    assert!(info.bytes_total < 4096, "{} bytes for an envelope of one item", info.bytes_total);
}
