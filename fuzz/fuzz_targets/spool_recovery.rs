//! OC-5, OC-9, decision 20: a lane is recovered from any directory content: no panic, bounded memory, no loss counted
//! twice, and the lane works on.
//!
//! Input: files, each as name number, length (u16), bytes. Frames and entries of which the check sum is only wrong are
//! repaired first, so that the fuzzer gets behind the check sums.
#![no_main]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use envoi_spool::format::{
    ACK_LEN, AckKind, DATA_OFFSET, FRAME_HEAD_LEN, FrameHead, KIND_DATA, SegmentHeader, segment_salt,
};
use envoi_spool::fs::SimFs;
use envoi_spool::log::{Log, LogConfig, NewRecord, ReadError, SpoolId, verify};
use libfuzzer_sys::fuzz_target;

const ID: SpoolId = SpoolId { uuid: [1; 16], salt: 77 };
const WALL: u64 = 1_800_000_000_000;

fn path(name: u8) -> PathBuf {
    let kind = if name & 0x80 == 0 { "seg" } else { "ack" };
    Path::new("/lane").join(format!("{:016x}.{kind}", name & 7))
}

fn sum(bytes: &[u8], seed: u32) -> [u8; 4] {
    crc32c::crc32c_append(seed, bytes).to_le_bytes()
}

/// Makes what looks like ours ours.
fn repair(name: u8, bytes: &mut [u8]) {
    if name & 0x80 != 0 {
        for entry in bytes.chunks_exact_mut(ACK_LEN).filter(|entry| entry[12] & 1 == 0) {
            let right = sum(&entry[..12], ID.salt);
            entry[12..].copy_from_slice(&right);
        }
        return;
    }
    let id = u64::from(name & 7);
    if let Some(head) = bytes.get_mut(..64).filter(|head| head[63] & 1 == 0) {
        let base_seq = u64::from(head[24]);
        let made =
            SegmentHeader { features: 0, id, base_seq, created_ms: WALL, salt: ID.salt, uuid: ID.uuid };
        head.copy_from_slice(&made.encode());
    }
    let mut at = DATA_OFFSET as usize;
    while at + FRAME_HEAD_LEN <= bytes.len() {
        let Some(head) = FrameHead::peek(&bytes[at..]) else {
            at += 1;
            continue;
        };
        let end = at + FRAME_HEAD_LEN + usize::from(head.meta_len);
        if end <= bytes.len() && bytes[at + 4] & 1 == 0 {
            if let Some(payload) =
                bytes.get(end..end + head.payload_len as usize).filter(|_| bytes[at + 5] & 1 == 0)
            {
                let right = sum(payload, ID.salt);
                bytes[at + 12..at + 16].copy_from_slice(&right);
            }
            let right = sum(&bytes[at + 8..end], segment_salt(ID.salt, id));
            bytes[at + 4..at + 8].copy_from_slice(&right);
        }
        at += 8;
    }
}

fn open(fs: &SimFs) -> (Log<SimFs>, envoi_spool::log::Recovery) {
    let cfg = LogConfig { segment_bytes: 4096, quarantine_bytes: 4096, ..LogConfig::default() };
    Log::open(fs.clone(), "/lane".into(), ID, cfg, WALL).expect("a directory that can be listed opens")
}

fuzz_target!(|input: &[u8]| {
    let fs = SimFs::new();
    let mut rest = input;
    while let [name, low, high, tail @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(tail.len());
        let mut bytes = tail[..len].to_vec();
        repair(*name, &mut bytes);
        fs.put(&path(*name), bytes);
        rest = &tail[len..];
    }
    let report = verify(&fs, Path::new("/lane"), Some(ID));
    let (mut log, found) = open(&fs);
    assert!(found.records.is_sorted_by(|a, b| a.seq < b.seq));
    assert!(report.is_err() || found.records.len() <= input.len() / FRAME_HEAD_LEN);
    let mut kept = Vec::new();
    for record in &found.records {
        match log.read(record.seq, WALL) {
            Ok(read) => {
                assert_eq!((read.seq, read.payload.len()), (record.seq, record.payload_len as usize));
                assert_eq!(read.meta[..], record.meta[..]);
                kept.push(record.seq);
            }
            Err(ReadError::Corrupt { .. }) => assert_eq!(log.attempts(record.seq), None),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(log.len(), kept.len());
    log.close().expect("nothing fails");
    let (mut log, found) = open(&fs);
    assert_eq!(found.records.iter().map(|record| record.seq).collect::<Vec<_>>(), kept);
    // A number may be used up by a file that says so; then nothing can be appended, and that is said.
    let payload = [Bytes::from_static(b"more")];
    let record = NewRecord { meta: b"", payload: &payload, enqueued_ms: WALL, kind: KIND_DATA, flags: 0 };
    if let Ok(seqs) = log.append(&[record]) {
        assert!(kept.iter().all(|seq| *seq < seqs[0]));
        assert_eq!(log.read(seqs[0], WALL).expect("just written").payload, payload[0]);
        assert!(log.ack(seqs[0], AckKind::Delivered, WALL));
    }
});
