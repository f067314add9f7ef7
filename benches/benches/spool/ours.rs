//! The disk buffer, as a queue uses it.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use envoi::{DataCategory, Envelope};
use envoi_benches::now;
use envoi_core::{DiscardReason, Lane, LossSink, Next, Parcel, Settle, Store, StoreHost};
use envoi_spool::{Durability, Spool, SpoolConfig};

/// Who is woken, and counts what came to light.
#[derive(Debug, Default)]
struct Host {
    wakes: Mutex<u64>,
    woken: Condvar,
}

impl LossSink<DataCategory> for Host {
    fn lost(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        panic!("{quantity} of {category} are lost: {reason:?}");
    }
}

impl StoreHost<DataCategory> for Host {
    fn wake(&self) {
        *self.wakes.lock().unwrap() += 1;
        self.woken.notify_all();
    }

    fn gone(&self, tag: u64) {
        panic!("{tag} is gone");
    }
}

/// A spool with room for everything.
pub(crate) struct Ours {
    pub(crate) spool: Spool<Envelope>,
    host: Arc<Host>,
}

pub(crate) fn config(durability: Durability) -> SpoolConfig {
    SpoolConfig::new()
        .durability(durability)
        .max_count(usize::MAX)
        .max_bytes(64 << 30)
        .queue_bytes(1 << 30)
        .close_timeout(Duration::from_secs(60))
}

impl Ours {
    pub(crate) fn new(dir: &Path, config: SpoolConfig) -> Self {
        let spool = Spool::open(dir.join("spool"), config).unwrap();
        let host = Arc::new(Host::default());
        spool.connect(Arc::<Host>::clone(&host));
        Self { spool, host }
    }

    /// Memory of its own for no record: the others are given the same bytes again and again as well.
    pub(crate) fn parcel(body: &Bytes) -> Parcel<Envelope> {
        Parcel::new(Envelope::parse(body.clone()).unwrap())
    }

    pub(crate) fn append(&self, parcel: Parcel<Envelope>) {
        assert!(self.spool.append(parcel, 1, now()).is_ok());
    }

    fn wait(&self, is_so: impl Fn() -> bool) {
        let mut wakes = self.host.wakes.lock().unwrap();
        while !is_so() {
            let before = *wakes;
            let within = Duration::from_millis(20);
            (wakes, _) = self.host.woken.wait_timeout_while(wakes, within, |wakes| *wakes == before).unwrap();
        }
    }

    /// Waits until so many are on disk.
    pub(crate) fn landed(&self, count: u64) {
        self.wait(|| self.spool.stats().written >= count);
    }

    /// Takes and delivers the next one, if there is any.
    pub(crate) fn deliver(&self) -> bool {
        loop {
            let wakes = *self.host.wakes.lock().unwrap();
            match self.spool.lease(Lane::Critical, now(), None) {
                Next::Ready(lease) => {
                    self.spool.settle(lease.id, Settle::Delivered, now());
                    return true;
                }
                Next::Fetching => {
                    let guard = self.host.wakes.lock().unwrap();
                    let within = Duration::from_secs(20);
                    drop(self.host.woken.wait_timeout_while(guard, within, |now| *now == wakes).unwrap());
                }
                _ => return false,
            }
        }
    }

    /// Waits until what was settled is gone from the disk: a lane that is idle gives its last segment back after 1 s.
    pub(crate) fn idle(&self) {
        self.wait(|| self.spool.stats().disk_bytes < 4096);
    }

    /// Delivers all.
    pub(crate) fn drain(&self) -> u64 {
        let mut count = 0;
        while self.deliver() {
            count += 1;
        }
        count
    }
}
