//! A simulation of the batch preset under paused time: random schedules of events, weather, flushes, shutdowns, restarts
//! and panics, each decided by one number.
//!
//! Everything is real but the clock, the server and the disk. Half of the schedules run the preset itself, the others the
//! same layers put together by hand, over a store in memory or one that outlives the process. Three parties keep books of
//! their own and are held against the transport: the server, who sees what comes and when; a second circuit breaker, as
//! simple as can be; and a witness above all layers, who knows what has to be reported.
//!
//! * `ENVOI_SIM_SEED=n cargo test -p envoi-tests --test batch_simulation` replays one schedule and prints its diary.
//! * `ENVOI_SIM_SEEDS=from..to` runs others than the usual ones.
//!
//! A failure prints its seed, and the schedule cut down to what the failure needs. What was found is mended and kept as a
//! test of its own in the crate that it is about, and its seed in `regressions.txt`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod checks;
#[path = "../simulation/clock.rs"]
mod clock;
#[path = "../simulation/disk.rs"]
mod disk;
mod front;
mod layers;
mod model;
mod plan;
mod run;
mod sabotage;
#[path = "../simulation/seeds.rs"]
mod seeds;
mod server;
mod stack;
mod weather;
mod witness;
mod world;

use std::ops::Range;

use plan::Plan;
use run::{Summary, run};
use sabotage::Sabotage;
use seeds::{check_all, cut_down, to_run};

const SEEDS: Range<u64> = 0..10_000;

/// Runs one seed; a failure is cut down and told.
fn check(seed: u64) -> Result<Summary, String> {
    let plan = Plan::random(seed, None);
    run(&plan, None, false).map_err(|first| {
        let with = |steps: &[_]| Plan { steps: steps.to_vec(), ..plan.clone() };
        let (steps, failed) =
            cut_down(&plan.steps, first.clone(), |steps| run(&with(steps), None, true).err());
        format!(
            "seed {seed}: {}\n\ncut down: {}\n{}\n{}",
            first.why,
            failed.why,
            with(&steps).describe(),
            failed.diary
        )
    })
}

/// BD-1, BD-2, BD-3, BD-4, BD-5, BD-6, BD-7, BD-9, TR-2, decision 16: whatever happens, no batch has more attempts than it
/// may, waits are as long as they should be, nothing is sent while the circuit is open or after the key was refused, there
/// is one probe at a time, and every event is delivered, kept, or reported as lost exactly once.
#[test]
fn the_guarantees_hold_under_any_schedule() {
    if let Ok(seed) = std::env::var("ENVOI_SIM_SEED") {
        let plan = Plan::random(seed.parse().unwrap(), None);
        println!("{}", plan.describe());
        match run(&plan, None, true) {
            Ok(summary) => println!("{summary:?}"),
            Err(failed) => panic!("{}\n{}", failed.diary, failed.why),
        }
        return;
    }
    let seeds = to_run(include_str!("regressions.txt"), SEEDS);
    let parts = check_all(&seeds, check);
    let sum = parts.iter().fold(Summary::default(), Summary::and);
    println!("{} schedules, {sum:?}", seeds.len());
    // Schedules in which nothing of it happens prove nothing.
    let often = parts.len() as u64 / 20;
    let counts =
        [sum.requests / 2, sum.retries, sum.refused, sum.probes, sum.latched, sum.restarts, sum.kept];
    assert!(counts.iter().all(|count| *count > often), "the schedules are too tame: {sum:?}");
}

/// BD-1, BD-4, BD-5, BD-7: a simulation that notices nothing proves nothing. Each of these mistakes is found within a few
/// seeds.
#[test]
fn mistakes_are_noticed() {
    for sabotage in Sabotage::ALL {
        let found =
            (0..600).find(|seed| run(&Plan::random(*seed, Some(sabotage)), Some(sabotage), false).is_err());
        assert!(found.is_some(), "{sabotage:?} is not noticed");
    }
}
