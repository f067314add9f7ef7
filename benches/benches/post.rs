//! How long a caller is held up by handing over one envelope, next to the transport of the `sentry` crate: with room in
//! the queue, and with a full one behind a server that does not answer.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should say so and stop")]

use std::sync::Barrier;
use std::time::Duration;

use envoi_benches::queues::{Options, Ours, Queue, Theirs};
use envoi_benches::report::{Effort, Table, median};
use envoi_benches::server::Server;
use envoi_benches::{now, samples};

#[derive(Clone, Copy, Debug)]
struct Percentiles {
    p50: f64,
    p99: f64,
    p999: f64,
}

/// Posts from so many threads at once and times each.
fn post(queue: &impl Queue, threads: usize, each: usize) -> Percentiles {
    let barrier = Barrier::new(threads);
    let mut times: Vec<f64> = std::thread::scope(|scope| {
        let thread = || {
            let mut times = Vec::with_capacity(each);
            barrier.wait();
            for _ in 0..each {
                let goods = queue.goods();
                let start = now();
                queue.post(goods);
                times.push((now() - start).as_nanos() as f64);
            }
            times
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(thread)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    times.sort_by(f64::total_cmp);
    let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000];
    Percentiles { p50: at(500), p99: at(990), p999: at(999) }
}

/// What it costs to look at the clock twice, which is in every figure.
fn clock() -> f64 {
    median((0..10_001).map(|_| {
        let start = now();
        (now() - start).as_nanos() as f64
    }))
}

fn measure(ours: bool, full: bool, threads: usize, total: usize) -> Percentiles {
    // With room, the transport works on a server that takes its time. Without, nothing moves.
    let server = Server::start(if full { Duration::from_secs(3600) } else { Duration::from_millis(20) });
    let room = total + 100;
    let body = samples::envelope(4 << 10);
    let percentiles = if ours {
        let options = Options { capacity: (!full).then_some(room), ..Options::default() };
        run(&Ours::start(&server.dsn(), body, options), &server, full, threads, total)
    } else {
        run(&Theirs::start(&server.dsn(), body, (!full).then_some(room)), &server, full, threads, total)
    };
    drop(server);
    percentiles
}

fn run(queue: &impl Queue, server: &Server, full: bool, threads: usize, total: usize) -> Percentiles {
    for _ in 0..if full { 1100 } else { 50 } {
        queue.post(queue.goods());
    }
    let percentiles = post(queue, threads, total / threads);
    // So that nobody waits for replies when the queue is dropped.
    server.down();
    percentiles
}

fn main() {
    let effort = Effort::from_args();
    let total = usize::try_from(effort.of(16_000, 160)).unwrap();
    let mut table = Table::new(["queue", "threads", "client", "p50", "p99", "p99.9"]);
    for full in [false, true] {
        for threads in [1, 4, 16] {
            let mut rounds = [Vec::new(), Vec::new()];
            for _ in 0..effort.rounds {
                rounds[0].push(measure(true, full, threads, total));
                rounds[1].push(measure(false, full, threads, total));
            }
            for (name, rounds) in ["envoi", "sentry"].into_iter().zip(&rounds) {
                let of = |pick: fn(&Percentiles) -> f64| format!("{:.0} ns", median(rounds.iter().map(pick)));
                table.row([
                    if full { "full" } else { "with room" }.to_owned(),
                    threads.to_string(),
                    name.to_owned(),
                    of(|round| round.p50),
                    of(|round| round.p99),
                    of(|round| round.p999),
                ]);
            }
        }
    }
    table.print();
    let mut clock_table = Table::new(["two looks at the clock, which are in each figure"]);
    clock_table.row([format!("{:.0} ns", clock())]);
    clock_table.print();
}
