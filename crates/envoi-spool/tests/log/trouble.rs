//! Full disks and failing devices.

use std::time::Duration;

use envoi_core::{Clock, SystemClock};
use envoi_spool::format::AckKind;
use envoi_spool::fs::SimFs;
use envoi_spool::fs::sim::{Faults, Op};
use envoi_spool::log::{AppendErrorKind, ReadError, Seq};

use crate::common::{WALL, append, dir, meta, number, open, payload, small};

fn failing(ops: &[Op]) -> Faults {
    Faults { fail: ops.iter().map(|op| (*op, 1024)).collect(), ..Faults::default() }
}

/// OC-11: on a full disk appending fails cleanly and names the reason; reading, settling and deleting go on, space comes
/// back by it, and appending works again without opening anew.
#[test]
fn a_full_disk_is_consumed_and_then_written_again() {
    let fs = SimFs::new();
    let (mut log, _) = open(&fs, dir());
    fs.set_faults(Faults { space: Some(8_000), ..Faults::default() });
    let mut last = 0;
    let error = loop {
        match append(&mut log, &[(last + 1, 500)]) {
            Ok(_) => last += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind, AppendErrorKind::Full(_)) && error.written.is_empty(), "{error}");
    assert!(last > 8);
    for n in 1..=last {
        assert_eq!(log.read(Seq(n), WALL).unwrap().payload, payload(n, 500));
        assert!(log.ack(Seq(n), AckKind::Delivered, WALL));
    }
    assert!(log.disk_bytes() < 2_500);
    assert_eq!(append(&mut log, &[(last + 1, 500)]).unwrap().len(), 1);
    log.close().unwrap();
    let (_, found) = open(&fs, dir());
    assert_eq!(found.records.iter().map(|record| number(&record.meta)).collect::<Vec<_>>(), [last + 1]);
    assert!(found.losses.is_empty());
}

/// OC-11: of a batch that does not fit, the records in front are kept and named, and nothing is left of the rest.
#[test]
fn a_batch_that_does_not_fit_is_kept_up_to_the_error() {
    let fs = SimFs::new();
    let (mut log, _) = open(&fs, dir());
    append(&mut log, &[(1, 10)]).unwrap();
    fs.set_faults(Faults { space: Some(128 + 56 + 2 * 544 + 100), ..Faults::default() });
    let error = append(&mut log, &[(2, 500), (3, 500), (4, 500)]).unwrap_err();
    assert_eq!(error.written, [Seq(2), Seq(3)]);
    assert_eq!(log.len(), 3);
    let bytes: usize = fs.paths().iter().map(|path| fs.content(path).unwrap().len()).sum();
    assert_eq!(log.disk_bytes(), bytes as u64, "what the failed write left is cut off");
    fs.set_faults(Faults::default());
    let next = append(&mut log, &[(5, 500)]).unwrap()[0];
    assert!(next > Seq(4), "a number that reached the disk is not used again: {next}");
    log.close().unwrap();
    let (_, found) = open(&fs, dir());
    assert_eq!(found.records.iter().map(|record| number(&record.meta)).collect::<Vec<_>>(), [1, 2, 3, 5]);
    assert!(found.losses.is_empty(), "{:?}", found.losses);
}

/// OC-9, OC-11: after a failed sync the same file is never synced again: the log goes on in a new segment, and what was
/// appended before the error is not promised.
#[test]
fn after_a_failed_sync_the_log_goes_on_in_a_new_segment() {
    let fs = SimFs::new();
    let (mut log, _) = open(&fs, dir());
    append(&mut log, &[(1, 100)]).unwrap();
    fs.set_faults(failing(&[Op::Sync]));
    assert!(log.sync().is_err());
    fs.set_faults(Faults::default());
    append(&mut log, &[(2, 100)]).unwrap();
    assert_eq!(log.segments().len(), 2);
    log.sync().unwrap();
    for fs in fs.snapshot().power_cuts(50, 1) {
        let (mut log, found) = open(&fs, dir());
        assert!(found.records.iter().any(|record| record.seq == Seq(2)));
        assert_eq!(log.read(Seq(2), WALL).unwrap().payload, payload(2, 100));
    }
}

/// OC-11: a segment that cannot be left in order says so with the next sync.
#[test]
fn a_sync_that_failed_while_segments_changed_is_told() {
    let fs = SimFs::new();
    let (mut log, _) = open(&fs, dir());
    append(&mut log, &[(1, 1000)]).unwrap();
    fs.set_faults(failing(&[Op::Sync]));
    assert!(append(&mut log, &[(2, 1500)]).is_err());
    fs.set_faults(Faults::default());
    append(&mut log, &[(3, 1500)]).unwrap();
    assert!(log.sync().is_err());
    assert!(log.sync().is_ok());
}

/// OC-11, decision 20: what cannot be read because the device fails stays, and is read when it works again.
#[test]
fn an_unreadable_record_is_kept() {
    let fs = SimFs::new();
    let (mut log, _) = open(&fs, dir());
    append(&mut log, &[(1, 100)]).unwrap();
    fs.set_faults(failing(&[Op::Read]));
    assert!(matches!(log.read(Seq(1), WALL), Err(ReadError::Io { seq: Seq(1), .. })));
    log.close().unwrap();
    let (log, found) = open(&fs, dir());
    assert!(found.records.is_empty() && found.losses.is_empty() && found.notes.len() == 1, "{found:?}");
    // Its number is not given to another.
    fs.set_faults(Faults::default());
    let mut log = log;
    let second = append(&mut log, &[(2, 100)]).unwrap()[0];
    log.close().unwrap();
    let (mut log, found) = open(&fs, dir());
    assert!(found.losses.is_empty(), "{:?}", found.losses);
    assert_eq!(log.read(Seq(1), WALL).unwrap().payload, payload(1, 100));
    assert_eq!(log.read(second, WALL).unwrap().payload, payload(2, 100));
}

/// OC-11: a directory that vanishes is made again; what was in it is counted once, by the reader.
#[test]
fn a_vanished_directory_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    let lane = root.path().join("lane");
    let (mut log, _) = open(&envoi_spool::fs::RealFs, &lane);
    append(&mut log, &[(1, 1500), (2, 1500)]).unwrap();
    std::fs::remove_dir_all(&lane).unwrap();
    assert!(matches!(log.read(Seq(1), WALL), Err(ReadError::Io { .. })), "the disk may be mounted again");
    append(&mut log, &[(3, 1500)]).unwrap();
    assert!(matches!(log.read(Seq(1), WALL), Err(ReadError::Corrupt { meta: None, .. })));
    assert!(matches!(log.read(Seq(1), WALL), Err(ReadError::Unknown(_))));
    assert_eq!(log.read(Seq(3), WALL).unwrap().payload, payload(3, 1500));
}

/// OC-11: a segment that cannot be deleted is deleted later.
#[test]
fn a_segment_that_cannot_be_deleted_is_deleted_later() {
    let fs = SimFs::new();
    let (mut log, _) = open(&fs, dir());
    append(&mut log, &[(1, 1500), (2, 1500)]).unwrap();
    fs.set_faults(failing(&[Op::Unlink]));
    assert!(log.ack(Seq(1), AckKind::Delivered, WALL));
    assert_eq!(log.segments().len(), 2);
    fs.set_faults(Faults::default());
    log.tick(SystemClock.now(), WALL).unwrap();
    assert_eq!(log.segments().len(), 1);
}

/// OC-1, OC-9: ack entries are written after 100 ms or with 256 of them, synced after a second, and a drained lane gives
/// its space back.
#[test]
fn ticks_write_acks_and_give_space_back() {
    let fs = SimFs::new();
    let (mut log, _) = open(&fs, dir());
    let mut now = SystemClock.now();
    let at = |now, ms| now + Duration::from_millis(ms);
    append(&mut log, &[(1, 100), (2, 100)]).unwrap();
    // What earlier processes may have left to sync is synced first.
    log.tick(now, WALL).unwrap();
    now = at(now, 1000);
    log.tick(now, WALL).unwrap();
    assert!(log.ack(Seq(1), AckKind::Delivered, WALL));
    assert_eq!(log.tick(now, WALL).unwrap(), Some(at(now, 100)));
    assert_eq!(log.stats().pending_acks, 1);
    assert_eq!(log.tick(at(now, 100), WALL).unwrap(), Some(at(now, 1000)));
    assert_eq!(log.stats().pending_acks, 0);
    assert_eq!(log.tick(at(now, 1000), WALL).unwrap(), None);
    assert!(log.ack(Seq(2), AckKind::Delivered, WALL));
    let before = log.disk_bytes();
    assert!(before > 300);
    log.tick(at(now, 2000), WALL).unwrap();
    assert_eq!(log.disk_bytes(), 128);
    log.flush_acks(true).unwrap();
    assert_eq!(fs.paths().len(), 1);
    // The numbers go on.
    drop(log);
    let (mut log, _) = open(&fs, dir());
    assert_eq!(append(&mut log, &[(3, 1)]).unwrap(), [Seq(3)]);
}

/// OC-1: where nothing has to outlive a power cut the device is never told to keep anything, and nothing piles up in the
/// directory.
#[test]
fn without_syncs_the_device_is_left_alone() {
    let fs = SimFs::new();
    let cfg = envoi_spool::log::LogConfig { sync_segments: false, ack_sync: None, ..small() };
    let (mut log, _) = envoi_spool::log::Log::open(fs.clone(), dir(), crate::common::ID, cfg, WALL).unwrap();
    fs.set_faults(failing(&[Op::Sync, Op::SyncDir]));
    let mut now = SystemClock.now();
    for n in 1..=100 {
        append(&mut log, &[(n, 500)]).unwrap();
        assert!(log.ack(Seq(n), AckKind::Attempt, WALL));
        now += Duration::from_millis(200);
        log.tick(now, WALL).unwrap();
        assert!(log.ack(Seq(n), AckKind::Delivered, WALL));
    }
    assert_eq!(log.stats().io_errors, 0);
    assert!(fs.paths().len() <= 2, "{:?}", fs.paths());
    // Whoever asks for it is told the truth about all of it.
    append(&mut log, &[(101, 1500), (102, 1500)]).unwrap();
    assert!(log.sync().is_err());
}

/// OC-9: zeros that were written ahead are given back, take no part in the count of bytes, and are no damage.
#[test]
fn zeros_ahead_do_no_harm() {
    let fs = SimFs::new();
    let cfg = envoi_spool::log::LogConfig { prewrite: true, segment_bytes: 200_000, ..small() };
    let open =
        || envoi_spool::log::Log::open(fs.clone(), dir(), crate::common::ID, cfg.clone(), WALL).unwrap();
    let bytes = || fs.paths().iter().map(|path| fs.content(path).unwrap().len() as u64).sum::<u64>();
    let (mut log, _) = open();
    append(&mut log, &[(1, 500)]).unwrap();
    assert!(bytes() > 64_000);
    assert_eq!(log.disk_bytes(), bytes());
    log.sync().unwrap();
    // Killed here: the zeros are unused space.
    drop(log);
    let (mut log, found) = open();
    assert_eq!((found.records.len(), found.quarantined), (1, 0));
    assert!(found.losses.is_empty() && found.notes.is_empty(), "{found:?}");
    assert!(envoi_spool::log::verify(&fs, &dir(), None).unwrap().is_sound());
    for n in 2..=600 {
        append(&mut log, &[(n, 500)]).unwrap();
    }
    assert_eq!(log.disk_bytes(), bytes());
    for segment in log.segments().iter().filter(|segment| !segment.active).skip(1) {
        assert!(segment.bytes % 8 == 0 && segment.bytes > 199_000 && segment.bytes <= 200_000, "{segment:?}");
    }
    // On a full disk the record itself says so.
    fs.set_faults(Faults { space: Some(bytes() + 100), ..Faults::default() });
    let mut last = 600;
    while append(&mut log, &[(last + 1, 500)]).is_ok() {
        last += 1;
    }
    assert_eq!(log.disk_bytes(), bytes());
    fs.set_faults(Faults::default());
    append(&mut log, &[(last + 1, 500)]).unwrap();
    log.close().unwrap();
    let (_, found) = open();
    assert_eq!(found.records.len() as u64, last + 1);
}

/// OC-2: records beyond the limits are refused by name and do not keep those behind them out.
#[test]
fn records_beyond_the_limits_are_refused() {
    let fs = SimFs::new();
    let cfg = envoi_spool::log::LogConfig { max_record: 1000, ..small() };
    let (mut log, _) = envoi_spool::log::Log::open(fs, dir(), crate::common::ID, cfg, WALL).unwrap();
    let error = append(&mut log, &[(1, 10), (2, 1000), (3, 10)]).unwrap_err();
    assert_eq!(error.written.len(), 1);
    assert!(matches!(error.kind, AppendErrorKind::TooLarge { limit: 1000, .. }), "{error}");
    assert_eq!(append(&mut log, &[(3, 10)]).unwrap().len(), 1);
    assert_eq!(&log.read(Seq(2), WALL).unwrap().meta[..], meta(3));
}

/// OC-10: files are readable by the owner only, and links are refused.
#[cfg(unix)]
#[test]
fn files_are_private_and_links_are_refused() {
    use envoi_spool::fs::{Fs, RealFs};
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let lane = root.path().join("a/b/lane");
    let (mut log, _) = open(&RealFs, &lane);
    append(&mut log, &[(1, 10)]).unwrap();
    assert!(log.ack(Seq(1), AckKind::Attempt, WALL));
    log.close().unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&lane), mode(&root.path().join("a"))), (0o700, 0o700));
    let files: Vec<_> = std::fs::read_dir(&lane).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|path| mode(path) == 0o600));
    // A link in the place of a segment is not followed, one in the place of the lane neither.
    let target = root.path().join("target");
    std::fs::write(&target, b"keep").unwrap();
    std::os::unix::fs::symlink(&target, lane.join("0000000000000002.seg")).unwrap();
    assert!(RealFs.open(&lane.join("0000000000000002.seg"), true).is_err());
    assert!(RealFs.create_new(&lane.join("0000000000000002.seg")).is_err());
    let (mut log, found) = open(&RealFs, &lane);
    assert_eq!((found.records.len(), found.notes.len()), (1, 1));
    append(&mut log, &[(2, 10)]).unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"keep");
    let link = root.path().join("link");
    std::os::unix::fs::symlink(&lane, &link).unwrap();
    assert!(crate::common::try_open(&RealFs, &link).is_err());
    assert!(RealFs.free_space(&lane).unwrap().is_some());
}
