//! The Sentry protocol: envelopes, limits, reports.

use std::hint::black_box;

use envoi_core::{Codec, DiscardReason, Itemized, LossSink};
use envoi_envelope::{ClientReports, DataCategory, Envelope, RateLimits, limits};

use crate::delivery::{codec, limited};
use crate::parts::{Still, envelope, input};
use crate::{Step, repeat};

const HEADER: &[u8] =
    b"60:error;transaction:organization:quota, 2700:session:key, 120:metric_bucket:organization::custom";

pub(crate) const STEPS: &[Step] = &[
    ("parse", |times| {
        let input = input();
        repeat(times, || Envelope::parse(input.clone()));
    }),
    ("tally", |times| {
        let envelope = envelope();
        repeat(times, || {
            let mut sum = 0;
            black_box(&envelope).tally(&mut |_, quantity| sum += quantity);
            sum
        });
    }),
    ("segments", |times| {
        let envelope = envelope();
        repeat(times, || black_box(&envelope).to_segments());
    }),
    ("codec", |times| {
        let (codec, envelope) = (codec(), envelope());
        repeat(times, || codec.encode(black_box(&envelope)));
    }),
    ("limits-idle", |times| is_limited(times, &RateLimits::default())),
    ("limits-active", |times| is_limited(times, &limited("600:session:organization"))),
    ("limits-header", |times| repeat(times, || limits::parse::rate_limits([black_box(HEADER)]))),
    ("report-lost", |times| {
        let reports = ClientReports::new();
        repeat(times, || reports.lost(DiscardReason::QueueOverflow, black_box(&DataCategory::Error), 1));
    }),
];

fn is_limited(times: u64, limits: &RateLimits) {
    let now = Still::shared().now();
    repeat(times, || limits.is_limited(black_box(&DataCategory::Error), black_box(now)));
}
