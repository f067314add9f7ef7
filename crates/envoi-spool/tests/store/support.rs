use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use envoi_core::{Clock, Fate, Lane, Lease, Next, Parcel, Payload, Settle, Store, SystemClock};
use envoi_spool::{Spool, SpoolConfig};
use envoi_testkit::Goods;
use envoi_testkit::store::Host;
use tempfile::TempDir;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn now() -> Instant {
    SystemClock.now()
}

pub(crate) fn goods(lane: Lane, id: impl Into<String>) -> Goods {
    Goods::new(lane.as_str()).with_lane(lane).with_id(id)
}

pub(crate) fn error(id: impl Into<String>) -> Goods {
    goods(Lane::Critical, id)
}

pub(crate) fn log(id: impl Into<String>) -> Goods {
    goods(Lane::Low, id)
}

/// Goods that take `bytes` on disk and a little more: the id is what is long.
pub(crate) fn heavy(lane: Lane, id: &str, bytes: usize) -> Goods {
    goods(lane, format!("{id}:{}", "x".repeat(bytes)))
}

/// On a machine that is busy a spool may take long to give its directory back; the next one would take another slot.
pub(crate) fn config() -> SpoolConfig {
    SpoolConfig::new().close_timeout(60 * SECOND)
}

pub(crate) fn open(path: &Path, config: SpoolConfig) -> (Spool<Goods>, Arc<Host>) {
    Host::connected(Spool::open(path, config).unwrap())
}

/// What is on disk at this moment, as after a crash of the process: everything but who has the lock.
pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Waits for what another thread is to bring about.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = now() + PATIENCE;
    while !is_so() {
        assert!(now() < patience, "in vain: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn append(store: &impl Store<Goods>, goods: Goods, tag: u64) -> Fate {
    store.append(Parcel::new(goods), tag, now()).unwrap()
}

/// Everything that was appended is on disk.
pub(crate) fn landed(spool: &Spool<Goods>) {
    until("all entries are on disk", || {
        let stats = spool.stats();
        stats.on_disk == stats.entries
    });
}

pub(crate) fn lease_at(store: &impl Store<Goods>, lane: Lane, at: Instant) -> Option<Lease<Goods>> {
    let patience = now() + PATIENCE;
    loop {
        match store.lease(lane, at, None) {
            Next::Ready(lease) => return Some(lease),
            Next::Fetching => {
                assert!(now() < patience, "fetching for ever");
                std::thread::yield_now();
            }
            _ => return None,
        }
    }
}

pub(crate) fn lease(store: &impl Store<Goods>, lane: Lane) -> Option<Lease<Goods>> {
    lease_at(store, lane, now())
}

pub(crate) fn id_of(lease: &Lease<Goods>) -> String {
    let id = lease.parcel.payload().id().unwrap().into_owned();
    id.split(':').next().unwrap_or_default().to_owned()
}

/// Leases and delivers all that is ready; the ids in order.
pub(crate) fn drain(store: &impl Store<Goods>, lane: Lane) -> Vec<String> {
    std::iter::from_fn(|| {
        let lease = lease(store, lane)?;
        store.settle(lease.id, Settle::Delivered, now());
        Some(id_of(&lease))
    })
    .collect()
}

pub(crate) fn give_back(store: &impl Store<Goods>, mut lease: Lease<Goods>) {
    lease.parcel.meta_mut().attempt += 1;
    let parcel = lease.parcel;
    store.settle(lease.id, Settle::Return { parcel, not_before: None, until_server: false }, now());
}

pub(crate) fn held(store: &impl Store<Goods>) -> u64 {
    let mut sum = 0;
    store.held(&mut |_, quantity| sum += quantity);
    sum
}

pub(crate) fn found(host: &Host) -> u64 {
    host.found().iter().map(|(_, quantity)| quantity).sum()
}

/// A wall clock that is set by hand.
#[derive(Clone, Debug)]
pub(crate) struct Wall(Arc<Mutex<SystemTime>>);

impl Wall {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000))))
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Wall {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}
