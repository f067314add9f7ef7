use std::sync::Arc;

use envoi_core::{DiscardReason, Fate, Lane, Parcel, Settle, Store};
use envoi_layers::outbox::{Capacity, MemoryStore, Overflow};
use envoi_spool::{Spool, Tiered};
use envoi_testkit::Goods;
use envoi_testkit::store::{self as contract, Host};

use crate::support::{append, config, dir, drain, error, found, held, id_of, landed, lease, log, now, open};

type Store2 = Tiered<MemoryStore<Goods>, Spool<Goods>>;

fn make(path: &std::path::Path, items: usize) -> Store2 {
    let memory = MemoryStore::new().capacity(Capacity::new(items, 1 << 20)).overflow(Overflow::DropNewest);
    Tiered::new(memory, Spool::open(path, config()).unwrap())
}

/// Two stores are one: the contract of all stores, with room for everything, for some and for nothing in memory.
#[test]
fn two_stores_are_one() {
    for items in [1000, 2, 0] {
        let (dir, count) = (dir(), std::cell::Cell::new(0));
        let make = || {
            count.set(count.get() + 1);
            make(&dir.path().join(count.get().to_string()), items)
        };
        contract::lanes_are_queues(make);
        contract::waiting_blocks_nobody(make);
        contract::hurry_respects_servers(make);
        contract::stock_is_counted(make);
        contract::leases_end_once(make);
        contract::closing_accounts_for_everything(make);
    }
}

/// TP-1, OC-2: what memory has no room for goes to disk, and nothing is lost; order is kept.
#[test]
fn a_full_memory_spills() {
    let dir = dir();
    let (store, host) = Host::connected(make(dir.path(), 2));
    let fates: Vec<_> = (1..=5).map(|tag| append(&store, log(tag.to_string()), tag)).collect();
    assert_eq!(fates, [Fate::Queued, Fate::Queued, Fate::Stored, Fate::Stored, Fate::Stored]);
    assert_eq!((held(&store), store.depth(Lane::Low).parcels), (5, 5));
    assert_eq!(drain(&store, Lane::Low), ["1", "2", "3", "4", "5"]);
    assert_eq!(host.lost_total(), 0);
}

/// The older of both goes first, so that what was spilled is not overtaken for ever.
#[test]
fn what_was_spilled_is_not_overtaken() {
    let dir = dir();
    let spool = Arc::new(Spool::open(dir.path(), config()).unwrap());
    let memory = MemoryStore::new().capacity(Capacity::new(1, 1 << 20)).overflow(Overflow::DropNewest);
    let (store, _host) = Host::connected(Tiered::new(memory, Arc::clone(&spool)));
    append(&store, log("1"), 1);
    append(&store, log("spilled"), 2);
    landed(&spool);
    let first = lease(&store, Lane::Low).unwrap();
    assert_eq!(id_of(&first), "1");
    append(&store, log("3"), 3);
    let second = lease(&store, Lane::Low).unwrap();
    assert_eq!(id_of(&second), "spilled");
    assert!(store.is_durable(second.id) && !store.is_durable(first.id));
    store.settle(second.id, Settle::Delivered, now());
    store.settle(first.id, Settle::Delivered, now());
    assert_eq!(drain(&store, Lane::Low), ["3"]);
}

/// TR-2, decision 16: a close brings what is in memory to the disk, also what waits for a back-off, with its attempts.
#[test]
fn a_close_keeps_what_was_in_memory() {
    let dir = dir();
    let (store, host) = Host::connected(make(dir.path(), 1000));
    append(&store, log("a"), 1);
    append(&store, error("b"), 2);
    append(&store, log("c"), 3);
    let mut waiting = lease(&store, Lane::Low).unwrap();
    waiting.parcel.meta_mut().attempt = 3;
    let not_before = Some(now() + crate::support::SECOND * 3600);
    let back = Settle::Return { parcel: waiting.parcel, not_before, until_server: true };
    store.settle(waiting.id, back, now());
    assert_eq!(store.close(now()), 3);
    assert!(store.append(Parcel::new(log("late")), 4, now()).is_err());
    assert!(host.gone().is_empty() && host.lost_total() == 0);
    drop(store);
    let (spool, host) = open(dir.path(), config());
    assert_eq!(found(&host), 3);
    let a = lease(&spool, Lane::Low).unwrap();
    assert_eq!((id_of(&a), a.parcel.meta().attempt), ("a".to_owned(), 3));
    assert!(host.lost().iter().all(|(reason, ..)| *reason != DiscardReason::QueueOverflow));
}
