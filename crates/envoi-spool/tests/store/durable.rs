use std::sync::mpsc;
use std::time::Duration;

use envoi_core::{Fate, Lane, Parcel, Store};
use envoi_spool::Durability;

use crate::support::{config, dir, error, found, log, now, open, until};

/// OC-1: whatever the level, who asks for it learns when the entry is safe; the disk was told to keep it.
#[test]
fn an_append_can_be_confirmed() {
    for durability in [
        Durability::Os,
        Durability::Interval(Duration::from_secs(3600)),
        Durability::Group,
        Durability::PerRecord,
    ] {
        let dir = dir();
        let (spool, _host) = open(dir.path(), config().durability(durability));
        let (sender, receiver) = mpsc::channel();
        let confirm = Box::new(move |fate| sender.send(fate).unwrap());
        assert_eq!(spool.append_durable(Parcel::new(error("a")), 1, now(), confirm).unwrap(), Fate::Stored);
        assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok(Fate::Stored), "{durability:?}");
        assert_eq!((spool.stats().on_disk, spool.stats().syncs), (1, 1), "{durability:?}");
    }
}

/// Durability levels differ in how often the disk is told.
#[test]
fn levels_sync_as_they_say() {
    let syncs = |durability| {
        let dir = dir();
        let (spool, _host) = open(dir.path(), config().durability(durability));
        for tag in 1..=20 {
            assert!(spool.append(Parcel::new(log(tag.to_string())), tag, now()).is_ok());
        }
        crate::support::landed(&spool);
        if let Durability::Interval(_) = durability {
            until("the interval is over", || spool.stats().syncs > 0);
        }
        spool.stats().syncs
    };
    assert_eq!(syncs(Durability::Os), 0);
    assert!(syncs(Durability::Interval(Duration::from_millis(1))) > 0);
    assert!((1..=20).contains(&syncs(Durability::Group)));
    assert_eq!(syncs(Durability::PerRecord), 20);
}

/// A confirmation of what made room before it was written is dropped, not made up.
#[test]
fn what_is_evicted_is_not_confirmed() {
    let dir = dir();
    let (spool, host) = open(dir.path(), config().max_count(1));
    let (sender, receiver) = mpsc::channel();
    for tag in 1..=500 {
        let sender = sender.clone();
        let confirm = Box::new(move |fate| sender.send((tag, fate)).unwrap());
        assert!(spool.append_durable(Parcel::new(log(tag.to_string())), tag, now(), confirm).is_ok());
    }
    drop(sender);
    // The channel ends when every confirmation was called or dropped.
    let confirmed: Vec<_> = receiver.iter().collect();
    assert!(confirmed.contains(&(500, Fate::Stored)));
    assert_eq!(host.gone(), (1..=499).collect::<Vec<u64>>());
    drop(spool);
    let (spool, host) = open(dir.path(), config());
    assert_eq!(found(&host), 1);
    assert_eq!(crate::support::drain(&spool, Lane::Low), ["500"]);
}
