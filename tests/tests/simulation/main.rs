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
mod disk;
mod freight;
mod layers;
mod run;
mod sabotage;
mod schedule;
mod server;
mod stack;
mod weather;
mod world;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use run::{Failed, Summary, run};
use sabotage::Sabotage;
use schedule::Plan;

const SEEDS: Range<u64> = 0..20_000;

fn regressions() -> Vec<u64> {
    let lines = include_str!("regressions.txt").lines();
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// Leaves out steps as long as the schedule fails without them.
fn cut_down(plan: &Plan) -> (Plan, Failed) {
    let mut plan = plan.clone();
    let mut failed =
        run(&plan, None, true).err().unwrap_or(Failed { why: "not again".to_owned(), diary: String::new() });
    let mut chunk = plan.steps.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < plan.steps.len() {
            let mut shorter = plan.clone();
            shorter.steps.drain(at..(at + chunk).min(plan.steps.len()));
            match run(&shorter, None, true) {
                Err(still) => (plan, failed) = (shorter, still),
                Ok(_) => at += chunk,
            }
        }
        chunk /= 2;
    }
    (plan, failed)
}

/// Runs one seed; a failure is cut down and told.
fn check(seed: u64) -> Result<Summary, String> {
    let plan = Plan::random(seed);
    run(&plan, None, false).map_err(|first| {
        let (shorter, failed) = cut_down(&plan);
        format!(
            "seed {seed}: {}\n\ncut down: {}\n{}\n{}",
            first.why,
            failed.why,
            shorter.describe(),
            failed.diary
        )
    })
}

/// A schedule takes milliseconds; one that takes this long spins or waits for something that never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs seeds on two threads and stops at the first failure.
fn check_all(seeds: &[u64]) -> Summary {
    let next = AtomicUsize::new(0);
    let work = |signs: mpsc::Sender<u64>| -> Result<Summary, String> {
        let mut sum = Summary::default();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            signs.send(*seed).unwrap();
            let summary = check(*seed).inspect_err(|_| next.store(seeds.len(), Ordering::Relaxed))?;
            sum.requests += summary.requests;
            sum.items += summary.items;
        }
        Ok(sum)
    };
    std::thread::scope(|scope| {
        let workers = [(); 2].map(|()| {
            let (signs, life) = mpsc::channel();
            scope.spawn(move || watch(&life));
            let work = &work;
            scope.spawn(move || work(signs))
        });
        let parts = workers.map(|worker| worker.join().unwrap().unwrap_or_else(|words| panic!("{words}")));
        let [one, two] = parts;
        Summary { requests: one.requests + two.requests, items: one.items + two.items }
    })
}

/// Ends the process if a schedule does not end: a thread that spins cannot be stopped otherwise.
fn watch(life: &mpsc::Receiver<u64>) {
    let mut seed = None;
    loop {
        match life.recv_timeout(PATIENCE) {
            Ok(begun) => seed = Some(begun),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                eprintln!("seed {seed:?} does not end");
                std::process::exit(101);
            }
        }
    }
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
    let range = std::env::var("ENVOI_SIM_SEEDS").map_or(SEEDS, |range| {
        let (from, to) = range.split_once("..").unwrap();
        from.parse().unwrap()..to.parse().unwrap()
    });
    let seeds: Vec<u64> = regressions().into_iter().chain(range).collect();
    let sum = check_all(&seeds);
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
