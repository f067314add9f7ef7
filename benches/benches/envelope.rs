//! Envelopes: parse and write, next to the parser and writer of `sentry-types`.
//!
//! The two do not do the same: `sentry-types` turns every payload into structures and copies it, envoi reads headers
//! and leaves payloads where they are. What is compared is what either needs before it can route or send an envelope.
#![allow(missing_docs, reason = "made by macros")]
#![allow(clippy::unwrap_used, reason = "the samples are valid")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use envoi_benches::samples;
use envoi_core::Codec;
use envoi_envelope::{Dsn, Envelope, EnvelopeCodec, Item};
use sentry_types::protocol::v7::Envelope as Structured;

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, size) in samples::SIZES {
        let input = samples::envelope(size);
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(BenchmarkId::new("sentry-types", name), |bencher| {
            bencher.iter(|| Structured::from_slice(black_box(&input)).unwrap());
        });
        group.bench_function(BenchmarkId::new("envoi", name), |bencher| {
            bencher.iter(|| Envelope::parse(black_box(&input).clone()).unwrap());
        });
    }
}

/// To one contiguous buffer, as `sentry-types` writes; as pieces, as the stack writes; and with `sent_at` set, which is
/// what leaves.
fn write(criterion: &mut Criterion) {
    let codec = EnvelopeCodec::new(&Dsn::parse("https://public@example.com/1").unwrap());
    let mut group = criterion.benchmark_group("write");
    for (name, size) in samples::SIZES {
        let input = samples::envelope(size);
        group.throughput(Throughput::Bytes(input.len() as u64));
        let structured = Structured::from_slice(&input).unwrap();
        group.bench_function(BenchmarkId::new("sentry-types", name), |bencher| {
            bencher.iter(|| {
                let mut bytes = Vec::new();
                structured.to_writer(&mut bytes).unwrap();
                bytes
            });
        });
        let read = Envelope::parse(input).unwrap();
        let built = rebuilt(&read);
        group.bench_function(BenchmarkId::new("envoi, one buffer", name), |bencher| {
            bencher.iter(|| black_box(&built).to_bytes());
        });
        group.bench_function(BenchmarkId::new("envoi, pieces", name), |bencher| {
            bencher.iter(|| black_box(&built).to_segments());
        });
        group.bench_function(BenchmarkId::new("envoi, as a request", name), |bencher| {
            bencher.iter(|| codec.encode(black_box(&built)).unwrap());
        });
        group.bench_function(BenchmarkId::new("envoi, unchanged", name), |bencher| {
            bencher.iter(|| black_box(&read).to_bytes());
        });
    }
}

/// The same envelope as an application makes it, without a source to slice from.
fn rebuilt(read: &Envelope) -> Envelope {
    let mut built = Envelope::new().with_event_id(read.event_id().unwrap());
    for item in read.items() {
        let payload = item.payload().clone();
        built
            .push(match item.filename() {
                Some(name) => Item::attachment(&name, payload),
                None => Item::event(payload),
            })
            .unwrap();
    }
    built
}

criterion_group!(benches, parse, write);
criterion_main!(benches);
