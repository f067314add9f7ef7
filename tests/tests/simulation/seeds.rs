//! Runs many seeds at once, and cuts down what fails.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Why a run failed, and its diary.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) why: String,
    pub(crate) diary: String,
}

/// The seeds that once failed, and then the usual ones, or those that `ENVOI_SIM_SEEDS=from..to` asks for.
pub(crate) fn to_run(regressions: &str, usual: Range<u64>) -> Vec<u64> {
    let range = std::env::var("ENVOI_SIM_SEEDS").map_or(usual, |range| {
        let (from, to) = range.split_once("..").unwrap();
        from.parse().unwrap()..to.parse().unwrap()
    });
    let numbers = regressions.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    numbers.chain(range).collect()
}

/// Leaves out steps as long as the schedule fails without them.
pub(crate) fn cut_down<T: Clone>(
    steps: &[T],
    first: Failed,
    fails: impl Fn(&[T]) -> Option<Failed>,
) -> (Vec<T>, Failed) {
    let mut steps = steps.to_vec();
    let mut failed = fails(&steps).unwrap_or(first);
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut shorter = steps.clone();
            shorter.drain(at..(at + chunk).min(steps.len()));
            match fails(&shorter) {
                Some(still) => (steps, failed) = (shorter, still),
                None => at += chunk,
            }
        }
        chunk /= 2;
    }
    (steps, failed)
}

/// A schedule takes milliseconds; one that takes this long spins or waits for something that never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs seeds on two threads and stops at the first failure, which it panics with.
pub(crate) fn check_all<S: Send>(seeds: &[u64], check: impl Fn(u64) -> Result<S, String> + Sync) -> Vec<S> {
    let next = AtomicUsize::new(0);
    let work = |signs: mpsc::Sender<u64>| -> Result<Vec<S>, String> {
        let mut summaries = Vec::new();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            signs.send(*seed).unwrap();
            summaries.push(check(*seed).inspect_err(|_| next.store(seeds.len(), Ordering::Relaxed))?);
        }
        Ok(summaries)
    };
    std::thread::scope(|scope| {
        let workers = [(); 2].map(|()| {
            let (signs, life) = mpsc::channel();
            scope.spawn(move || watch(&life));
            let work = &work;
            scope.spawn(move || work(signs))
        });
        let parts = workers.map(|worker| worker.join().unwrap().unwrap_or_else(|words| panic!("{words}")));
        parts.into_iter().flatten().collect()
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
