use envoi_spool::format::AckKind;
use envoi_spool::fs::RealFs;
use envoi_spool::log::{ReadError, Seq};

use crate::common::{WALL, append, meta, number, open, payload};

/// OC-1, OC-9: what was appended is there after the process is gone, in order and byte for byte; what was settled is
/// not.
#[test]
fn records_and_acks_outlive_the_process() {
    let root = tempfile::tempdir().unwrap();
    let lane = root.path().join("lane");
    let (mut log, found) = open(&RealFs, &lane);
    assert!(found.records.is_empty() && found.losses.is_empty() && found.notes.is_empty());
    let seqs = append(&mut log, &(1..=40).map(|n| (n, n as usize * 7)).collect::<Vec<_>>()).unwrap();
    assert_eq!(seqs, (1..=40).map(Seq).collect::<Vec<_>>());
    assert!(log.segments().len() > 3);
    for seq in &seqs[..20] {
        let record = log.read(*seq, WALL).unwrap();
        assert_eq!(record.payload, payload(seq.0, seq.0 as usize * 7));
        assert_eq!((&record.meta[..], record.enqueued_ms), (&meta(seq.0)[..], WALL + seq.0));
    }
    assert!(log.ack(Seq(3), AckKind::Delivered, WALL));
    assert!(!log.ack(Seq(3), AckKind::Delivered, WALL));
    assert!(log.ack(Seq(30), AckKind::Attempt, WALL) && log.ack(Seq(30), AckKind::Attempt, WALL));
    assert!(matches!(log.read(Seq(3), WALL), Err(ReadError::Unknown(Seq(3)))));
    log.close().unwrap();

    let (mut log, found) = open(&RealFs, &lane);
    assert!(found.losses.is_empty() && found.notes.is_empty(), "{found:?}");
    let numbers: Vec<u64> = found.records.iter().map(|record| number(&record.meta)).collect();
    assert_eq!(numbers, (1..=40).filter(|n| *n != 3).collect::<Vec<_>>());
    assert_eq!(found.records[28].attempts, 2);
    for record in &found.records {
        assert_eq!(
            log.read(record.seq, WALL).unwrap().payload,
            payload(record.seq.0, record.seq.0 as usize * 7)
        );
    }
    assert_eq!(append(&mut log, &[(41, 5)]).unwrap(), [Seq(41)]);
}
