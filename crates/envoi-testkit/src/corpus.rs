//! Real envelopes, as real clients sent them: data for tests, benches, examples and demos.
//!
//! 35 envelopes of the Python SDK (2.x and 1.x) and the `sentry` crate, decoded from their content encoding.
//! [`MANIFEST`] says of each what sent it and where every item begins and ends, with hashes of the payloads.
//!
//! ```
//! use envoi_testkit::corpus;
//! assert_eq!(corpus::all().len(), 35);
//! let sample = corpus::get("rust-panic.event.envelope").unwrap();
//! assert!(sample.bytes.starts_with(b"{"));
//! assert!(corpus::MANIFEST.contains(sample.name));
//! ```

/// One envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// The file name, which is also its name in the manifest.
    pub name: &'static str,
    /// The envelope, without content encoding.
    pub bytes: &'static [u8],
}

/// What is known about the samples, as JSON: `{"envelopes", "item_types", "list": [{"file", "bytes", "sha256",
/// "header", "items", "request", …}]}`.
pub const MANIFEST: &str = include_str!("../corpus/manifest.json");

/// All samples, by name.
#[must_use]
pub const fn all() -> &'static [Sample] {
    SAMPLES
}

/// The sample of that file name.
#[must_use]
pub fn get(name: &str) -> Option<&'static Sample> {
    all().iter().find(|sample| sample.name == name)
}

macro_rules! samples {
    ($($name:literal,)*) => {
        &[$(Sample { name: $name, bytes: include_bytes!(concat!("../corpus/", $name)) },)*]
    };
}

// A test compares this list with the folder.
const SAMPLES: &[Sample] = samples![
    "python-attachments.event+attachment.envelope",
    "python-check_in.check_in.envelope",
    "python-client_report.client_report.envelope",
    "python-client_report_ratelimit.client_report.envelope",
    "python-client_report_ratelimit.event.envelope",
    "python-error.event.envelope",
    "python-error_gzip_big.event.envelope",
    "python-everything.event+attachment.envelope",
    "python-everything.transaction.envelope",
    "python-feedback_raw.user_report.envelope",
    "python-logs.log.envelope",
    "python-message.event.envelope",
    "python-message_brotli.event.envelope",
    "python-message_uncompressed.event.envelope",
    "python-metrics.trace_metric.envelope",
    "python-profile_chunk.profile_chunk.envelope",
    "python-session.event.envelope",
    "python-session.session.envelope",
    "python-sessions.sessions.envelope",
    "python-span_stream.span.envelope",
    "python-transaction.transaction.envelope",
    "python-transaction_profile.profile+transaction.envelope",
    "python1-statsd.statsd+metric_meta.envelope",
    "python1-transaction_profile.profile+transaction.envelope",
    "rust-attachments.event+attachment.envelope",
    "rust-check_in.check_in.envelope",
    "rust-client_report.event+client_report.envelope",
    "rust-client_report.event.envelope",
    "rust-error.event.envelope",
    "rust-logs.log.envelope",
    "rust-message.event.envelope",
    "rust-panic.event.envelope",
    "rust-session.event+session.envelope",
    "rust-session.session.envelope",
    "rust-transaction.transaction.envelope",
];
