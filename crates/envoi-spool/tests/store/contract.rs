//! The contract of all stores, on disk.

use std::cell::Cell;

use envoi_spool::{Durability, Spool, SpoolConfig};
use envoi_testkit::{Goods, store as contract};

use crate::support::dir;

/// Runs a part of the contract over spools of several kinds, each fresh.
fn over(part: impl Fn(&dyn Fn() -> Spool<Goods>)) {
    let configs: [SpoolConfig; 4] = [
        SpoolConfig::new(),
        SpoolConfig::new().durability(Durability::Os),
        SpoolConfig::new().durability(Durability::Group).prewrite(true),
        // Nothing stays in memory.
        SpoolConfig::new().durability(Durability::PerRecord).cache_bytes(0),
    ];
    for config in configs {
        let (dir, count) = (dir(), Cell::new(0));
        part(&|| {
            count.set(count.get() + 1);
            Spool::open(dir.path().join(count.get().to_string()), config.clone()).unwrap()
        });
    }
}

/// TP-1: lanes are queues of their own.
#[test]
fn lanes_are_queues() {
    over(|make| contract::lanes_are_queues(make));
}

/// OC-4, decision 18.
#[test]
fn waiting_blocks_nobody() {
    over(|make| contract::waiting_blocks_nobody(make));
}

/// OC-6.
#[test]
fn hurry_respects_servers() {
    over(|make| contract::hurry_respects_servers(make));
}

/// OC-8, decision 22.
#[test]
fn held_entries_stay() {
    over(|make| contract::held_entries_stay(make));
}

/// OC-7.
#[test]
fn replayed_entries_are_paced() {
    over(|make| contract::replayed_entries_are_paced(make));
}

/// CR-1.
#[test]
fn stock_is_counted() {
    over(|make| contract::stock_is_counted(make));
}

/// TR-2, decision 16.
#[test]
fn closing_accounts_for_everything() {
    over(|make| contract::closing_accounts_for_everything(make));
}

/// OC-5.
#[test]
fn leases_end_once() {
    over(|make| contract::leases_end_once(make));
}
