//! One exchange over loopback: the composed stack next to hyper's client used by hand, sending the same bytes.
//!
//! The server is on a thread of its own, the client on another. With several requests in flight the time is per
//! request.
#![allow(missing_docs, reason = "made by macros")]
#![allow(clippy::unwrap_used, reason = "the samples are valid")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use envoi_benches::clients::{Bare, deliver, stack};
use envoi_benches::server::Server;
use envoi_benches::{now, samples};
use envoi_envelope::{Dsn, Envelope};
use envoi_http::Encoding;
use futures_util::future::join_all;

/// Runs `work(n)` in `lanes` at once, so that all together do `total`.
async fn at_once<F: Future<Output = ()>>(total: u64, lanes: u64, work: impl Fn(u64) -> F) -> Duration {
    let share = |lane: u64| total / lanes + u64::from(lane < total % lanes);
    let start = now();
    join_all((0..lanes).map(|lane| work(share(lane)))).await;
    now() - start
}

fn exchange(criterion: &mut Criterion) {
    let server = Server::start(Duration::ZERO);
    let dsn = Dsn::parse(&server.dsn()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("exchange");
    for (name, size) in [("4 KiB", 4 << 10), ("40 KiB", 40 << 10)] {
        let input = samples::envelope(size);
        let envelope = Envelope::parse(input.clone()).unwrap();
        let bare = Bare::new(&dsn, input);
        let stack = stack(&dsn, Encoding::Identity);
        for lanes in [1, 8] {
            let name = format!("{name}, {lanes} in flight");
            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::new("hyper", &name), |bencher| {
                bencher
                    .iter_custom(|total| runtime.block_on(at_once(total, lanes, |count| bare.send(count))));
            });
            group.bench_function(BenchmarkId::new("envoi", &name), |bencher| {
                let work = |count| deliver(stack.clone(), &envelope, count);
                bencher.iter_custom(|total| runtime.block_on(at_once(total, lanes, work)));
            });
        }
    }
}

criterion_group!(benches, exchange);
criterion_main!(benches);
