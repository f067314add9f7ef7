//! A simulation of whole stacks under paused time: random schedules of posts, weather, limits, cancellations, flushes,
//! closes and panics, each decided by one number.
//!
//! Everything is real but the clock, the server and, in some, the disk: outbox, filter, reports, codec, the bytes on the
//! wire. After every step the books balance; at the end they agree with what the server has counted on its own, with
//! what it was told, and with what is kept.
//!
//! * `ENVOI_SIM_SEED=n cargo test -p envoi-tests --test simulation` replays one schedule and prints its diary.
//! * `ENVOI_SIM_SEEDS=from..to` runs others than the usual ones.
//!
//! A failure prints its seed, and the schedule cut down to what the failure needs. What was found is mended and kept
//! as a test of its own in the crate that it is about, and its seed in `regressions.txt`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod checks;
mod clock;
mod disk;
mod freight;
mod layers;
mod run;
mod sabotage;
mod schedule;
mod seeds;
mod server;
mod stack;
mod weather;
mod world;

use std::ops::Range;

use run::{Summary, run};
use sabotage::Sabotage;
use schedule::Plan;
use seeds::{check_all, cut_down, to_run};

const SEEDS: Range<u64> = 0..20_000;

/// Runs one seed; a failure is cut down and told.
fn check(seed: u64) -> Result<Summary, String> {
    let plan = Plan::random(seed);
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

/// TR-1, TR-2, RL-8, CR-1, CR-3, CR-5, CR-6, decisions 11, 14, 16 and 17: whatever happens, what was posted is delivered,
/// refused or lost, the books say so after every step, and the server has seen and was told the same.
#[test]
fn the_books_balance_under_any_schedule() {
    if let Ok(seed) = std::env::var("ENVOI_SIM_SEED") {
        let plan = Plan::random(seed.parse().unwrap());
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
    assert!(sum.requests > seeds.len() as u64, "the schedules are too tame: {sum:?}");
}

/// CR-1: a simulation that notices nothing proves nothing. Each of these mistakes is found within a few seeds.
#[test]
fn mistakes_are_noticed() {
    for sabotage in Sabotage::ALL {
        let found = (0..400).find(|seed| run(&Plan::random(*seed), Some(sabotage), false).is_err());
        assert!(found.is_some(), "{sabotage:?} is not noticed");
    }
}
