use envoi_core::{DiscardReason, Lane, Next, Origin, Payload, Settle, Store};
use envoi_testkit::{Goods, GoodsCategory};

use crate::support::{
    append, config, dir, drain, error, found, give_back, goods, held, id_of, landed, lease, log, now, open,
    until,
};

/// OC-1, OC-4, decision 18: what was not delivered is there in the next run, oldest first, at the pace of replayed ones.
#[test]
fn what_was_not_delivered_is_there_after_a_restart() {
    let dir = dir();
    let (spool, host) = open(dir.path(), config());
    for id in 1..=4 {
        append(&spool, log(id.to_string()), id);
    }
    append(&spool, error("x").and("attachment", 7), 9);
    let delivered = lease(&spool, Lane::Low).unwrap();
    spool.settle(delivered.id, Settle::Delivered, now());
    let in_flight = lease(&spool, Lane::Low).unwrap();
    assert_eq!(id_of(&in_flight), "2");
    drop(in_flight);
    drop(spool);
    assert_eq!(host.lost_total(), 0);

    let (spool, host) = open(dir.path(), config());
    assert_eq!((found(&host), held(&spool), spool.stats().entries), (11, 11, 4), "{:?}", host.found());
    let first = lease(&spool, Lane::Low).unwrap();
    assert_eq!((first.tag, first.parcel.meta().origin, id_of(&first)), (0, Origin::Replayed, "2".to_owned()));
    spool.settle(first.id, Settle::Delivered, now());
    append(&spool, log("live"), 5);
    // A live one does not wait for those that have to be read.
    let mut ids = drain(&spool, Lane::Low);
    assert!(ids.contains(&"live".to_owned()));
    ids.retain(|id| id != "live");
    assert_eq!(ids, ["3", "4"]);
    assert_eq!(drain(&spool, Lane::Critical), ["x"]);
    drop(spool);
    let (spool, host) = open(dir.path(), config());
    assert_eq!((found(&host), spool.stats().entries), (0, 0), "all is settled, also on disk");
}

/// OC-4: attempts are counted over all runs.
#[test]
fn attempts_survive_restarts() {
    let dir = dir();
    for run in 0..3 {
        let (spool, _host) = open(dir.path(), config());
        if run == 0 {
            append(&spool, log("a"), 1);
        }
        for attempt in 0..2 {
            let leased = lease(&spool, Lane::Low).unwrap();
            assert_eq!(leased.parcel.meta().attempt, run * 2 + attempt);
            give_back(&spool, leased);
        }
    }
}

/// OC-1: what comes back with less in it is written anew, with its attempts, and keeps its place.
#[test]
fn what_was_shed_stays_shed() {
    let dir = dir();
    let (spool, _host) = open(dir.path(), config());
    append(&spool, log("a").and("attachment", 5), 1);
    append(&spool, log("b"), 2);
    landed(&spool);
    let mut leased = lease(&spool, Lane::Low).unwrap();
    *leased.parcel.payload_mut() = log("a");
    give_back(&spool, leased);
    drop(spool);

    let (spool, host) = open(dir.path(), config());
    assert_eq!(found(&host), 2, "{:?}", host.found());
    let leased = lease(&spool, Lane::Low).unwrap();
    assert_eq!((id_of(&leased), leased.parcel.meta().attempt), ("a".to_owned(), 1));
    assert_eq!(leased.parcel.payload().weight().items, 1);
    spool.settle(leased.id, Settle::Delivered, now());
    assert_eq!(drain(&spool, Lane::Low), ["b"]);
}

/// OC-8, decision 22: after a restart what a limit holds is known without reading it.
#[test]
fn held_entries_are_not_read() {
    let dir = dir();
    let (spool, _host) = open(dir.path(), config());
    let all = |id: &str| Goods::new("log").and("metric", 1).with_lane(Lane::Low).with_id(id);
    append(&spool, all("both"), 1);
    append(&spool, goods(Lane::Low, "free"), 2);
    drop(spool);
    let (spool, _host) = open(dir.path(), config());
    let mut limited = |category: &GoodsCategory| ["log", "metric", "low"].contains(&&**category);
    assert!(matches!(spool.lease(Lane::Low, now(), Some(&mut limited)), Next::Held));
    assert_eq!(spool.stats().read, 0);
    let mut limited = |category: &GoodsCategory| **category == *"log" || **category == *"metric";
    assert!(matches!(spool.lease(Lane::Low, now(), Some(&mut limited)), Next::Fetching));
    assert_eq!(drain(&spool, Lane::Low), ["both", "free"]);
}

/// Decision 21: a report of its own is never on disk; at a close its counts go back.
#[test]
fn reports_are_not_stored() {
    let dir = dir();
    let (spool, host) = open(dir.path(), config());
    let report = || Goods::nothing().with_lane(Lane::Medium).carrying(DiscardReason::SampleRate, "error", 4);
    append(&spool, report(), 1);
    let leased = lease(&spool, Lane::Medium).unwrap();
    assert!(!spool.is_durable(leased.id));
    give_back(&spool, leased);
    assert_eq!(spool.close(now()), 0);
    assert_eq!(host.restored(), [(DiscardReason::SampleRate, "error".into(), 4)]);
    assert_eq!((host.gone(), host.lost_total()), (vec![1], 0));
    drop(spool);
    let (spool, _host) = open(dir.path(), config());
    assert_eq!(spool.stats().entries, 0);
}

/// CR-6: losses that nobody was told of before the end are told in the next run, and then no more.
#[test]
fn unreported_losses_outlive_the_process() {
    let dir = dir();
    let overflow = |quantity| (DiscardReason::CacheOverflow, GoodsCategory::from("low"), quantity);
    let (spool, host) = open(dir.path(), config().max_count(2));
    host.set_unreported(true);
    for tag in 1..=5 {
        append(&spool, log(tag.to_string()), tag);
    }
    assert_eq!(host.lost().len(), 3);
    spool.close(now());
    drop(spool);

    let (spool, host) = open(dir.path(), config());
    let mut told: Vec<_> = host.restored();
    let sum: u64 = told.iter().map(|(.., quantity)| quantity).sum();
    told.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
    assert_eq!((told.len(), sum), (1, overflow(3).2), "{told:?}");
    assert_eq!((told[0].0.clone(), told[0].1.clone()), (overflow(3).0, overflow(3).1));
    assert_eq!(found(&host), 2, "the books of this run know only what is there");
    // This time they have been reported.
    spool.close(now());
    drop(spool);
    let (_spool, host) = open(dir.path(), config());
    assert_eq!(host.restored(), []);
}

/// The losses that are on disk until they are told.
fn reports_on_disk(path: &std::path::Path) -> usize {
    let slots = envoi_spool::store::inspect(path).unwrap();
    let records = slots.iter().flat_map(|slot| &slot.lanes).flat_map(|lane| &lane.records);
    records.filter(|record| record.losses.is_some()).count()
}

/// CR-6: losses are on disk until their report was delivered, and not much longer: a crash after that does not tell them
/// twice. While the carrier is under way, came back or was refused, they stay.
#[test]
fn losses_are_forgotten_when_their_carrier_is_delivered() {
    let dir = dir();
    let (spool, host) = open(dir.path(), config().max_count(2));
    host.set_unreported(true);
    for tag in 1..=3 {
        append(&spool, log(tag.to_string()), tag);
    }
    landed(&spool);
    until("the loss is on disk", || reports_on_disk(dir.path()) == 1);
    // A carrier takes them on board, so nothing is pending.
    let carrier = lease(&spool, Lane::Low).unwrap();
    let other = lease(&spool, Lane::Low).unwrap();
    host.set_unreported(false);
    spool.settle(other.id, Settle::Delivered, now());
    give_back(&spool, carrier);
    let carrier = lease(&spool, Lane::Low).unwrap();
    spool.save_state("seen", b"by the thread").unwrap();
    assert_eq!(reports_on_disk(dir.path()), 1, "it is under way");
    // It is refused, and another one takes them.
    append(&spool, error("e"), 9);
    landed(&spool);
    let second = lease(&spool, Lane::Critical).unwrap();
    spool.settle(carrier.id, Settle::Discarded, now());
    spool.save_state("seen", b"by the thread").unwrap();
    assert_eq!(reports_on_disk(dir.path()), 1, "another one is under way");
    spool.settle(second.id, Settle::Delivered, now());
    until("it is forgotten", || reports_on_disk(dir.path()) == 0);
    // A crash now tells nobody again.
    let copy = crate::support::dir();
    crate::support::copy(dir.path(), copy.path());
    let (_spool, host) = open(copy.path(), config());
    assert_eq!(host.restored(), []);
}

/// CR-6, OC-2: a long outage keeps count of what it costs in a few records, however much that is.
#[test]
fn unreported_losses_stay_small() {
    let dir = dir();
    let (spool, host) = open(dir.path(), config().max_count(1));
    host.set_unreported(true);
    for tag in 1..=300 {
        append(&spool, log(tag.to_string()), tag);
        landed(&spool);
    }
    drop(spool);
    let (spool, host) = open(dir.path(), config());
    let sum: u64 = host.restored().iter().map(|(.., quantity)| quantity).sum();
    assert_eq!((sum, found(&host)), (299, 1));
    assert!(host.restored().len() < 50, "{}", host.restored().len());
    drop(spool);
}
