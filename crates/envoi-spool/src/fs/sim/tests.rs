use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::path::Path;

use super::{Faults, Op, SimFs};
use crate::fs::{Fs, FsFile};

const FILE: &str = "/dir/file";

fn disk() -> SimFs {
    let fs = SimFs::new();
    fs.create_dir(Path::new("/dir")).unwrap();
    fs
}

fn write(file: &mut impl FsFile, at: u64, bytes: &[u8]) -> io::Result<usize> {
    file.write_at(&[IoSlice::new(bytes)], at)
}

/// OC-9, control: every loss that a disk may cause is produced, and none of what was synced.
#[test]
fn a_power_cut_takes_what_was_not_synced_and_nothing_else() {
    let fs = disk();
    let mut file = fs.create_new(Path::new(FILE)).unwrap();
    write(&mut file, 0, b"old").unwrap();
    file.sync_data().unwrap();
    fs.sync_dir(Path::new("/dir")).unwrap();
    assert_eq!(fs.snapshot().power_cuts(100, 1).len(), 1);
    write(&mut file, 3, b"new").unwrap();
    let found: BTreeSet<Vec<u8>> =
        fs.snapshot().power_cuts(1000, 1).iter().map(|fs| fs.content(Path::new(FILE)).unwrap()).collect();
    let expected = [&b"old"[..], b"oldnew", b"old\0\0\0"];
    assert_eq!(found, expected.into_iter().map(<[u8]>::to_vec).collect());
    // A new page may also be full of zeros or junk, or end early.
    write(&mut file, 0, &[1; 4096]).unwrap();
    file.sync_data().unwrap();
    write(&mut file, 4096, &[2; 600]).unwrap();
    let found: BTreeSet<Vec<u8>> = fs
        .snapshot()
        .power_cuts(1000, 1)
        .iter()
        .map(|fs| fs.content(Path::new(FILE)).unwrap()[4096..].to_vec())
        .collect();
    for outcome in [vec![], vec![2; 600], vec![0; 600], [vec![2; 512], vec![0; 88]].concat()] {
        assert!(found.contains(&outcome));
    }
    assert!(found.iter().any(|page| page.iter().any(|byte| ![0, 2].contains(byte))));
}

/// OC-9, control: after a failed sync the next one says "done" and lies, so a log that syncs again is caught.
#[test]
fn a_sync_after_a_failed_one_is_a_lie() {
    let mut lied = false;
    for seed in 0..20 {
        let fs = disk();
        let mut file = fs.create_new(Path::new(FILE)).unwrap();
        fs.sync_dir(Path::new("/dir")).unwrap();
        write(&mut file, 0, &[1; 5000]).unwrap();
        fs.set_faults(Faults { fail: vec![(Op::Sync, 1024)], seed, ..Faults::default() });
        assert!(file.sync_data().is_err());
        fs.set_faults(Faults::default());
        file.sync_data().unwrap();
        lied |= fs
            .snapshot()
            .power_cuts(10, 0)
            .iter()
            .any(|fs| fs.content(Path::new(FILE)).unwrap() != [1; 5000]);
    }
    assert!(lied);
}

/// OC-11, control: a full disk takes what fits, and says so.
#[test]
fn a_full_disk_takes_what_fits() {
    let fs = disk();
    fs.set_faults(Faults { space: Some(10), ..Faults::default() });
    let mut file = fs.create_new(Path::new(FILE)).unwrap();
    assert_eq!(write(&mut file, 0, &[1; 8]).unwrap(), 8);
    assert_eq!(write(&mut file, 8, &[1; 8]).unwrap(), 2);
    assert_eq!(write(&mut file, 10, &[1; 8]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(write(&mut file, 0, &[2; 8]).unwrap(), 8);
    assert_eq!(fs.free_space(Path::new("/dir")).unwrap(), Some(0));
}

/// OC-10: one handle has the lock, until it is closed.
#[test]
fn a_lock_is_held_until_the_file_is_closed() {
    let fs = disk();
    let file = fs.create_new(Path::new(FILE)).unwrap();
    let other = fs.open(Path::new(FILE), true).unwrap();
    assert!(file.try_lock().unwrap());
    assert!(!other.try_lock().unwrap());
    drop(file);
    assert!(other.try_lock().unwrap());
}
