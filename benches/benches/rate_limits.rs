//! The rate-limit header and table, next to splitting and collecting by hand, and to the limiter of the `sentry` crate.
#![allow(missing_docs, reason = "made by macros")]
#![allow(clippy::unwrap_used, reason = "the samples are valid")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use envoi_benches::now;
use envoi_core::{Clock, Limits, SystemClock};
use envoi_envelope::limits::{LimitOptions, RATE_LIMITS, limits_of_reply};
use envoi_envelope::{DataCategory, RateLimits};
use http::{HeaderMap, HeaderValue, StatusCode};
use sentry::transports::{RateLimiter, RateLimitingCategory};

const HEADERS: [(&str, &str); 2] = [
    ("1 quota", "60:error:organization:quota_exceeded"),
    (
        "4 quotas",
        "60:error;transaction:key:busy, 2700:default;security:organization, 120:log_item;log_byte:project, \
         300:metric_bucket:organization:quota:custom",
    ),
];

/// What one writes in a hurry: strings, no bounds, nothing ignored.
fn by_hand(header: &str) -> Vec<(Duration, Vec<String>)> {
    header
        .split(',')
        .filter_map(|quota| {
            let mut fields = quota.trim().split(':').map(str::trim);
            let delay = fields.next()?.parse().ok()?;
            let categories = fields.next()?.split(';').filter(|name| !name.is_empty()).map(str::to_owned);
            Some((Duration::try_from_secs_f64(delay).ok()?, categories.collect()))
        })
        .collect()
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rate limits: header");
    for (name, header) in HEADERS {
        group.bench_function(BenchmarkId::new("by hand", name), |bencher| {
            bencher.iter(|| by_hand(black_box(header)));
        });
        group.bench_function(BenchmarkId::new("sentry", name), |bencher| {
            let mut limiter = RateLimiter::new();
            bencher.iter(|| limiter.update_from_sentry_header(black_box(header)));
        });
        group.bench_function(BenchmarkId::new("envoi", name), |bencher| {
            let headers = HeaderMap::from_iter([(RATE_LIMITS, HeaderValue::from_static(header))]);
            let (wall, options) = (SystemClock.wall(), LimitOptions::new());
            bencher.iter(|| limits_of_reply(StatusCode::OK, black_box(&headers), wall, &options));
        });
    }
}

fn ask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rate limits: question");
    group.bench_function(BenchmarkId::new("sentry", "idle"), |bencher| {
        let limiter = RateLimiter::new();
        bencher.iter(|| black_box(&limiter).is_enabled(black_box(RateLimitingCategory::Error)));
    });
    group.bench_function(BenchmarkId::new("envoi", "idle"), |bencher| {
        let limits = RateLimits::default();
        bencher.iter(|| black_box(&limits).is_idle());
    });
    group.bench_function(BenchmarkId::new("sentry", "limited"), |bencher| {
        let mut limiter = RateLimiter::new();
        limiter.update_from_sentry_header("60:error:organization");
        bencher.iter(|| black_box(&limiter).is_enabled(black_box(RateLimitingCategory::Error)));
    });
    group.bench_function(BenchmarkId::new("envoi", "limited"), |bencher| {
        let limits = RateLimits::default();
        limits.limit(Some(&DataCategory::Error), Duration::from_secs(3600), now());
        bencher.iter(|| black_box(&limits).is_limited(black_box(&DataCategory::Error), now()));
    });
}

criterion_group!(benches, parse, ask);
criterion_main!(benches);
