//! An envelope to compressed bytes: the codec and [`CompressLayer`], next to the compressors called by hand on bytes
//! that are written already.
//!
//! At 300 KiB the layer compresses on a blocking thread, which is part of what is measured.
#![allow(missing_docs, reason = "made by macros")]
#![allow(clippy::unwrap_used, reason = "the samples are valid")]

use std::convert::Infallible;
use std::hint::black_box;
use std::io::Write;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use envoi_benches::samples;
use envoi_core::Codec;
use envoi_envelope::{Dsn, Envelope, EnvelopeCodec};
use envoi_http::{CompressLayer, Encoding, RequestBody};
use http::Request;
use tokio::runtime::Runtime;
use tower::{Service, ServiceBuilder, service_fn};

const SIZES: [(&str, usize); 3] = [("4 KiB", 4 << 10), ("40 KiB", 40 << 10), ("300 KiB", 300 << 10)];

/// The same compressor at the same level, without the layer.
fn by_hand(encoding: Encoding, input: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(5));
            encoder.write_all(input).unwrap();
            encoder.finish().unwrap()
        }
        Encoding::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(5));
            encoder.write_all(input).unwrap();
            encoder.finish().unwrap()
        }
        Encoding::Brotli => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 20);
            encoder.write_all(input).unwrap();
            encoder.into_inner()
        }
        Encoding::Zstd => zstd::encode_all(input, 3).unwrap(),
        _ => input.to_vec(),
    }
}

fn encode(criterion: &mut Criterion) {
    let codec = EnvelopeCodec::new(&Dsn::parse("https://public@example.com/1").unwrap());
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("encode");
    for (name, size) in SIZES {
        let input = samples::envelope(size);
        let envelope = Envelope::parse(input.clone()).unwrap();
        group.throughput(Throughput::Bytes(input.len() as u64));
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd] {
            let name = format!("{encoding}, {name}");
            group.bench_function(BenchmarkId::new("by hand", &name), |bencher| {
                bencher.iter(|| by_hand(encoding, black_box(&input)));
            });
            let mut compress = ServiceBuilder::new()
                .layer(CompressLayer::new(encoding))
                .service(service_fn(async |request: Request<RequestBody>| Ok::<_, Infallible>(request)));
            group.bench_function(BenchmarkId::new("envoi", &name), |bencher| {
                let _entered = runtime.enter();
                bencher.iter(|| {
                    let request = codec.encode(black_box(&envelope)).unwrap();
                    runtime.block_on(compress.call(request)).unwrap()
                });
            });
        }
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
