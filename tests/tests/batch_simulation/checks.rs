//! What must hold after every step, and what at the end.

use crate::front::Front;
use crate::plan::{Handler, UserLayer};
use crate::run::Run;
use crate::world::Report;

/// The books balance, and they know what was handed over.
pub(crate) fn after_step(run: &Run<'_>) {
    let (world, Some(front)) = (&run.world, run.handles.first()) else { return };
    let (account, snapshot) = (front.account(), front.snapshot());
    world.check(snapshot.balances(), || format!("the books do not balance: {snapshot:#?}"));
    let state = world.state();
    let handed_over = state.posted - run.posted_before + run.found;
    let (delivered, latched) = (state.delivered - run.sums.delivered, state.latched);
    drop(state);
    world.check(account.posted == handed_over, || {
        format!("{handed_over} were handed over, the books say {}", account.posted)
    });
    // The books are written right after the witness.
    world.check(account.delivered <= delivered, || {
        format!("{delivered} were delivered, the books say {}", account.delivered)
    });
    world.check(front.is_disabled() == latched, || {
        format!("the server has refused the key: {latched}, and the transport says {}", front.is_disabled())
    });
}

fn sorted(reports: &[Report]) -> Vec<Report> {
    let mut reports = reports.to_vec();
    reports.sort_unstable();
    reports
}

/// Everything has its outcome: every account of it is the same.
pub(crate) fn at_the_end(run: &Run<'_>) {
    let (world, setup, sums) = (&run.world, &run.world.setup, &run.sums);
    let kept: u64 = run.kept().iter().map(|batch| batch.len() as u64).sum();
    let state = world.state();
    let (overflows, told): (Vec<Report>, Vec<Report>) =
        state.told.iter().partition(|(name, _)| *name == "overflow");
    let items = |reports: &[Report]| reports.iter().map(|(_, items)| *items).sum::<u64>();
    let (due, posted, untold, delivered) = (state.due.clone(), state.posted, state.untold, state.delivered);
    let (closed_door, shut_door, unready) = (state.closed_door, state.shut_door, state.unready);
    let latches = state.latches + u64::from(state.latched);
    let accepted: u64 =
        state.batches.values().filter(|batch| batch.is_accepted).map(|batch| batch.events.len() as u64).sum();
    let busy = state.batches.values().filter(|batch| batch.is_underway).count();
    drop(state);

    world.check(busy == 0, || format!("{busy} requests have no end"));
    // BD-7: exactly once, by its name.
    let (told, due) = (sorted(&told), sorted(&due));
    let (mut missing, mut extra) = (due.clone(), Vec::new());
    for report in &told {
        match missing.iter().position(|due| due == report) {
            Some(at) => drop(missing.swap_remove(at)),
            None => extra.push(*report),
        }
    }
    // A witness does not see what is lost because it could not even be called.
    let is_known = extra.iter().all(|(name, _)| *name == "other") && extra.len() as u64 <= unready;
    world.check(missing.is_empty() && is_known, || format!("reported {told:?}, should be {due:?} (BD-7)"));
    if run.is_blind {
        // The books went with the last handle.
        let accounted = delivered + items(&told) + items(&overflows) + closed_door + shut_door + untold;
        world.check(posted == accounted || (latches > 0 && posted > accounted), || {
            format!("{posted} handed over, {accounted} of them accounted for")
        });
        return;
    }
    let overflowed = if setup.preset { sums.overflow() - closed_door } else { sums.overflow() };
    let overflows = items(&overflows);
    // What is lost while a handler posts is in the books only.
    let posts = setup.handler == Handler::Posts && !setup.preset;
    world.check(overflows == overflowed || (posts && overflows < overflowed), || {
        format!("{overflows} reported as overflow, the books say {overflowed} (BD-8)")
    });
    // BD-5: once for every key that was refused, unless a layer of the user has lost the answer.
    let auths = told.iter().filter(|(name, _)| *name == "auth").count() as u64;
    let may_miss = setup.has(UserLayer::PanicAfterAnswer);
    world.check(auths == latches || (may_miss && auths < latches), || {
        format!("{latches} times the key was refused, {auths} times somebody was told (BD-5)")
    });
    // Nothing is gone that nobody was told of, but for what is discarded because the key is no good.
    let accounted = items(&told) + sums.overflow() + shut_door + untold;
    let gone = sums.gone();
    world.check(gone == accounted || (latches > 0 && gone > accounted), || {
        format!("{gone} are gone, {accounted} of them accounted for: {sums:?}")
    });
    if latches > 0 {
        let reason = sums.lost.get(&envoi_core::DiscardReason::SendError).copied().unwrap_or(0);
        world.check(gone - accounted <= reason, || {
            format!("{} are gone without a word, and {reason} because of the key: {sums:?}", gone - accounted)
        });
    }
    // Conservation, over all runs of the program.
    world.check(sums.delivered == delivered, || {
        format!("{delivered} were delivered, the books say {}", sums.delivered)
    });
    world.check(posted == sums.delivered + gone + kept, || {
        format!("{posted} handed over, {} delivered, {gone} gone, {kept} kept", sums.delivered)
    });
    world.check(
        delivered == accepted || (setup.may_forget() && delivered <= accepted) || setup.may_repeat(),
        || format!("{delivered} delivered, the server has {accepted}"),
    );
}

/// The books of a sink balance as well, whatever it does.
pub(crate) fn sinks(run: &Run<'_>) {
    for sink in &run.sinks {
        let snapshot = sink.ledger.snapshot();
        run.world.check(snapshot.balances() && snapshot.is_settled(), || {
            format!("the books of a sink do not balance: {snapshot:#?}")
        });
    }
}

/// Whether anything can be delivered from here on.
pub(crate) fn is_able(front: &Front, run: &Run<'_>) -> bool {
    let setup = &run.world.setup;
    let harmless = |layer: &UserLayer| {
        matches!(layer, UserLayer::FanOut | UserLayer::ConcurrencyLimit | UserLayer::LoadShed)
    };
    !front.is_disabled()
        && !front.is_closed()
        && !run.driver_dropped
        && setup.user_layers.iter().all(harmless)
}
