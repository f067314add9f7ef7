//! What the benchmarks share: envelopes, a server that costs little, and the two ways of sending that are compared.
//!
//! The benchmarks are in `benches/`, `./run` repeats all figures of `docs/performance.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot run should say so and stop"
)]

pub mod clients;
pub mod queues;
pub mod report;
pub mod samples;
pub mod server;
pub mod usage;

use std::time::Instant;

/// The time. Benchmarks are the one place that measures the real one.
#[must_use]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
