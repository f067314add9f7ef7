//! Envelopes per second from the first post to the last reply, next to the transport of the `sentry` crate and to
//! hyper's client in a loop, at several latencies of the server.
//!
//! The server has a thread of its own, and what it uses of the processor is not counted. Queues are given room for
//! everything, so that nobody drops. Hyper's loop keeps one request, ready made; the queues take envelopes.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should say so and stop")]

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use envoi::{Dsn, Encoding};
use envoi_benches::clients::Bare;
use envoi_benches::queues::{Options, Ours, Queue, Theirs};
use envoi_benches::report::{Effort, Table, median, ratio};
use envoi_benches::server::Server;
use envoi_benches::usage::client_cpu;
use envoi_benches::{now, samples};
use futures_util::future::join_all;

const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Hyper,
    Envoi,
    Sentry,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    who: Who,
    lanes: usize,
    encoding: Encoding,
    count: u64,
}

impl Case {
    fn label(&self, latency: u64) -> String {
        let who = format!("{:?}", self.who).to_lowercase();
        format!("{latency} ms {who} {} {}", self.lanes, self.encoding)
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    per_second: f64,
    /// Seconds of processor time for 10,000 envelopes.
    cpu: f64,
}

/// Runs `work`, which has `count` envelopes sent.
fn timed(count: u64, work: impl FnOnce()) -> Sample {
    let (start, cpu) = (now(), client_cpu());
    work();
    let (time, cpu) = (now() - start, client_cpu().saturating_sub(cpu));
    let count = count as f64;
    Sample { per_second: count / time.as_secs_f64(), cpu: cpu.as_secs_f64() / count * 10_000.0 }
}

fn drain(queue: &impl Queue, server: &Server, lanes: u64, count: u64) -> Sample {
    let post = |count| {
        let target = server.received() + count;
        for _ in 0..count {
            queue.post(queue.goods());
        }
        assert!(server.wait_for(target, PATIENCE), "envelopes are missing at the server");
    };
    post(lanes);
    timed(count, || post(count))
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(5));
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap().into()
}

/// `lanes` loops that send one request after the other, compressing each if that is asked for.
fn by_hand(dsn: &Dsn, body: &Bytes, case: Case) -> Sample {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Bare::new(dsn, body.clone());
    let lanes = case.lanes as u64;
    let run = |count: u64| {
        let lane = |lane| {
            let (client, share) = (&client, count / lanes + u64::from(lane < count % lanes));
            async move {
                for _ in 0..share {
                    match case.encoding {
                        Encoding::Gzip => client.send_encoded("gzip", gzip(body)).await,
                        _ => client.send(1).await,
                    }
                }
            }
        };
        runtime.block_on(join_all((0..lanes).map(lane)));
    };
    run(lanes);
    timed(case.count, || run(case.count))
}

fn measure(server: &Server, body: &Bytes, case: Case) -> Sample {
    let dsn = server.dsn();
    let (lanes, room) = (case.lanes as u64, usize::try_from(case.count).unwrap() + case.lanes);
    match case.who {
        Who::Hyper => by_hand(&Dsn::parse(&dsn).unwrap(), body, case),
        Who::Envoi => {
            let options = Options { concurrency: case.lanes, encoding: case.encoding, capacity: Some(room) };
            drain(&Ours::start(&dsn, body.clone(), options), server, lanes, case.count)
        }
        Who::Sentry => drain(&Theirs::start(&dsn, body.clone(), Some(room)), server, lanes, case.count),
    }
}

fn cases(latency: u64, effort: Effort) -> Vec<Case> {
    let case = |who, lanes: usize, encoding, full| {
        let count = effort.of(full, lanes as u64);
        Case { who, lanes, encoding, count }
    };
    let (plain, gzip) = (Encoding::Identity, Encoding::Gzip);
    match latency {
        0 => vec![
            case(Who::Hyper, 1, plain, 6000),
            case(Who::Envoi, 1, plain, 6000),
            case(Who::Sentry, 1, plain, 6000),
            case(Who::Hyper, 8, plain, 12_000),
            case(Who::Envoi, 8, plain, 12_000),
            case(Who::Hyper, 8, gzip, 8000),
            case(Who::Envoi, 8, gzip, 8000),
        ],
        _ => {
            // About a second each.
            let count = |lanes: u64| (lanes * 1000 / latency).max(lanes * 2);
            let at = |who, lanes: usize, encoding| case(who, lanes, encoding, count(lanes as u64));
            vec![
                at(Who::Sentry, 1, plain),
                at(Who::Hyper, 8, plain),
                at(Who::Envoi, 8, gzip),
                at(Who::Envoi, 16, gzip),
                at(Who::Envoi, 32, gzip),
                at(Who::Hyper, 64, plain),
                at(Who::Envoi, 64, gzip),
            ]
        }
    }
}

fn main() {
    let effort = Effort::from_args();
    let body = samples::envelope(4 << 10);
    let mut table = Table::new([
        "server",
        "client",
        "in flight",
        "encoding",
        "envelopes/s",
        "× hyper alike",
        "× sentry",
        "CPU s per 10,000",
    ]);
    // For a profiler: `--only "0 ms envoi 8 identity"`.
    let only = std::env::args().skip_while(|word| word != "--only").nth(1);
    let latencies = if effort.quick { vec![0, 1] } else { vec![0, 20, 200] };
    for latency in latencies {
        let server = Server::start(Duration::from_millis(latency));
        let mut cases = cases(latency, effort);
        if let Some(only) = &only {
            cases.retain(|case| case.label(latency).starts_with(only.as_str()));
        }
        let rounds: Vec<Vec<Sample>> = (0..effort.rounds)
            .map(|_| cases.iter().map(|case| measure(&server, &body, *case)).collect())
            .collect();
        for (index, case) in cases.iter().enumerate() {
            let over = |other: usize| {
                median(rounds.iter().map(|round| round[index].per_second / round[other].per_second))
            };
            // The loop with as many in flight; encodings matter only where nobody waits for the server.
            let alike = |other: &Case| {
                other.who == Who::Hyper
                    && other.lanes == case.lanes
                    && (latency > 0 || other.encoding == case.encoding)
            };
            let is_first = |other: &Case| other.who == Who::Sentry;
            table.row([
                format!("{latency} ms"),
                format!("{:?}", case.who).to_lowercase(),
                case.lanes.to_string(),
                case.encoding.to_string(),
                format!("{:.0}", median(rounds.iter().map(|round| round[index].per_second))),
                ratio((case.who != Who::Hyper).then(|| cases.iter().position(alike).map(over)).flatten()),
                ratio((case.who != Who::Sentry).then(|| cases.iter().position(is_first).map(over)).flatten()),
                format!("{:.3}", median(rounds.iter().map(|round| round[index].cpu))),
            ]);
        }
    }
    table.print();
}
