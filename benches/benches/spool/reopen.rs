//! What a start costs with 100,000 records queued. Each figure is of a child process of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use envoi_benches::usage::{memory, peak_memory};
use envoi_benches::{now, samples};
use envoi_spool::Durability;

use crate::ours::{Ours, config};
use crate::rivals::{Redb, Rival};

/// The stores that are opened.
pub(crate) const KINDS: [&str; 2] = ["envoi", "redb"];

/// Milliseconds, and KiB before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) millis: f64,
    pub(crate) before: f64,
    pub(crate) after: f64,
    pub(crate) peak: f64,
}

/// What the child does. `count` is how many are put in, or `None` to open what is there.
#[expect(clippy::print_stdout, reason = "this is how a child answers")]
pub(crate) fn child(kind: &str, dir: &Path, count: Option<u64>) {
    let body = samples::envelope(4 << 10);
    if let Some(count) = count {
        if kind == "envoi" {
            let ours = Ours::new(dir, config(Durability::Os));
            (0..count).for_each(|_| ours.append(Ours::parcel(&body)));
            ours.landed(count);
        } else {
            let mut redb = Redb::new(dir);
            let batch = vec![body; 1000];
            (0..count.div_ceil(1000)).for_each(|_| redb.append(&batch, true));
        }
        return;
    }
    let (before, start) = (memory(), now());
    let (took, after, found);
    if kind == "envoi" {
        let ours = Ours::new(dir, config(Durability::Os));
        took = now() - start;
        (after, found) = (memory(), ours.spool.stats().entries as u64);
    } else {
        let redb = Redb::new(dir);
        assert!(redb.first() > 0);
        took = now() - start;
        (after, found) = (memory(), redb.len());
    }
    println!("{found} {} {before} {after} {}", took.as_secs_f64() * 1e3, peak_memory());
    // Not by way of destructors, which would settle things.
    std::process::exit(0);
}

fn run(kind: &str, dir: &Path, count: Option<u64>) -> String {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--child", kind]).arg(dir).args(count.map(|count| count.to_string()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Puts records into a directory.
pub(crate) fn fill(kind: &str, dir: &Path, count: u64) {
    run(kind, dir, Some(count));
}

/// Makes the system forget what it has in memory of files. Says whether it may.
pub(crate) fn forget() -> bool {
    let _ = Command::new("sync").status();
    fs::write("/proc/sys/vm/drop_caches", "1").is_ok()
}

/// Opens what is there.
pub(crate) fn open(kind: &str, dir: &Path, count: u64) -> Figures {
    let answer = run(kind, dir, None);
    let numbers: Vec<f64> = answer.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [found, millis, before, after, peak] = numbers[..] else { panic!("unreadable: {answer}") };
    assert!(found >= count as f64);
    Figures { millis, before, after, peak }
}
