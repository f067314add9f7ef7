//! The store in memory: the contract of all stores, its bounds, and a comparison with a model that is too simple to be
//! wrong.

use std::time::{Duration, Instant};

use envoi_core::{
    DiscardReason, Fate, Kind, Lane, LeaseId, Meta, Next, Origin, Parcel, Payload, Settle, Store,
};
use envoi_layers::outbox::{Capacity, MemoryStore, Overflow};
use envoi_testkit::store::{self as contract, Host};
use envoi_testkit::{Goods, GoodsCategory};
use proptest::prelude::*;

use crate::support::{error, log, now};

fn store() -> MemoryStore<Goods> {
    MemoryStore::new()
}

/// TP-1: lanes are queues of their own.
#[test]
fn lanes_are_queues() {
    contract::lanes_are_queues(store);
}

/// OC-4, decision 18.
#[test]
fn waiting_blocks_nobody() {
    contract::waiting_blocks_nobody(store);
}

/// OC-6.
#[test]
fn hurry_respects_servers() {
    contract::hurry_respects_servers(store);
}

/// OC-8, decision 22.
#[test]
fn held_entries_stay() {
    contract::held_entries_stay(store);
}

/// OC-7.
#[test]
fn replayed_entries_are_paced() {
    contract::replayed_entries_are_paced(store);
}

/// CR-1.
#[test]
fn stock_is_counted() {
    contract::stock_is_counted(store);
}

/// TR-2, decision 16.
#[test]
fn closing_accounts_for_everything() {
    contract::closing_accounts_for_everything(store);
}

/// OC-5.
#[test]
fn leases_end_once() {
    contract::leases_end_once(store);
}

fn append(store: &MemoryStore<Goods>, goods: Goods, tag: u64) -> Result<Fate, Kind> {
    store.append(Parcel::new(goods), tag, now()).map_err(|failure| {
        assert!(failure.parcel().is_some(), "a refusal hands the parcel back");
        failure.fault().kind()
    })
}

/// TP-1: a full lane drops its own oldest, by items and by bytes, and no other lane notices.
#[test]
fn a_flood_evicts_the_oldest_of_its_own_lane() {
    let (store, host) = Host::connected(
        store().capacity(Capacity::new(2, 1000)).lane_capacity(Lane::High, Capacity::new(10, 250)),
    );
    append(&store, error("x"), 100).unwrap();
    for tag in 1..=5 {
        append(&store, log("flood"), tag).unwrap();
    }
    assert_eq!(host.gone(), [1, 2, 3]);
    for tag in 11..=14 {
        append(&store, log("heavy").with_lane(Lane::High), tag).unwrap();
    }
    assert_eq!(host.gone(), [1, 2, 3, 11, 12]);
    assert_eq!(store.depth(Lane::Critical).parcels, 1);
    let lost = host.lost();
    assert!(lost.iter().all(|(reason, category, quantity)| {
        (reason, &**category, *quantity) == (&DiscardReason::QueueOverflow, "low", 1)
    }));
    assert_eq!(lost.len(), 5);
}

/// TP-1: with `DropNewest` the newcomer is refused, and nothing is recorded by the store.
#[test]
fn drop_newest_refuses_the_newcomer() {
    let (store, host) =
        Host::connected(store().capacity(Capacity::new(1, 1000)).overflow(Overflow::DropNewest));
    assert_eq!(append(&store, log("a"), 1), Ok(Fate::Queued));
    assert_eq!(append(&store, log("b"), 2), Err(Kind::QueueFull));
    assert_eq!((host.gone().len(), store.depth(Lane::Low).parcels), (0, 1));
}

/// TP-1: what could never fit evicts nobody, and the refusal says how to make room.
#[test]
fn what_never_fits_is_refused_with_advice() {
    let (store, host) = Host::connected(store().capacity(Capacity::new(10, 150)));
    append(&store, log("small"), 1).unwrap();
    let parcel = Parcel::new(log("large").and("attachment", 1));
    let failure = store.append(parcel, 2, now()).unwrap_err();
    assert_eq!(
        failure.fault().to_string(),
        "the queue is full: 2 items of 200 bytes are more than the low lane holds (10 items, 150 bytes), raise \
         its capacity"
    );
    assert!(host.gone().is_empty());
}

/// TP-1: what comes back is taken over the bound and evicts nobody; the next newcomer makes room again.
#[test]
fn what_comes_back_is_always_taken() {
    let (store, host) = Host::connected(store().capacity(Capacity::new(1, 1000)));
    append(&store, log("a"), 1).unwrap();
    let Next::Ready(lease) = store.lease(Lane::Low, now(), None) else { panic!("nothing to lease") };
    append(&store, log("b"), 2).unwrap();
    let back = Settle::Return { parcel: lease.parcel, not_before: None, until_server: false };
    store.settle(lease.id, back, now());
    assert_eq!((store.depth(Lane::Low).parcels, host.gone().len()), (2, 0));
    append(&store, log("c"), 3).unwrap();
    assert_eq!(host.gone(), [1, 2]);
}

/// CR-6: a report that is pushed out puts its news back.
#[test]
fn an_evicted_report_puts_its_losses_back() {
    let (store, host) = Host::connected(store().capacity(Capacity::new(1, 1000)));
    append(&store, Goods::nothing().carrying(DiscardReason::SampleRate, "error", 4), 1).unwrap();
    append(&store, Goods::new("span"), 2).unwrap();
    assert_eq!(host.restored(), [(DiscardReason::SampleRate, "error".into(), 4)]);
    assert_eq!(host.lost_total(), 0, "a report is never itself reported");
}

/// CR-1: what is there before there is a host is announced to it.
#[test]
fn an_early_entry_is_found() {
    let early = store();
    append(&early, log("early"), 0).unwrap();
    let (_store, host) = Host::connected(early);
    assert_eq!(host.found(), [("low".into(), 1)]);
}

#[derive(Clone, Debug)]
enum Step {
    Append { lane: Lane, items: usize, category: &'static str, replayed: bool },
    Lease { lane: Lane, limited: Option<Vec<&'static str>> },
    Settle { lease: prop::sample::Index, back: Option<(Option<u64>, bool)> },
    Hurry,
    Advance(u64),
    Pace(u64),
}

fn steps(replays: bool) -> impl Strategy<Value = Vec<Step>> {
    let lane = || prop::sample::select(vec![Lane::Critical, Lane::Low]);
    let category = || prop::sample::select(vec!["error", "log", "span"]);
    let step = prop_oneof![
        6 => (lane(), 1_usize..4, category(), any::<bool>())
            .prop_map(move |(lane, items, category, old)| {
                Step::Append { lane, items, category, replayed: old && replays }
            }),
        6 => (lane(), prop::option::weighted(0.6, prop::collection::vec(category(), 0..3)))
            .prop_map(move |(lane, limited)| Step::Lease { lane, limited: limited.filter(|_| !replays) }),
        4 => (any::<prop::sample::Index>(), prop::option::of((prop::option::of(0_u64..40), any::<bool>())))
            .prop_map(|(lease, back)| Step::Settle { lease, back }),
        1 => Just(Step::Hurry),
        3 => (0_u64..30).prop_map(Step::Advance),
        1 => (0_u64..30).prop_map(Step::Pace),
    ];
    prop::collection::vec(step, 0..120)
}

#[derive(Clone, Debug)]
struct Modelled {
    tag: u64,
    lane: Lane,
    items: usize,
    category: &'static str,
    replayed: bool,
    wait: Option<(Instant, bool)>,
}

/// One list of everything that is queued, in order of age.
#[derive(Default)]
struct Model {
    queued: Vec<Modelled>,
    gone: Vec<u64>,
    pace: Option<Instant>,
}

const ITEMS: usize = 8;

impl Model {
    fn items(&self, lane: Lane) -> usize {
        self.queued.iter().filter(|entry| entry.lane == lane).map(|entry| entry.items).sum()
    }

    fn insert(&mut self, entry: Modelled) {
        let place = self.queued.partition_point(|other| other.tag < entry.tag);
        self.queued.insert(place, entry);
    }

    fn append(&mut self, entry: Modelled) {
        while self.items(entry.lane) + entry.items > ITEMS {
            let oldest = self.queued.iter().position(|other| other.lane == entry.lane).unwrap();
            self.gone.push(self.queued.remove(oldest).tag);
        }
        self.insert(entry);
    }

    fn lease(&mut self, lane: Lane, limited: Option<&[&str]>, now: Instant) -> Result<Modelled, String> {
        let (mut due, mut held) = (Vec::new(), false);
        for place in 0..self.queued.len() {
            let entry = &self.queued[place];
            let pace = self.pace.filter(|pace| entry.replayed && *pace > now);
            if entry.lane != lane {
            } else if let Some((until, _)) = entry.wait.filter(|(until, _)| *until > now) {
                due.push(until);
            } else if let Some(pace) = pace {
                due.push(pace);
            } else if limited.is_some_and(|limited| limited.contains(&entry.category)) {
                held = true;
            } else {
                return Ok(self.queued.remove(place));
            }
        }
        Err(match due.into_iter().min() {
            Some(due) => format!("{:?}", Next::<Goods>::NotBefore(due)),
            None if held => "Held".to_owned(),
            None => "Empty".to_owned(),
        })
    }
}

fn compare(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (store, host) = Host::connected(store().capacity(Capacity::new(ITEMS, usize::MAX)));
    let mut model = Model::default();
    let mut now = now();
    let mut leases: Vec<(LeaseId, Parcel<Goods>, Modelled)> = Vec::new();
    for (tag, step) in (1_u64..).zip(steps) {
        match step {
            Step::Append { lane, items, category, replayed } => {
                let goods = (1..items).fold(Goods::new(category), |goods, _| goods.and(category, 1));
                let origin = if replayed { Origin::Replayed } else { Origin::Live };
                let parcel = Parcel::with_meta(goods.with_lane(lane), Meta { origin, ..Meta::default() });
                prop_assert!(store.append(parcel, tag, now).is_ok());
                model.append(Modelled { tag, lane, items, category, replayed, wait: None });
            }
            Step::Lease { lane, limited } => {
                let next = match &limited {
                    None => store.lease(lane, now, None),
                    Some(names) => {
                        let mut is_limited = |category: &GoodsCategory| names.contains(&&**category);
                        store.lease(lane, now, Some(&mut is_limited))
                    }
                };
                match (next, model.lease(lane, limited.as_deref(), now)) {
                    (Next::Ready(lease), Ok(expected)) => {
                        prop_assert_eq!(lease.tag, expected.tag);
                        leases.push((lease.id, lease.parcel, expected));
                    }
                    (next, expected) => {
                        prop_assert_eq!(format!("{next:?}"), expected.map(|_| ()).unwrap_err());
                    }
                }
            }
            Step::Settle { lease, back } if !leases.is_empty() => {
                let (id, parcel, mut entry) = leases.swap_remove(lease.index(leases.len()));
                match back {
                    None => store.settle(id, Settle::Delivered, now),
                    Some((wait, until_server)) => {
                        let not_before = wait.map(|wait| now + Duration::from_millis(wait));
                        store.settle(id, Settle::Return { parcel, not_before, until_server }, now);
                        entry.wait = not_before.map(|until| (until, until_server));
                        model.insert(entry);
                    }
                }
            }
            Step::Settle { .. } => {}
            Step::Hurry => {
                store.hurry();
                for entry in &mut model.queued {
                    entry.wait = entry.wait.filter(|(_, until_server)| *until_server);
                }
            }
            Step::Advance(millis) => now += Duration::from_millis(millis),
            Step::Pace(millis) => {
                let until = now + Duration::from_millis(millis);
                store.pace(until);
                model.pace = Some(until);
            }
        }
        prop_assert_eq!(host.gone(), model.gone.clone());
        for lane in [Lane::Critical, Lane::Low] {
            let depth = store.depth(lane);
            prop_assert_eq!(depth.items, model.items(lane));
            prop_assert_eq!(depth.parcels, model.queued.iter().filter(|entry| entry.lane == lane).count());
        }
        let mut held = 0;
        store.held(&mut |_, quantity| held += quantity);
        prop_assert_eq!(held, model.queued.iter().map(|entry| entry.items as u64).sum::<u64>());
    }
    Ok(())
}

proptest! {
    /// TP-1, OC-8, decisions 7, 18 and 22: under limits that come and go.
    #[test]
    fn agrees_with_a_model_under_limits(steps in steps(false)) {
        compare(steps)?;
    }

    /// TP-1, OC-7, decision 18: with parcels of an earlier run among the live ones.
    #[test]
    fn agrees_with_a_model_while_replaying(steps in steps(true)) {
        compare(steps)?;
    }
}

/// The weight of test goods is what the bounds above are counted in.
#[test]
fn test_goods_weigh_what_the_tests_think() {
    let weight = log("a").and("log", 5).weight();
    assert_eq!((weight.items, weight.bytes), (2, 200));
}
