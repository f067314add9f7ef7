//! The smaller parts: probe, drops, goods, clocks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use envoi_core::{DiscardReason, Durable, Itemized, Lane, Payload, SharedClock};
use envoi_testkit::probe::{Answers, Gate, Probe, ProbeHandle};
use envoi_testkit::{Drops, Goods, ManualClock};
use tower::{Service, ServiceExt};

fn probe(capacity: usize) -> (Probe<u32, u32, &'static str>, ProbeHandle) {
    Probe::new(Answers::new(|n| Ok(n + 1), || "down").refusing(|_| "refused"), capacity)
}

#[tokio::test]
async fn a_probe_holds_refuses_and_counts() {
    let (mut service, handle) = probe(4);
    handle.hold();
    let held = tokio::spawn(service.ready().await.unwrap().call(1));
    let cancelled = service.ready().await.unwrap().call(2);
    assert_eq!((handle.counts().in_flight, handle.taken()), (2, 2));
    drop(cancelled);
    handle.release();
    assert_eq!(held.await.unwrap(), Ok(2));
    handle.set_refusing(true);
    assert_eq!(service.ready().await.unwrap().call(3).await, Err("refused"));
    let counts = handle.until(|counts| counts.answered == 2).await;
    assert_eq!((counts.calls, counts.cancelled, counts.in_flight, counts.readied), (3, 1, 0, 3));
    assert_eq!(handle.taken(), 0);
}

#[tokio::test]
async fn a_probe_counts_calls_that_break_the_contract() {
    let (mut service, handle) = probe(4);
    assert_eq!(service.call(1).await, Ok(2), "answered all the same");
    assert_eq!(service.call(1).await, Ok(2));
    assert_eq!((handle.counts().unready_calls, handle.counts().repeated_calls), (1, 1));
}

#[tokio::test]
async fn a_pending_probe_wakes_when_its_gate_opens() {
    let (mut service, handle) = probe(4);
    handle.set_gate(Gate::Pending);
    let waiting = tokio::spawn(async move { service.ready().await.map(drop) });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    handle.set_gate(Gate::Open);
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

#[test]
fn tracked_bytes_live_as_long_as_their_last_slice() {
    let drops = Drops::new();
    let bytes = drops.bytes("abc");
    let slice: Bytes = bytes.slice(1..2);
    drop(bytes);
    assert_eq!((drops.alive(), &slice[..]), (1, &b"b"[..]));
    drop(slice);
    assert_eq!(drops.alive(), 0);
}

fn goods() -> Goods {
    Goods::new("error").and("log", 3).and_item("log", 4, 7).with_id("g").with_lane(Lane::Low)
}

#[test]
fn goods_are_tallied_shed_and_spent() {
    let mut goods = goods().carrying(DiscardReason::SendError, "span", 2);
    assert_eq!((goods.weight().items, goods.weight().bytes), (3, 207));
    let mut tally = Vec::new();
    goods.tally(&mut |category, quantity| tally.push((category.to_string(), quantity)));
    assert_eq!(tally, [("error".into(), 1), ("log".into(), 3), ("log".into(), 4)]);
    assert!(!goods.is_held(&mut |category| category == "log"));
    goods.shed(&mut |category| category == "log", &mut |_, _| {});
    assert_eq!(goods.items().len(), 1);
    goods.shed(&mut |_| true, &mut |_, _| {});
    assert!(!goods.is_spent(), "it still carries news");
    assert!(Goods::nothing().is_spent());
}

#[test]
fn goods_survive_freezing() {
    assert_eq!(Goods::thaw(goods().freeze().unwrap()).unwrap(), goods());
    for bad in ["", "{}", r#"{"lane":"low","items":[["a",-1,0]]}"#, r#"{"lane":"?","items":[]}"#] {
        assert!(Goods::thaw(Bytes::from_static(bad.as_bytes())).is_err(), "{bad}");
    }
}

#[test]
fn a_manual_clock_moves_when_told() {
    let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH));
    let shared: SharedClock = clock.clone();
    let before = shared.now();
    clock.advance(Duration::from_secs(5));
    assert_eq!(shared.now() - before, Duration::from_secs(5));
    assert_eq!(shared.wall(), SystemTime::UNIX_EPOCH + Duration::from_secs(5));
    clock.set_wall(SystemTime::UNIX_EPOCH);
    assert_eq!(shared.now() - before, Duration::from_secs(5), "monotonic time does not jump");
}
