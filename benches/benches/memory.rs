//! The most memory that a process ever has with 10,000 envelopes of 4 KiB queued behind a server that does not answer.
//! Each figure is of a child process of its own.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should say so and stop")]
#![allow(clippy::print_stdout, reason = "this is how a child answers")]

use std::net::TcpListener;
use std::process::Command;

use bytes::Bytes;
use envoi::Envelope;
use envoi_benches::queues::{Options, Ours, Queue, Theirs};
use envoi_benches::report::{Effort, Table, median};
use envoi_benches::samples;
use envoi_benches::usage::peak_memory;

const KINDS: [(&str, &str); 3] = [
    ("envoi", "envoi, parsed envelopes"),
    ("sentry-raw", "sentry, bytes"),
    ("sentry", "sentry, structures (what its client queues)"),
];

/// Queues `count` envelopes and says how much that took.
fn child(kind: &str, count: usize) {
    // Connections wait in the backlog for ever.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dsn = format!("http://public@{}/1", listener.local_addr().unwrap());
    let body = samples::envelope(4 << 10);
    let bytes = body.len();
    let (before, post): (_, Box<dyn Fn()>);
    if kind == "envoi" {
        let options = Options { capacity: Some(count + 100), ..Options::default() };
        let queue = Ours::start(&dsn, body.clone(), options);
        queue.post(queue.goods());
        before = peak_memory();
        // Memory of its own for each, as an application has it.
        post = Box::new(move || queue.post(Envelope::parse(Bytes::copy_from_slice(&body)).unwrap()));
    } else {
        let queue = Theirs::start(&dsn, body.clone(), Some(count + 100));
        let is_raw = kind == "sentry-raw";
        queue.post(queue.goods());
        before = peak_memory();
        post = Box::new(move || {
            queue.post(if is_raw { queue.goods() } else { sentry::Envelope::from_slice(&body).unwrap() });
        });
    }
    for _ in 0..count {
        post();
    }
    println!("{before} {} {bytes}", peak_memory());
    // Not by way of destructors: one of the transports waits for its server.
    std::process::exit(0);
}

fn measure(kind: &str, count: u64) -> [f64; 3] {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(["--child", kind, &count.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap());
    std::array::from_fn(|_| numbers.next().unwrap())
}

fn main() {
    let words: Vec<_> = std::env::args().collect();
    if let [_, flag, kind, count] = &words[..]
        && flag == "--child"
    {
        return child(kind, count.parse().unwrap());
    }
    let effort = Effort::from_args();
    let count = effort.of(10_000, 100);
    let mut table = Table::new([
        "client",
        "peak, idle",
        "peak, 10,000 queued",
        "per envelope",
        "of that beyond its bytes",
    ]);
    for (kind, name) in KINDS {
        let rounds: Vec<_> = (0..effort.rounds.min(3)).map(|_| measure(kind, count)).collect();
        let [before, after, bytes] =
            std::array::from_fn(|index| median(rounds.iter().map(|round| round[index])));
        let each = (after - before) * 1024.0 / count as f64;
        table.row([
            name.to_owned(),
            format!("{:.1} MiB", before / 1024.0),
            format!("{:.1} MiB", after / 1024.0),
            format!("{each:.0} B"),
            format!("{:.0} B", each - bytes),
        ]);
    }
    table.print();
}
