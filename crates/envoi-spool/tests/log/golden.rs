//! Format v1 as files, made once and read for ever.
//!
//! `ENVOI_BLESS=1` writes files that are missing; it never replaces one.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use envoi_spool::format::{AckKind, KIND_DATA, KIND_LOSS, SpoolHeader};
use envoi_spool::fs::RealFs;
use envoi_spool::fs::{Fs, SimFs};
use envoi_spool::log::{IndexEntry, Log, LogConfig, NewRecord, Seq, SpoolId, verify};

const WALL: u64 = 1_790_000_000_000;
const HEADER: SpoolHeader =
    SpoolHeader { features: 0, uuid: *b"golden spool v1 ", salt: 0xC0FF_EE11, created_ms: WALL };
const ID: SpoolId = SpoolId { uuid: HEADER.uuid, salt: HEADER.salt };
const FILES: [&str; 5] = [
    "SPOOL",
    "lane/0000000000000001.seg",
    "lane/0000000000000001.ack",
    "lane/0000000000000002.seg",
    "lane/0000000000000002.ack",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1")
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 600, ..LogConfig::default() }
}

/// Eleven records: of no byte, of many, in pieces, with and without meta, a loss report, all outcomes.
fn write<F: Fs>(fs: &F, dir: &Path) {
    let (mut log, _) = Log::open(fs.clone(), dir.into(), ID, config(), WALL).unwrap();
    let pieces = [Bytes::from_static(b"in "), Bytes::from_static(b""), Bytes::from_static(b"pieces")];
    let long = [Bytes::from((0..=255).collect::<Vec<u8>>())];
    let record =
        |meta, payload, n: u64, kind, flags| NewRecord { meta, payload, enqueued_ms: WALL + n, kind, flags };
    let seqs = log
        .append(&[
            record(&b"error=1"[..], &pieces[..], 1, KIND_DATA, 0),
            record(b"", &[], 2, KIND_DATA, 0),
            record(b"span=3", &long, 3, KIND_DATA, 2),
            record(b"error=2", &pieces[2..], 4, KIND_LOSS, 0),
        ])
        .unwrap();
    let kinds = [AckKind::Delivered, AckKind::Attempt];
    for (seq, kind) in seqs.iter().zip(kinds) {
        assert!(log.ack(*seq, kind, WALL + 5_000));
    }
    for n in 5..=11 {
        log.append(&[record(b"log_item=5", &pieces[..1], n, KIND_DATA, 0)]).unwrap();
    }
    let kinds = [
        AckKind::Evicted,
        AckKind::Rejected,
        AckKind::Expired,
        AckKind::Corrupt,
        AckKind::Void,
        AckKind::Superseded,
    ];
    for (seq, kind) in (6..).zip(kinds) {
        assert!(log.ack(Seq(seq), kind, WALL + 6_000));
    }
    log.close().unwrap();
}

fn expected() -> Vec<IndexEntry> {
    let entry = |seq, meta: &[u8], payload_len, attempts, kind, flags, bytes_on_disk| IndexEntry {
        seq: Seq(seq),
        enqueued_ms: WALL + seq,
        meta: meta.into(),
        payload_len,
        attempts,
        kind,
        flags,
        bytes_on_disk,
    };
    vec![
        entry(2, b"", 0, 1, KIND_DATA, 0, 40),
        entry(3, b"span=3", 256, 0, KIND_DATA, 2, 304),
        entry(4, b"error=2", 6, 0, KIND_LOSS, 0, 56),
        entry(5, b"log_item=5", 3, 0, KIND_DATA, 0, 56),
    ]
}

/// OC-9: files of format v1 are read for ever: every kind of record, every outcome, an attempt count.
#[test]
fn golden_files_of_v1_are_read() {
    let made = SimFs::new();
    write(&made, Path::new("/lane"));
    if std::env::var_os("ENVOI_BLESS").is_some() {
        std::fs::create_dir_all(root().join("lane")).unwrap();
        for name in FILES.iter().map(PathBuf::from).filter(|name| !root().join(name).exists()) {
            let bytes = made.content(&Path::new("/").join(&name));
            std::fs::write(root().join(&name), bytes.unwrap_or_else(|| HEADER.encode().to_vec())).unwrap();
        }
    }
    let fs = SimFs::new();
    for name in FILES {
        fs.put(&Path::new("/").join(name), std::fs::read(root().join(name)).unwrap());
    }
    assert_eq!(SpoolHeader::decode(&fs.content(Path::new("/SPOOL")).unwrap()), Ok(HEADER));
    let (mut log, found) = Log::open(fs, "/lane".into(), ID, config(), WALL).unwrap();
    assert!(found.losses.is_empty() && found.notes.is_empty(), "{found:?}");
    assert_eq!(found.records, expected());
    assert_eq!(log.read(Seq(3), WALL).unwrap().payload, (0..=255).collect::<Vec<u8>>());
    assert_eq!(&log.read(Seq(4), WALL).unwrap().payload[..], b"pieces");
    assert_eq!(&log.read(Seq(5), WALL).unwrap().payload[..], b"in ");
    assert_eq!(log.stats().next_seq, 12);
}

/// OC-9: what is written today is byte for byte what was written then.
#[test]
fn todays_files_are_those_of_v1() {
    let made = SimFs::new();
    write(&made, Path::new("/lane"));
    for name in &FILES[1..] {
        let golden = std::fs::read(root().join(name)).unwrap();
        assert_eq!(made.content(&Path::new("/").join(name)).unwrap(), golden, "{name}");
    }
    assert_eq!(made.paths().len(), FILES.len() - 1);
    let report = verify(&RealFs, &root().join("lane"), None).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.identity, report.live()), (Some(ID), 4));
}
