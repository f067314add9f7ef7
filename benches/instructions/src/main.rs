//! Repeats one step so many times, for `run` to count the instructions of it.
//!
//! `instructions` lists the steps, `instructions STEP N` repeats one. Nothing in here depends on time, on chance or on
//! other threads: the clock stands still, futures are polled by hand, and what a step needs is made before it.
#![allow(clippy::unwrap_used, reason = "the samples are valid, and a step that fails has to be seen")]

mod batch;
mod delivery;
mod exchange;
mod parts;
mod protocol;

use std::hint::black_box;
use std::process::ExitCode;

/// A name, and what repeats the step.
type Step = (&'static str, fn(u64));

const STEPS: &[&[Step]] = &[delivery::STEPS, batch::STEPS, exchange::STEPS, protocol::STEPS];

/// The loop of every step.
fn repeat<T>(times: u64, mut step: impl FnMut() -> T) {
    for _ in 0..times {
        black_box(step());
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut steps = STEPS.iter().copied().flatten();
    match &arguments[..] {
        [] => steps.for_each(|(name, _)| println!("{name}")),
        [wanted, times] => {
            let Some((_, run)) = steps.find(|(name, _)| name == wanted) else {
                eprintln!("no step `{wanted}`; without arguments all are listed");
                return ExitCode::from(2);
            };
            run(times.parse().unwrap());
        }
        _ => {
            eprintln!("usage: instructions [STEP TIMES]");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
