use std::path::PathBuf;

use bytes::Bytes;
use envoi_spool::format::KIND_DATA;
use envoi_spool::fs::Fs;
use envoi_spool::log::{AppendError, Log, LogConfig, NewRecord, OpenError, Recovery, Seq, SpoolId};

pub(crate) const ID: SpoolId = SpoolId { uuid: [7; 16], salt: 0x1234_5678 };
/// 2027, in milliseconds.
pub(crate) const WALL: u64 = 1_800_000_000_000;

/// Segments of a page or two, so that a few records change them.
pub(crate) fn small() -> LogConfig {
    LogConfig { segment_bytes: 2048, max_record: 1 << 20, quarantine_bytes: 1 << 20, ..LogConfig::default() }
}

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("/lane")
}

pub(crate) fn open<F: Fs>(fs: &F, dir: impl Into<PathBuf>) -> (Log<F>, Recovery) {
    try_open(fs, dir).unwrap()
}

pub(crate) fn try_open<F: Fs>(fs: &F, dir: impl Into<PathBuf>) -> Result<(Log<F>, Recovery), OpenError> {
    Log::open(fs.clone(), dir.into(), ID, small(), WALL)
}

/// What record `n` of `len` bytes holds: every record differs, and each can be checked by itself.
pub(crate) fn payload(n: u64, len: usize) -> Bytes {
    let seed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
    let mut out = seed.repeat(len.div_ceil(8));
    out.truncate(len);
    out.into()
}

pub(crate) fn meta(n: u64) -> Vec<u8> {
    format!("n={n}").into_bytes()
}

/// Appends the records `(n, len)` in one batch.
pub(crate) fn append<F: Fs>(log: &mut Log<F>, records: &[(u64, usize)]) -> Result<Vec<Seq>, AppendError> {
    let parts: Vec<_> = records.iter().map(|&(n, len)| (n, meta(n), [payload(n, len)])).collect();
    let batch: Vec<_> = parts
        .iter()
        .map(|(n, meta, payload)| NewRecord {
            meta,
            payload,
            enqueued_ms: WALL + n,
            kind: KIND_DATA,
            flags: 0,
        })
        .collect();
    log.append(&batch)
}

/// The number in the meta of a record.
pub(crate) fn number(meta: &[u8]) -> u64 {
    std::str::from_utf8(meta).unwrap().strip_prefix("n=").unwrap().parse().unwrap()
}
