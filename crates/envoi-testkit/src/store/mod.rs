//! What every [`Store`] must do, as functions over any store of [`Goods`]. `make` gives a fresh, empty one.
//!
//! ```
//! use envoi_layers::outbox::MemoryStore;
//! use envoi_testkit::store;
//!
//! store::lanes_are_queues(MemoryStore::new);
//! store::waiting_blocks_nobody(MemoryStore::new);
//! ```
//!
//! A function panics with what was expected where a store fails it, as a test does. A store may take up to 10 s to fetch
//! something.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, published")]

mod host;

use std::time::{Duration, Instant};

use envoi_core::{
    Clock, IsLimited, Kind, Lane, Lease, Meta, Next, Origin, Parcel, Payload, Settle, Store, SystemClock,
};

pub use host::Host;

use crate::{Goods, GoodsCategory};

const PATIENCE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn goods(lane: Lane, id: impl Into<String>) -> Goods {
    Goods::new(lane.as_str()).with_lane(lane).with_id(id)
}

fn error(id: &str) -> Goods {
    goods(Lane::Critical, id)
}

fn log(id: impl Into<String>) -> Goods {
    goods(Lane::Low, id)
}

fn append(store: &impl Store<Goods>, goods: Goods, tag: u64, now: Instant) {
    assert!(store.append(Parcel::new(goods), tag, now).is_ok(), "tag {tag} was not taken");
}

/// What a store answers when it has fetched what it has to fetch.
fn next(
    store: &impl Store<Goods>,
    lane: Lane,
    now: Instant,
    mut limited: Option<IsLimited<'_, GoodsCategory>>,
) -> Next<Goods> {
    let patience = SystemClock.now() + PATIENCE;
    loop {
        // Each turn lends the closure anew; a plain `as_deref_mut` would borrow it for ever.
        let limited: Option<IsLimited<'_, GoodsCategory>> = match &mut limited {
            Some(limited) => Some(&mut **limited),
            None => None,
        };
        match store.lease(lane, now, limited) {
            Next::Fetching if SystemClock.now() < patience => std::thread::yield_now(),
            other => return other,
        }
    }
}

fn lease(store: &impl Store<Goods>, lane: Lane, now: Instant) -> Option<Lease<Goods>> {
    match next(store, lane, now, None) {
        Next::Ready(lease) => Some(lease),
        _ => None,
    }
}

/// Leases and delivers; the ids in order, until nothing more is ready.
fn drain(store: &impl Store<Goods>, lane: Lane, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| {
        let lease = lease(store, lane, now)?;
        store.settle(lease.id, Settle::Delivered, now);
        Some(lease.parcel.payload().id()?.into_owned())
    })
    .collect()
}

fn give_back(
    store: &impl Store<Goods>,
    lease: Lease<Goods>,
    wait: Option<Duration>,
    until_server: bool,
    now: Instant,
) {
    let not_before = wait.map(|wait| now + wait);
    store.settle(lease.id, Settle::Return { parcel: lease.parcel, not_before, until_server }, now);
}

fn held(store: &impl Store<Goods>) -> u64 {
    let mut sum = 0;
    store.held(&mut |_: &GoodsCategory, quantity| sum += quantity);
    sum
}

/// Oldest first within a lane; lanes know nothing of each other; tags and ages come back.
pub fn lanes_are_queues<S: Store<Goods>>(make: impl Fn() -> S) {
    let (store, host) = Host::connected(make());
    let now = SystemClock.now();
    append(&store, log("a"), 7, now);
    append(&store, error("x"), 8, now + MILLI);
    append(&store, log("b"), 9, now + 2 * MILLI);
    assert!(matches!(next(&store, Lane::High, now, None), Next::Empty));
    let first = lease(&store, Lane::Low, now + SECOND).unwrap();
    assert_eq!((first.tag, first.since), (7, now));
    assert_eq!(drain(&store, Lane::Low, now + SECOND), ["b"]);
    assert_eq!(drain(&store, Lane::Critical, now + SECOND), ["x"]);
    store.settle(first.id, Settle::Delivered, now + SECOND);
    assert!(matches!(next(&store, Lane::Low, now + SECOND, None), Next::Empty));
    assert_eq!(host.lost_total(), 0);
}

/// Decision 18: one that waits does not block those behind it, and has its old place when it is ready.
pub fn waiting_blocks_nobody<S: Store<Goods>>(make: impl Fn() -> S) {
    let (store, _host) = Host::connected(make());
    let now = SystemClock.now();
    for (tag, id) in [(1, "a"), (2, "b"), (3, "c")] {
        append(&store, log(id), tag, now);
    }
    let first = lease(&store, Lane::Low, now).unwrap();
    give_back(&store, first, Some(SECOND), false, now);
    let second = lease(&store, Lane::Low, now).unwrap();
    assert_eq!(second.parcel.payload().id().unwrap(), "b");
    give_back(&store, second, None, false, now);
    assert_eq!(store.depth(Lane::Low).waiting, 1);
    assert_eq!(drain(&store, Lane::Low, now + SECOND - MILLI), ["b", "c"]);
    assert!(matches!(next(&store, Lane::Low, now, None), Next::NotBefore(due) if due == now + SECOND));
    append(&store, log("d"), 4, now + SECOND);
    assert_eq!(drain(&store, Lane::Low, now + SECOND), ["a", "d"]);
}

/// OC-6: hurrying makes a back-off end, but not a wait that a server asked for.
pub fn hurry_respects_servers<S: Store<Goods>>(make: impl Fn() -> S) {
    let (store, _host) = Host::connected(make());
    let now = SystemClock.now();
    append(&store, log("backoff"), 1, now);
    append(&store, log("asked"), 2, now);
    let (backoff, asked) = (lease(&store, Lane::Low, now).unwrap(), lease(&store, Lane::Low, now).unwrap());
    give_back(&store, asked, Some(60 * SECOND), true, now);
    give_back(&store, backoff, Some(60 * SECOND), false, now);
    assert_eq!(drain(&store, Lane::Low, now), [""; 0]);
    store.hurry();
    assert_eq!(drain(&store, Lane::Low, now), ["backoff"]);
    assert!(matches!(next(&store, Lane::Low, now, None), Next::NotBefore(due) if due == now + 60 * SECOND));
    assert_eq!(drain(&store, Lane::Low, now + 60 * SECOND), ["asked"]);
}

/// OC-8, decision 22: what a limit holds stays where it is, blocks nobody, and goes in its order when it is free.
pub fn held_entries_stay<S: Store<Goods>>(make: impl Fn() -> S) {
    let (store, _host) = Host::connected(make());
    let now = SystemClock.now();
    let log = |id: &str, category: &'static str| Goods::new(category).with_lane(Lane::Low).with_id(id);
    append(&store, log("a", "log"), 1, now);
    append(&store, log("b", "profile").and("log", 1), 2, now);
    append(&store, log("c", "log"), 3, now);
    append(&store, log("d", "metric"), 4, now);
    let mut asked = 0;
    let mut limited = |names: &'static [&'static str]| {
        let mut is_limited = |category: &GoodsCategory| {
            asked += 1;
            names.contains(&&**category)
        };
        match next(&store, Lane::Low, now, Some(&mut is_limited)) {
            Next::Ready(lease) => {
                store.settle(lease.id, Settle::Delivered, now);
                lease.parcel.payload().id().unwrap().into_owned()
            }
            other => format!("{other:?}"),
        }
    };
    assert_eq!(limited(&["log"]), "b", "not all of it is held");
    assert_eq!(limited(&["log", "metric"]), "Held");
    assert_eq!(limited(&["metric"]), "a", "free again, in its old order");
    assert_eq!(limited(&["log", "metric"]), "Held");
    assert_eq!(limited(&["log"]), "d");
    assert_eq!(limited(&["log"]), "Held");
    assert_eq!(drain(&store, Lane::Low, now), ["c"], "without limits nothing is held");
}

/// OC-7: replayed parcels go at their pace; live ones behind them are not delayed.
pub fn replayed_entries_are_paced<S: Store<Goods>>(make: impl Fn() -> S) {
    let (store, _host) = Host::connected(make());
    let now = SystemClock.now();
    for tag in 1..=2 {
        let meta = Meta { origin: Origin::Replayed, ..Meta::default() };
        let parcel = Parcel::with_meta(log(format!("old {tag}")), meta);
        assert!(store.append(parcel, tag, now).is_ok());
    }
    append(&store, log("live"), 3, now);
    let first = lease(&store, Lane::Low, now).unwrap();
    assert_eq!(first.parcel.payload().id().unwrap(), "old 1");
    store.settle(first.id, Settle::Delivered, now);
    store.pace(now + 100 * MILLI);
    assert_eq!(drain(&store, Lane::Low, now + 99 * MILLI), ["live"]);
    assert!(matches!(next(&store, Lane::Low, now, None), Next::NotBefore(due) if due == now + 100 * MILLI));
    store.hurry();
    assert_eq!(drain(&store, Lane::Low, now), [""; 0], "the network has nothing to do with the pace");
    assert_eq!(drain(&store, Lane::Low, now + 100 * MILLI), ["old 2"]);
}

/// CR-1: depth and held tell what is there, leased ones left out.
pub fn stock_is_counted<S: Store<Goods>>(make: impl Fn() -> S) {
    let (store, _host) = Host::connected(make());
    let now = SystemClock.now();
    append(&store, log("a").and("log_byte", 30), 1, now);
    append(&store, log("b"), 2, now + SECOND);
    let depth = store.depth(Lane::Low);
    assert_eq!((depth.parcels, depth.items, depth.bytes, depth.oldest), (2, 3, 300, Some(now)));
    assert_eq!(held(&store), 32);
    let mut leased = lease(&store, Lane::Low, now).unwrap();
    assert_eq!((held(&store), store.depth(Lane::Low).oldest), (1, Some(now + SECOND)));
    // It comes back with less in it.
    *leased.parcel.payload_mut() = log("a");
    give_back(&store, leased, None, false, now);
    let depth = store.depth(Lane::Low);
    assert_eq!((depth.parcels, depth.items, depth.bytes, depth.oldest), (2, 2, 200, Some(now)));
    assert_eq!(held(&store), 2);
    let leased = lease(&store, Lane::Low, now).unwrap();
    store.settle(leased.id, Settle::Discarded, now);
    assert_eq!(drain(&store, Lane::Low, now), ["b"]);
    assert_eq!((held(&store), store.depth(Lane::Low)), (0, envoi_core::Depth::default()));
}

/// TR-2, decision 16: after a close nothing is accepted, and everything is kept or recorded, also what comes back late.
pub fn closing_accounts_for_everything<S: Store<Goods>>(make: impl Fn() -> S) {
    let (store, host) = Host::connected(make());
    let now = SystemClock.now();
    for tag in 1..=4 {
        append(&store, goods(Lane::High, format!("{tag}")), tag, now);
    }
    let late = lease(&store, Lane::High, now).unwrap();
    let kept = store.close(now);
    give_back(&store, late, None, false, now);
    let refused = store.append(Parcel::new(error("late")), 5, now).unwrap_err();
    assert_eq!(refused.fault().kind(), Kind::Closed);
    assert_eq!(refused.parcel().map(|parcel| parcel.payload().items().len()), Some(1));
    assert!(lease(&store, Lane::High, now).is_none());
    assert_eq!(host.lost_total() + held(&store), 4);
    assert_eq!(host.gone().len() as u64 + held(&store), 4);
    if kept == 0 {
        let mut gone = host.gone();
        gone.sort_unstable();
        assert_eq!(gone, [1, 2, 3, 4]);
    }
}

/// OC-5: what cannot come back is let go, once; a second settlement of the same lease changes nothing.
pub fn leases_end_once<S: Store<Goods>>(make: impl Fn() -> S) {
    let (store, host) = Host::connected(make());
    let now = SystemClock.now();
    append(&store, log("a"), 1, now);
    let leased = lease(&store, Lane::Low, now).unwrap();
    let durable = store.is_durable(leased.id);
    drop(leased.parcel);
    store.settle(leased.id, Settle::Abandoned, now);
    store.settle(leased.id, Settle::Delivered, now);
    assert_eq!(held(&store), u64::from(durable));
    assert_eq!(host.lost_total(), 0, "who abandons it records it");
}
