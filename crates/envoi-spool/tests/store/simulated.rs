//! The whole store on a simulated disk: faults while it runs, then a killed process or a power cut, then the next run; against
//! a model that knows what was posted, confirmed, delivered and lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use envoi_core::{Fate, Lane, Parcel, Payload, Settle, Store};
use envoi_spool::fs::SimFs;
use envoi_spool::fs::sim::{Chance, Faults, Op};
use envoi_spool::{Durability, Spool, SpoolConfig};
use envoi_testkit::Goods;
use envoi_testkit::store::Host;

use crate::support::{found, held, landed, now, until};

const LANES: [Lane; 2] = [Lane::Critical, Lane::Low];

#[derive(Default)]
struct Model {
    posted: BTreeSet<u64>,
    /// Safe from a power cut, said the store.
    confirmed: BTreeSet<u64>,
    /// Leases ended with an outcome, or the store said that they are gone.
    ended: BTreeSet<u64>,
    /// A write may have failed and yet have reached the disk, and could not be cut off again.
    may_repeat: bool,
}

fn number(goods: &Goods) -> u64 {
    goods.id().unwrap().parse().unwrap()
}

fn quantity(goods: &Goods) -> u64 {
    goods.items().iter().map(|item| item.quantity).sum()
}

/// One run of a process. Returns the disk as the next one finds it.
fn run(fs: &SimFs, model: &mut Model, chance: &mut Chance, next: &mut u64) -> SimFs {
    let durability = [Durability::Os, Durability::default(), Durability::Group, Durability::PerRecord];
    let config = SpoolConfig::new()
        .durability(durability[chance.below(4)])
        .max_count(20 + chance.below(40))
        .max_bytes(200_000)
        .cache_bytes([0, 2000, 1 << 20][chance.below(3)])
        .min_free(0);
    let (spool, host) =
        Host::connected(Spool::<Goods>::open_on(fs.clone(), Path::new("/spool"), config).unwrap());
    let rate = |chance: &mut Chance| if chance.below(3) == 0 { 60 } else { 0 };
    let fail: Vec<_> = [Op::Write, Op::Sync, Op::Create, Op::Unlink, Op::SetLen]
        .into_iter()
        .map(|op| (op, rate(chance)))
        .collect();
    model.may_repeat |= fail.iter().any(|(op, rate)| matches!(op, Op::Write | Op::SetLen) && *rate > 0);
    fs.set_faults(Faults {
        fail,
        short_writes: rate(chance),
        space: (chance.below(4) == 0).then_some(60_000),
        power: None,
        seed: chance.below(1 << 30) as u64,
    });
    let confirmed = Arc::new(Mutex::new(Vec::new()));
    let found_first = found(&host);
    let (mut books, mut delivered) = (found_first, 0);
    let mut tags = BTreeMap::new();
    for _ in 0..chance.below(80) {
        let lane = LANES[chance.below(2)];
        if chance.below(3) < 2 {
            *next += 1;
            let id = *next;
            let goods = Goods::new("a").and("b", 2).with_lane(lane).with_id(id.to_string());
            let goods = goods.and_item("weight", 1, chance.below(3000));
            let (sum, sink) = (quantity(&goods), Arc::clone(&confirmed));
            let confirm = Box::new(move |fate| {
                if fate == Fate::Stored {
                    sink.lock().unwrap().push(id);
                }
            });
            if spool.append_durable(Parcel::new(goods), id, now(), confirm).is_ok() {
                model.posted.insert(id);
                tags.insert(id, id);
                books += sum;
            }
        } else if let envoi_core::Next::Ready(mut lease) = spool.lease(lane, now(), None) {
            let (id, sum) = (number(lease.parcel.payload()), quantity(lease.parcel.payload()));
            assert!(model.posted.contains(&id), "{id} is invented");
            match chance.below(4) {
                0 => {
                    lease.parcel.meta_mut().attempt += 1;
                    let back = Settle::Return { parcel: lease.parcel, not_before: None, until_server: false };
                    spool.settle(lease.id, back, now());
                }
                1 if sum > 1 => {
                    // Some of it is shed on the way.
                    let lane = lease.parcel.payload().lane();
                    *lease.parcel.payload_mut() = Goods::new("a").with_lane(lane).with_id(id.to_string());
                    delivered += sum - 1;
                    let back = Settle::Return { parcel: lease.parcel, not_before: None, until_server: false };
                    spool.settle(lease.id, back, now());
                }
                _ => {
                    model.ended.insert(id);
                    delivered += sum;
                    spool.settle(lease.id, Settle::Delivered, now());
                }
            }
        }
        if chance.below(8) == 0 {
            std::thread::yield_now();
        }
    }
    // First what is known, then the moment of the crash: what is known then was true before it.
    model.confirmed.extend(confirmed.lock().unwrap().iter().copied());
    let snapshot = fs.snapshot();
    model.ended.extend(host.gone().iter().filter(|tag| **tag != 0));
    let lost_of_earlier_runs = host.gone().contains(&0);
    if lost_of_earlier_runs {
        // Which, a store does not say: what is not there any more is not looked for.
        let left: BTreeSet<u64> = drain_ids(&spool, &mut delivered);
        let missing: Vec<u64> = model.posted.difference(&left).copied().collect();
        model.ended.extend(missing);
    }
    // What the thread lets go is told a moment after it went.
    until("the books balance", || {
        books + found(&host) - found_first == delivered + host.lost_total() + held(&spool)
    });
    fs.set_faults(Faults::default());
    if chance.below(2) == 0 { snapshot.kill() } else { snapshot.power_cut(&mut |of| chance.below(of)) }
}

fn drain_ids(spool: &Spool<Goods>, delivered: &mut u64) -> BTreeSet<u64> {
    let mut ids = BTreeSet::new();
    for lane in LANES {
        while let Some(lease) = crate::support::lease(spool, lane) {
            ids.insert(number(lease.parcel.payload()));
            *delivered += quantity(lease.parcel.payload());
            spool.settle(lease.id, Settle::Delivered, now());
        }
    }
    ids
}

/// OC-5, OC-9, OC-11: whatever the disk does, the books of every run balance; what was confirmed is there after a crash, or
/// had its outcome; nothing is invented. Nothing is there twice, unless a write failed that the disk has all the same.
#[test]
fn nothing_confirmed_is_lost_whatever_the_disk_does() {
    for seed in 0..300 {
        let mut chance = Chance::new(seed);
        let (mut fs, mut model, mut next) = (SimFs::new(), Model::default(), 0);
        for _ in 0..3 {
            fs = run(&fs, &mut model, &mut chance, &mut next);
        }
        let config = SpoolConfig::new().max_count(10_000).min_free(0);
        let opened = Spool::<Goods>::open_on(fs.clone(), Path::new("/spool"), config);
        let (spool, host) = Host::connected(opened.unwrap());
        landed(&spool);
        let entries = spool.stats().entries;
        let mut sum = 0;
        let left = drain_ids(&spool, &mut sum);
        assert!(left.len() == entries || model.may_repeat, "seed {seed}: something is there twice");
        assert_eq!(found(&host), sum + host.lost_total(), "seed {seed}");
        assert!(left.is_subset(&model.posted), "seed {seed}: something is invented");
        let gone: Vec<_> =
            model.confirmed.iter().filter(|id| !left.contains(id) && !model.ended.contains(id)).collect();
        assert!(gone.is_empty(), "seed {seed}: {gone:?} were confirmed and are lost");
    }
}
