//! Records go in and come out again.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use envoi_benches::now;
use envoi_benches::usage::written;
use envoi_spool::Durability;

use crate::enqueue::per_second;
use crate::ours::{Ours, config};
use crate::rivals::Rival;

/// What came of it; rates are records per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) drain: f64,
    pub(crate) both: f64,
    /// Bytes on disk with everything queued and with nothing, for each byte of payload.
    pub(crate) full: f64,
    pub(crate) empty: f64,
}

/// Bytes of all files below.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

fn measure(
    dir: &Path,
    body: &Bytes,
    count: u64,
    append: impl FnOnce(),
    drain: impl FnOnce() -> u64,
    tidy: impl FnOnce(),
) -> Figures {
    let payload = (count * body.len() as u64) as f64;
    let start = now();
    append();
    let (queued, full) = (now(), size(dir) as f64 / payload);
    let paused = now() - queued;
    let begun = now();
    assert_eq!(drain(), count);
    let drained = per_second(count, begun);
    let both = count as f64 / ((now() - start) - paused).as_secs_f64();
    tidy();
    Figures { drain: drained, both, full, empty: size(dir) as f64 / payload }
}

/// Our disk buffer. What it keeps in memory besides the disk is at its default, or nothing.
pub(crate) fn ours(dir: &Path, body: &Bytes, count: u64, cached: bool) -> Figures {
    let config = config(Durability::Os);
    let ours = Ours::new(dir, if cached { config } else { config.cache_bytes(0) });
    let parcels: Vec<_> = (0..count).map(|_| Ours::parcel(body)).collect();
    let figures = measure(
        dir,
        body,
        count,
        || {
            parcels.into_iter().for_each(|parcel| ours.append(parcel));
            ours.landed(count);
        },
        || ours.drain(),
        || ours.idle(),
    );
    if !cached {
        assert_eq!(ours.spool.stats().read, count);
    }
    figures
}

/// Another store.
pub(crate) fn rival(dir: &Path, mut rival: impl Rival, body: &Bytes, count: u64) -> Figures {
    let batch = [body.clone()];
    let rival = std::cell::RefCell::new(&mut rival);
    let append = || (0..count).for_each(|_| rival.borrow_mut().append(&batch, false));
    measure(dir, body, count, append, || rival.borrow_mut().drain(), || {})
}

/// Everything is delivered at once, and at most 64 wait: records per second, and bytes written for each byte of payload.
pub(crate) fn online(dir: &Path, body: &Bytes, count: u64) -> (f64, f64) {
    let ours = Ours::new(dir, config(Durability::Os));
    let parcels: Vec<_> = (0..count).map(|_| Ours::parcel(body)).collect();
    let (before, start) = (written(), now());
    let mut waiting = 0;
    for parcel in parcels {
        ours.append(parcel);
        waiting += 1;
        if waiting == 64 {
            for _ in 0..32 {
                assert!(ours.deliver());
            }
            waiting -= 32;
        }
    }
    assert_eq!(ours.drain(), waiting);
    let rate = per_second(count, start);
    ours.idle();
    (rate, (written() - before) as f64 / (count * body.len() as u64) as f64)
}
