use std::sync::Arc;

use envoi_core::{DiscardReason, Kind, Lane, Parcel, Store};
use envoi_spool::Durability;

use crate::support::{
    SECOND, Wall, append, config, dir, drain, error, found, goods, heavy, held, landed, log, now, open, until,
};

/// OC-2, decision 19: over the count the oldest of the least urgent lane goes, once, counted as `cache_overflow`.
#[test]
fn the_least_urgent_gives_way() {
    let dir = dir();
    let (spool, host) = open(dir.path(), config().max_count(4));
    append(&spool, goods(Lane::Lowest, "r1").and("extra", 10), 1);
    append(&spool, log("l1"), 2);
    append(&spool, goods(Lane::Lowest, "r2"), 3);
    append(&spool, error("e1"), 4);
    landed(&spool);
    append(&spool, error("e2"), 5);
    append(&spool, log("l2"), 6);
    append(&spool, error("e3"), 7);
    assert_eq!(host.gone(), [1, 3, 2]);
    let lost = host.lost();
    assert!(lost.iter().all(|(reason, ..)| *reason == DiscardReason::CacheOverflow));
    let counted: Vec<_> = lost.iter().map(|(_, category, quantity)| (&**category, *quantity)).collect();
    assert_eq!(counted, [("lowest", 1), ("extra", 10), ("lowest", 1), ("low", 1)]);
    assert_eq!((held(&spool), spool.stats().evicted), (4, 3));
    assert_eq!(drain(&spool, Lane::Critical), ["e1", "e2", "e3"]);
    assert_eq!(drain(&spool, Lane::Low), ["l2"]);
}

/// OC-2: what is less urgent than all that is there is refused, and nothing goes for it.
#[test]
fn nothing_urgent_goes_for_what_is_not() {
    let dir = dir();
    let (spool, host) = open(dir.path(), config().max_count(2));
    append(&spool, error("e1"), 1);
    append(&spool, error("e2"), 2);
    let refused = spool.append(Parcel::new(log("l")), 3, now()).unwrap_err();
    assert_eq!(refused.fault().kind(), Kind::QueueFull);
    assert!(refused.parcel().is_some());
    assert_eq!((host.gone(), host.lost_total()), (vec![], 0));
    append(&spool, error("e3"), 4);
    assert_eq!(host.gone(), [1]);
}

/// OC-2: the disk stays within the bound in bytes while entries come and go; every entry is delivered, lost or there.
#[test]
fn bytes_are_bounded_on_disk() {
    bytes_are_bounded(false);
    bytes_are_bounded(true);
}

fn bytes_are_bounded(prewrite: bool) {
    const MAX: u64 = 1 << 20;
    let dir = dir();
    let config = config().max_count(100_000).max_bytes(MAX).cache_bytes(0).min_free(0).prewrite(prewrite);
    let (spool, host) = open(dir.path(), config.clone());
    let (mut delivered, mut refused) = (0, 0);
    for tag in 1..=2000 {
        let goods = heavy(if tag % 4 == 0 { Lane::Medium } else { Lane::Low }, "x", 4000);
        // When all that is there is more urgent.
        refused += u64::from(spool.append(Parcel::new(goods), tag, now()).is_err());
        if tag % 50 == 0 {
            landed(&spool);
            assert!(spool.stats().disk_bytes <= MAX, "{:?}", spool.stats());
            if tag % 100 == 0 {
                let leased = crate::support::lease(&spool, Lane::Medium).unwrap();
                spool.settle(leased.id, envoi_core::Settle::Delivered, now());
                delivered += 1;
            }
        }
    }
    landed(&spool);
    assert_eq!(host.lost_total() + held(&spool) + delivered + refused, 2000);
    assert!(host.lost_total() > 500, "{:?}", spool.stats());
    let kept = held(&spool);
    drop(spool);
    let (_spool, host) = open(dir.path(), config);
    assert_eq!(found(&host), kept, "what was evicted is not there again");
}

/// OC-2: what is larger than the whole spool evicts nobody.
#[test]
fn what_never_fits_is_refused() {
    let dir = dir();
    let (spool, host) = open(dir.path(), config().max_bytes(10_000));
    append(&spool, log("small"), 1);
    let refused = spool.append(Parcel::new(heavy(Lane::Low, "x", 20_000)), 2, now()).unwrap_err();
    assert_eq!(refused.fault().kind(), Kind::QueueFull);
    assert!(refused.fault().to_string().contains("(10000 bytes)"), "{}", refused.fault());
    assert!(host.gone().is_empty());
}

/// OC-2, decision 19: what is too old goes, in this run and at the next start; what comes from the future is sent.
#[test]
fn age_is_bounded() {
    let (dir, wall) = (dir(), Wall::new());
    let config = config().max_age(3600 * SECOND).clock(Arc::new(wall.clone()));
    let (spool, host) = open(dir.path(), config.clone());
    append(&spool, log("a"), 1);
    landed(&spool);
    wall.advance(3599 * SECOND);
    append(&spool, log("b"), 2);
    assert!(host.gone().is_empty());
    wall.advance(SECOND);
    append(&spool, error("c"), 3);
    assert_eq!(host.gone(), [1]);
    drop(spool);
    wall.advance(3599 * SECOND);
    let (spool, host) = open(dir.path(), config.clone());
    assert_eq!((found(&host), host.lost()), (2, vec![(DiscardReason::CacheOverflow, "low".into(), 1)]));
    drop(spool);
    let early = Wall::new();
    let (spool, host) = open(dir.path(), config.clock(Arc::new(early)));
    assert_eq!((found(&host), host.lost_total()), (1, 0), "the clock went back, the entry is sent");
    assert_eq!(drain(&spool, Lane::Critical), ["c"]);
}

/// OC-2, OC-11: below the floor of free space nothing is written, and sending goes on from memory.
#[test]
fn free_space_has_a_floor() {
    let dir = dir();
    let (spool, host) = open(dir.path(), config().min_free(u64::MAX / 2).durability(Durability::Os));
    append(&spool, log("a"), 1);
    until("the spool notices", || matches!(spool.stats().state, envoi_spool::SpoolState::Degraded { .. }));
    assert_eq!(spool.stats().on_disk, 0);
    assert_eq!(drain(&spool, Lane::Low), ["a"]);
    assert_eq!(host.lost_total(), 0);
}

/// A small cache: what is not in memory is read back, once, in order.
#[test]
fn what_is_not_in_memory_is_read_back() {
    let dir = dir();
    let (spool, _host) = open(dir.path(), config().cache_bytes(1000));
    for tag in 1..=100 {
        append(&spool, log(tag.to_string()), tag);
    }
    landed(&spool);
    assert!(spool.stats().cached_bytes <= 1100, "{:?}", spool.stats());
    let ids: Vec<String> = (1..=100).map(|id: u64| id.to_string()).collect();
    assert_eq!(drain(&spool, Lane::Low), ids);
    assert!(spool.stats().read < 100, "{:?}", spool.stats());
}
