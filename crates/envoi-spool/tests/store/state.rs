use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;

use crate::support::{SECOND, Wall, append, config, dir, landed, log, open};

/// RL-12: small state is there in the next run, unless it is too old, from the future, or damaged.
#[test]
fn state_survives_restarts() {
    let (dir, wall) = (dir(), Wall::new());
    let config = config().clock(Arc::new(wall.clone()));
    let (spool, _host) = open(dir.path(), config.clone());
    assert_eq!(spool.load_state("limits", SECOND).unwrap(), None);
    spool.save_state("limits", b"old").unwrap();
    spool.save_state_soon("limits", b"error:60");
    drop(spool);
    let (spool, _host) = open(dir.path(), config.clone());
    wall.advance(SECOND);
    assert_eq!(spool.load_state("limits", SECOND).unwrap().as_deref(), Some(&b"error:60"[..]));
    wall.advance(SECOND);
    assert_eq!(spool.load_state("limits", SECOND).unwrap(), None, "too old");

    let file = spool.stats().slot.unwrap().join("state-limits");
    let good = fs::read(&file).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        assert_eq!(spool.load_state("limits", 3600 * SECOND).unwrap(), None, "bit flipped in byte {at}");
        fs::write(&file, &good[..at]).unwrap();
        assert_eq!(spool.load_state("limits", 3600 * SECOND).unwrap(), None, "cut at {at}");
    }
    drop(spool);
    let (spool, _host) = open(dir.path(), config.clock(Arc::new(Wall::new())));
    fs::write(&file, &good).unwrap();
    assert_eq!(spool.load_state("limits", 3600 * SECOND).unwrap().as_deref(), Some(&b"error:60"[..]));
}

/// RL-12: a process that takes another slot knows the state of the dead owner whose slot it adopts, but prefers its own.
/// A breaker is kept next to the limits.
#[test]
fn state_of_the_dead_is_adopted() {
    let dir = dir();
    let (first, _) = open(dir.path(), config());
    let (second, _) = open(dir.path(), config());
    second.save_state("rate-limits", b"error:60").unwrap();
    second.save_state("breaker", &[1; 16]).unwrap();
    drop(second);
    assert_eq!(first.load_state("rate-limits", SECOND).unwrap(), None, "not adopted yet");
    drop(first);
    let (heir, _) = open(dir.path(), config());
    assert_eq!(heir.stats().slot.unwrap().file_name().unwrap(), "slot-00");
    // A slot that holds no entries is not adopted.
    assert_eq!(heir.load_state("breaker", 60 * SECOND).unwrap(), None);
    let (other, _) = open(dir.path(), config());
    append(&other, log("a"), 1);
    landed(&other);
    other.save_state("breaker", &[2; 16]).unwrap();
    drop((heir, other));
    let (heir, _) = open(dir.path(), config());
    assert_eq!(heir.stats().adopted, 1);
    assert_eq!(heir.load_state("rate-limits", 60 * SECOND).unwrap().as_deref(), Some(&b"error:60"[..]));
    assert_eq!(heir.load_state("breaker", 60 * SECOND).unwrap(), Some(vec![2; 16]));
    heir.save_state("breaker", &[3; 16]).unwrap();
    assert_eq!(heir.load_state("breaker", 60 * SECOND).unwrap(), Some(vec![3; 16]));
}

/// Names are not paths.
#[test]
fn names_are_plain() {
    let dir = dir();
    let (spool, _host) = open(dir.path(), config());
    for name in ["", "../x", "a/b", "A", "a.b", &"a".repeat(33)] {
        assert_eq!(spool.save_state(name, b"").unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        assert_eq!(spool.load_state(name, SECOND).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
    }
    let huge = vec![0; (1 << 20) + 1];
    assert_eq!(spool.save_state("huge", &huge).unwrap_err().kind(), ErrorKind::InvalidInput);
}
