//! What must hold after every step, and what at the end.

use std::collections::{BTreeMap, BTreeSet};

use envoi_core::{Account, Fate, Itemized};
use envoi_envelope::{DataCategory as Category, Envelope};

use envoi_layers::outbox::{End, Notice, Outcome};

use crate::freight::{Counts, Losses, add};
use crate::run::Run;

pub(crate) fn tally(envelope: &Envelope) -> Counts {
    let mut counts = Counts::new();
    envelope.tally(&mut |category, quantity| add(&mut counts, category.clone(), quantity));
    counts
}

/// Counts without those that are nought, so that equal means equal.
fn nonzero<K: Ord + Clone>(counts: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    counts.iter().filter(|(_, count)| **count > 0).map(|(key, count)| (key.clone(), *count)).collect()
}

/// Whether `more` has at least what `less` has.
fn covers<K: Ord>(more: &BTreeMap<K, u64>, less: &BTreeMap<K, u64>) -> bool {
    less.iter().all(|(key, quantity)| *quantity == 0 || more.get(key).is_some_and(|sum| sum >= quantity))
}

/// The books balance, they know what was posted, and what they say is held is what the queues count.
pub(crate) fn after_step(run: &Run<'_>) {
    let world = &run.world;
    let snapshot = world.ledger.snapshot();
    world.check(snapshot.balances(), || format!("the books do not balance: {snapshot:#?}"));
    let posted: Counts =
        snapshot.iter().map(|(category, account)| (category.clone(), account.posted)).collect();
    // A copy on disk may bring back what a layer had dropped on the way.
    let again = run.disk.is_some();
    let equal = nonzero(&posted) == nonzero(&run.posted.counts);
    world.check(equal || (again && covers(&posted, &run.posted.counts)), || {
        format!("posted {:?}, booked {posted:?}", run.posted.counts)
    });
    let Some(outbox) = run.handles.first() else { return };
    let queues: Vec<_> = std::iter::once(outbox).chain(&run.second).collect();
    let mut counted = Counts::new();
    let mut in_flight = 0;
    for queue in &queues {
        queue.held(|category, quantity| add(&mut counted, category.clone(), quantity));
        in_flight += queue.stats().in_flight;
    }
    let held = |account: &Account| account.held().unwrap_or(0);
    let booked: Counts =
        snapshot.iter().map(|(category, account)| (category.clone(), held(account))).collect();
    let (counted, booked) = (nonzero(&counted), nonzero(&booked));
    if run.plan.setup.keeps_parcels() {
        return;
    }
    // What is in flight is counted as it departed; layers may have dropped some of it since.
    let agree = if in_flight == 0 { counted == booked } else { covers(&counted, &booked) };
    world.check(agree, || format!("the queue counts {counted:?}, the books say {booked:?}"));
}

/// Everything has its outcome, and the client's account of it is that of the server.
pub(crate) fn at_the_end(run: &mut Run<'_>) {
    outcomes(run);
    let run = &*run;
    let world = &run.world;
    let snapshot = world.ledger.snapshot();
    let held: Counts =
        snapshot.iter().map(|(category, account)| (category.clone(), account.held().unwrap_or(0))).collect();
    let mut counted = Counts::new();
    for envelope in run.kept() {
        envelope.tally(&mut |category, quantity| add(&mut counted, category.clone(), quantity));
    }
    let agree = snapshot.balances() && nonzero(&held) == nonzero(&counted);
    world.check(agree, || format!("{counted:?} is kept, the books say {snapshot:#?}"));
    let setup = &run.plan.setup;
    let exact = !setup.loses_replies;
    let server = world.server();
    let empty = Account::default();
    let categories: BTreeSet<&Category> = run
        .posted
        .counts
        .keys()
        .chain(server.received.keys())
        .chain(snapshot.iter().map(|(key, _)| key))
        .collect();
    let of = |counts: Option<&Counts>, category: &Category| {
        counts.and_then(|counts| counts.get(category)).copied().unwrap_or(0)
    };
    for category in &categories {
        let account = snapshot.get(category).unwrap_or(&empty);
        let received = of(Some(&server.received), category);
        world.check(account.delivered <= received, || {
            format!("{category}: {} delivered, {received} received", account.delivered)
        });
        if exact {
            world.check(account.delivered == received, || {
                format!("{category}: {} delivered, {received} received", account.delivered)
            });
            for (status, quantity) in &account.refused {
                let seen = of(server.refused.get(status), category);
                let agrees = *quantity == seen || (*status == 503 && setup.retries_503 && *quantity <= seen);
                world.check(agrees, || format!("{category}: {quantity} refused with {status}, {seen} seen"));
            }
        }
    }
    drop(server);
    if setup.reports {
        reports(run, exact);
    }
}

/// Every event has at most one outcome, and what is said to be delivered has arrived.
fn outcomes(run: &mut Run<'_>) {
    let mut told = BTreeSet::new();
    for notice in run.heard() {
        let Notice::Outcome(Outcome { id: Some(id), end, .. }) = notice else { continue };
        run.world.check(told.insert(id.clone()), || format!("event {id} has two outcomes"));
        let number = u128::from_str_radix(&id, 16).unwrap_or_default();
        let arrived = run.world.catalogue().has_accepted(usize::try_from(number).unwrap_or_default());
        let delivered = end == End::Discharged(Fate::Delivered);
        run.world.check(arrived || !delivered, || format!("event {id}: {end:?}, and it never arrived"));
        let refused = matches!(end, End::GivenUp(_));
        let exact = !run.plan.setup.loses_replies;
        run.world.check(!(arrived && refused && exact), || format!("event {id}: {end:?}, and it arrived"));
    }
}

/// The two ways of telling agree: what the server was told of, and what is still to be told, is what the books say was
/// lost, by reason and category; and with what it received and refused with 429 that is everything.
fn reports(run: &Run<'_>, exact: bool) {
    let world = &run.world;
    let snapshot = world.ledger.snapshot();
    let mut told = world.server().reported.clone();
    for report in world.reports.take() {
        for row in report.discarded_events {
            add(&mut told, (row.reason.as_str().to_owned(), row.category), row.quantity);
        }
    }
    // What reports on board of a kept envelope tell of is to be told with it.
    for envelope in run.kept() {
        envelope.carried_losses(&mut |reason, category, quantity| {
            add(&mut told, (reason.as_str().to_owned(), category.clone()), quantity);
        });
    }
    let mut expected: Losses = run.posted.carried.clone();
    for (category, account) in snapshot.iter() {
        for (reason, quantity) in &account.lost {
            add(&mut expected, (reason.as_str().to_owned(), category.clone()), *quantity);
        }
        let refused = account.refused.iter().filter(|(status, _)| **status != 429);
        for (_, quantity) in refused {
            add(&mut expected, ("send_error".to_owned(), category.clone()), *quantity);
        }
    }
    let (told, expected) = (nonzero(&told), nonzero(&expected));
    if exact {
        world.check(told == expected, || format!("reported {told:#?}, lost {expected:#?}"));
    } else {
        world.check(covers(&told, &expected), || format!("reported {told:#?}, lost {expected:#?}"));
    }
    let server = world.server();
    let mut accounted = server.received.clone();
    for (category, quantity) in server.refused.get(&429).into_iter().flatten() {
        add(&mut accounted, category.clone(), *quantity);
    }
    for ((_, category), quantity) in &told {
        add(&mut accounted, category.clone(), *quantity);
    }
    let mut posted: Counts =
        snapshot.iter().map(|(category, account)| (category.clone(), account.posted)).collect();
    for ((_, category), quantity) in &run.posted.carried {
        add(&mut posted, category.clone(), *quantity);
    }
    for envelope in run.kept() {
        envelope.tally(&mut |category, quantity| add(&mut accounted, category.clone(), quantity));
    }
    let (posted, accounted) = (nonzero(&posted), nonzero(&accounted));
    let holds = if exact { posted == accounted } else { covers(&accounted, &posted) };
    world.check(holds, || format!("posted {posted:#?}, accounted for {accounted:#?}"));
}
