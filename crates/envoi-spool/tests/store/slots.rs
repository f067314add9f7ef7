use envoi_core::Lane;
use envoi_spool::{OnBusy, OpenError, Spool, SpoolState, Trouble};
use envoi_testkit::Goods;

use crate::support::{append, config, dir, drain, error, found, landed, log, open, until};

/// OC-10: a second owner gets an error that names the first.
#[test]
fn a_directory_has_one_owner() {
    let dir = dir();
    let (spool, _host) = open(dir.path(), config().on_busy(OnBusy::Error));
    let refused = Spool::<Goods>::open(dir.path(), config().on_busy(OnBusy::Error)).unwrap_err();
    assert!(matches!(refused, OpenError::Busy { .. }));
    let text = refused.to_string();
    assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
    assert!(text.contains("is in use") && !text.contains('\n'), "{text}");
    drop(spool);
    open(dir.path(), config().on_busy(OnBusy::Error));
}

/// OC-10: with slots each has a directory of its own; what one leaves the next one to start adopts, in order of age,
/// and empties without writing to it.
#[test]
fn slots_are_adopted_from_the_dead() {
    let dir = dir();
    let (first, _) = open(dir.path(), config());
    let (second, _) = open(dir.path(), config());
    assert_ne!(first.stats().slot, second.stats().slot);
    append(&first, log("1"), 1);
    landed(&first);
    append(&second, log("2"), 1);
    landed(&second);
    // Both slots are alive: a third finds nothing.
    let (third, host) = open(dir.path(), config());
    assert_eq!((found(&host), third.stats().adopted), (0, 0));
    drop((first, second, third));
    let (heir, host) = open(dir.path(), config());
    assert_eq!((found(&host), heir.stats().adopted), (2, 1));
    append(&heir, log("3"), 3);
    let mut ids = drain(&heir, Lane::Low);
    ids.retain(|id| id != "3");
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(heir.stats().entries, 0);
    until("the emptied slot is given back", || heir.stats().adopted == 0);
    drop(heir);
    let (_, host) = open(dir.path(), config());
    assert_eq!(found(&host), 0);
}

/// OC-10: when all slots are taken the error says so.
#[test]
fn slots_are_bounded() {
    let dir = dir();
    let spools: Vec<_> = (0..2).map(|_| open(dir.path(), config().on_busy(OnBusy::NextSlot(2)))).collect();
    let refused = Spool::<Goods>::open(dir.path(), config().on_busy(OnBusy::NextSlot(2)));
    assert!(matches!(refused, Err(OpenError::Busy { .. })));
    drop(spools);
}

/// OC-10, OC-11: from memory until the owner is gone, then to disk, without being asked.
#[test]
fn memory_bridges_another_owner() {
    let dir = dir();
    let (owner, _) = open(dir.path(), config());
    append(&owner, error("owner's"), 1);
    landed(&owner);
    let (guest, host) = open(dir.path(), config().on_busy(OnBusy::Memory));
    assert!(matches!(guest.stats().state, SpoolState::Degraded { cause: Trouble::Busy, .. }));
    append(&guest, log("mine"), 1);
    assert_eq!((guest.stats().entries, guest.stats().on_disk, found(&host)), (1, 0, 0));
    drop(owner);
    until("the guest moves in", || guest.stats().state == SpoolState::Healthy && guest.stats().on_disk == 2);
    assert_eq!(drain(&guest, Lane::Critical), ["owner's"]);
    drop(guest);
    let (heir, _) = open(dir.path(), config());
    assert_eq!(drain(&heir, Lane::Low), ["mine"]);
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn modes(path: &std::path::Path, seen: &mut usize) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let expected = if meta.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(meta.permissions().mode() & 0o777, expected, "{}", path.display());
            *seen += 1;
            if meta.is_dir() {
                modes(&path, seen);
            }
        }
    }

    /// OC-10: readable by the owner only, whatever the directory above allows.
    #[test]
    fn files_are_private() {
        let dir = dir();
        let root = dir.path().join("spool");
        let (spool, _host) = open(&root, config());
        append(&spool, log("a"), 1);
        landed(&spool);
        spool.save_state("limits", b"x").unwrap();
        let mut seen = 0;
        modes(dir.path(), &mut seen);
        assert!(seen >= 12, "{seen}");
    }

    /// OC-10: a symbolic link in the place of anything of ours is refused, and what it points at is left alone.
    #[test]
    fn symbolic_links_are_refused() {
        let dir = dir();
        let target = dir.path().join("target");
        fs::create_dir(&target).unwrap();
        symlink(&target, dir.path().join("spool")).unwrap();
        assert!(matches!(
            Spool::<Goods>::open(dir.path().join("spool"), config()),
            Err(OpenError::Io { .. })
        ));
        for name in ["LOCK", "SPOOL", "lane-low"] {
            let root = dir.path().join(format!("with {name}"));
            fs::create_dir_all(root.join("slot-00")).unwrap();
            symlink(&target, root.join("slot-00").join(name)).unwrap();
            let error = Spool::<Goods>::open(&root, config()).unwrap_err();
            assert!(matches!(error, OpenError::Io { .. }), "{name}: {error}");
        }
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    }
}
