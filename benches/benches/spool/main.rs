//! The disk buffer, with its thread and through its public front, next to what it could be instead: a plain file (the
//! limit), a file per envelope, redb. All of it in each round, ratios within a round.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot run should say so and stop")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

mod drain;
mod enqueue;
mod ours;
mod reopen;
mod rivals;

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use envoi_benches::report::{Effort, Table, median};
use envoi_benches::samples;

use enqueue::Way;
use rivals::{Files, Plain, Redb, Rival};

const STORES: [&str; 5] = ["plain file", "envoi", "file per envelope", "redb", "envoi, zeros ahead"];
const SIZES: [(&str, usize); 2] = [("4 KiB", 4 << 10), ("40 KiB", 40 << 10)];

/// What is measured, how many records of 4 KiB, and how many times fewer for a file per envelope.
const WAYS: [(Way, &str, u64, u64); 6] = [
    (Way::Os, "no sync", 20_000, 4),
    (Way::Interval, "every 50 ms, 4 threads", 40_000, 4),
    (Way::Group(32), "group, 32 wait", 8192, 16),
    (Way::Group(256), "group, 256 wait", 16_384, 16),
    (Way::PerRecord, "each, nobody waits", 1000, 4),
    (Way::Waiting, "each, 1 waits", 1000, 4),
];

/// An empty directory on the disk of the build, which is a real one where that of temporary files may be memory.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        // What others have left to be written is not to be waited for by the next.
        let _ = Command::new("sync").status();
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("spool-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The value of each round, or nothing.
type Rounds<T> = Vec<Vec<Option<T>>>;

fn column<T: Copy>(rounds: &Rounds<T>, store: usize, of: impl Fn(T) -> f64) -> Option<f64> {
    let values: Option<Vec<f64>> = rounds.iter().map(|round| round[store].map(&of)).collect();
    values.map(median)
}

/// One round: every store, each time another one first.
fn in_turn<T>(round: usize, stores: usize, mut run: impl FnMut(usize) -> Option<T>) -> Vec<Option<T>> {
    let mut results: Vec<Option<T>> = (0..stores).map(|_| None).collect();
    for store in (0..stores).map(|store| (store + round) % stores) {
        results[store] = run(store);
    }
    results
}

/// Records for each sync.
fn shared(rounds: &Rounds<enqueue::Figures>, store: usize) -> Option<f64> {
    let values: Option<Vec<f64>> = rounds.iter().map(|round| round[store]?.shared).collect();
    values.map(median)
}

/// To the plain file of the same round.
fn times<T: Copy>(rounds: &Rounds<T>, store: usize, of: impl Fn(T) -> f64) -> Option<f64> {
    let values: Option<Vec<f64>> =
        rounds.iter().map(|round| Some(of(round[store]?) / of(round[0]?))).collect();
    values.map(median)
}

fn text(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

fn of_store<T>(
    store: usize,
    name: &str,
    ours: impl FnOnce(&Path) -> Option<T>,
    theirs: impl Theirs<T>,
) -> Option<T> {
    let dir = Dir::new(name);
    match store {
        0 => theirs.run(&dir.0, Plain::new(&dir.0)),
        1 | 4 => ours(&dir.0),
        2 => theirs.run(&dir.0, Files::new(&dir.0)),
        _ => theirs.run(&dir.0, Redb::new(&dir.0)),
    }
}

/// What is done with each of the others.
trait Theirs<T> {
    fn run<R: Rival + 'static>(self, dir: &Path, rival: R) -> Option<T>;
}

struct Enqueue<'a>(Way, &'a Bytes, u64);

impl Theirs<enqueue::Figures> for Enqueue<'_> {
    fn run<R: Rival + 'static>(self, _dir: &Path, rival: R) -> Option<enqueue::Figures> {
        enqueue::rival(rival, self.0, self.1, self.2)
    }
}

struct Drain<'a>(&'a Bytes, u64);

impl Theirs<drain::Figures> for Drain<'_> {
    fn run<R: Rival + 'static>(self, dir: &Path, rival: R) -> Option<drain::Figures> {
        Some(drain::rival(dir, rival, self.0, self.1))
    }
}

/// What comes after `--NAME` on the command line.
fn argument(name: &str) -> Option<String> {
    let mut words = std::env::args().skip_while(|word| word != name);
    words.nth(1)
}

fn say(what: &str) {
    if std::env::args().any(|word| word == "--bench") {
        eprintln!("spool: {what}");
    }
}

fn enqueue_table(effort: Effort) {
    let columns = [
        "record",
        "sync",
        "store",
        "records/s",
        "× plain file",
        "p50 µs",
        "p99 µs",
        "records per sync",
        "written / payload",
    ];
    let mut table = Table::new(columns);
    // Some of it, to look into: `--only enqueue --way "group, 32" --record "4 KiB"`.
    let (only_way, only_size) =
        (argument("--way").unwrap_or_default(), argument("--record").unwrap_or_default());
    for (size, bytes) in SIZES.into_iter().filter(|(size, _)| size.starts_with(&only_size)) {
        let body = samples::envelope(bytes);
        for (way, name, count, fewer) in WAYS.into_iter().filter(|(_, name, ..)| name.contains(&only_way)) {
            // What waits is a multiple of those who wait.
            let count = effort.of(if bytes > 4 << 10 { (count / 8).max(512) } else { count }, 256);
            let rounds: Rounds<enqueue::Figures> = (0..effort.rounds)
                .map(|round| {
                    say(&format!("round {}: {size}, {name}", round + 1));
                    in_turn(round, STORES.len(), |store| {
                        let count = if store == 2 { (count / fewer).max(256) } else { count };
                        let prewrite = store == 4;
                        let ours = |dir: &Path| {
                            let pays = !matches!(way, Way::Os | Way::Interval);
                            (pays || !prewrite).then(|| enqueue::ours(dir, way, &body, count, prewrite))
                        };
                        of_store(store, "enqueue", ours, Enqueue(way, &body, count))
                    })
                })
                .collect();
            let shown = STORES.into_iter().enumerate();
            for (store, title) in shown.filter(|(store, _)| rounds[0][*store].is_some()) {
                let of = |of: fn(enqueue::Figures) -> f64| column(&rounds, store, of);
                table.row([
                    size.to_owned(),
                    name.to_owned(),
                    title.to_owned(),
                    text(of(|figures| figures.rate), 0),
                    text(times(&rounds, store, |figures| figures.rate), 2),
                    text(of(|figures| figures.p50), 1),
                    text(of(|figures| figures.p99), 1),
                    text(shared(&rounds, store), 0),
                    text(of(|figures| figures.amplification), 2),
                ]);
            }
        }
    }
    table.print();
}

fn drain_table(effort: Effort) {
    let mut table = Table::new([
        "record",
        "store",
        "out: records/s",
        "in and out: records/s",
        "× plain file",
        "on disk, full",
        "on disk, drained",
    ]);
    for (size, bytes) in SIZES {
        let body = samples::envelope(bytes);
        let count = effort.of(if bytes > 4 << 10 { 2500 } else { 20_000 }, 256);
        // Ours twice: with its memory, and reading everything back.
        let rounds: Rounds<drain::Figures> = (0..effort.rounds)
            .map(|round| {
                say(&format!("round {}: {size}, out again", round + 1));
                let of = |store, cached, count| {
                    let ours = |dir: &Path| Some(drain::ours(dir, &body, count, cached));
                    of_store(store, "drain", ours, Drain(&body, count))
                };
                let few = (count / 4).max(256);
                let all =
                    [(0, true, count), (1, false, count), (1, true, count), (2, true, few), (3, true, count)];
                in_turn(round, all.len(), |at| of(all[at].0, all[at].1, all[at].2))
            })
            .collect();
        let titles = [STORES[0], "envoi, read back", "envoi, 16 MiB in memory", STORES[2], STORES[3]];
        for (store, title) in titles.into_iter().enumerate() {
            let of = |of: fn(drain::Figures) -> f64| column(&rounds, store, of);
            table.row([
                size.to_owned(),
                title.to_owned(),
                text(of(|figures| figures.drain), 0),
                text(of(|figures| figures.both), 0),
                text(times(&rounds, store, |figures| figures.both), 2),
                text(of(|figures| figures.full), 3),
                text(of(|figures| figures.empty), 4),
            ]);
        }
    }
    table.print();
}

fn online_table(effort: Effort) {
    let mut table = Table::new(["delivered at once, at most 64 wait", "records/s", "written / payload"]);
    for (size, bytes) in SIZES {
        let body = samples::envelope(bytes);
        let count = effort.of(if bytes > 4 << 10 { 5000 } else { 50_000 }, 256);
        let rounds: Vec<_> = (0..effort.rounds)
            .map(|_| {
                let dir = Dir::new("online");
                drain::online(&dir.0, &body, count)
            })
            .collect();
        table.row([
            size.to_owned(),
            format!("{:.0}", median(rounds.iter().map(|round| round.0))),
            format!("{:.4}", median(rounds.iter().map(|round| round.1))),
        ]);
    }
    table.print();
}

fn reopen_table(effort: Effort) {
    let count = effort.of(100_000, 256);
    let mut table = Table::new([
        "opened with 100,000 × 4 KiB",
        "cold, ms",
        "warm, ms",
        "memory before, MiB",
        "memory after, MiB",
        "peak, MiB",
    ]);
    let rounds = effort.rounds.min(3);
    for kind in reopen::KINDS {
        say(&format!("{kind} is opened"));
        let dir = Dir::new("reopen");
        reopen::fill(kind, &dir.0, count);
        // Not in a test: others on the machine have things in memory, too.
        let cold: Option<Vec<f64>> = (0..rounds)
            .map(|_| (!effort.quick && reopen::forget()).then(|| reopen::open(kind, &dir.0, count).millis))
            .collect();
        reopen::open(kind, &dir.0, count);
        let warm: Vec<_> = (0..rounds).map(|_| reopen::open(kind, &dir.0, count)).collect();
        let of = |of: fn(&reopen::Figures) -> f64| median(warm.iter().map(of));
        table.row([
            kind.to_owned(),
            cold.map_or_else(|| "not permitted".to_owned(), |cold| format!("{:.0}", median(cold))),
            format!("{:.1}", of(|figures| figures.millis)),
            format!("{:.1}", of(|figures| figures.before / 1024.0)),
            format!("{:.1}", of(|figures| figures.after / 1024.0)),
            format!("{:.1}", of(|figures| figures.peak / 1024.0)),
        ]);
    }
    table.print();
}

fn main() {
    let words: Vec<_> = std::env::args().collect();
    if let [_, flag, kind, dir, rest @ ..] = &words[..]
        && flag == "--child"
    {
        return reopen::child(kind, Path::new(dir), rest.first().map(|count| count.parse().unwrap()));
    }
    let effort = Effort::from_args();
    let only = argument("--only");
    let wants = |table| only.as_deref().is_none_or(|only| only == table);
    if wants("enqueue") {
        enqueue_table(effort);
    }
    if wants("drain") {
        drain_table(effort);
    }
    if wants("online") {
        online_table(effort);
    }
    if wants("reopen") {
        reopen_table(effort);
    }
}
