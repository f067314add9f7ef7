//! Records go in: at what rate, how long the caller is held, how much is written.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use envoi_benches::now;
use envoi_benches::usage::written;
use envoi_core::Store;
use envoi_spool::Durability;
use tokio::sync::oneshot;

use crate::ours::{Ours, config};
use crate::rivals::Rival;

/// How records are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// One thread, which waits for nothing; nothing is synced.
    Os,
    /// Four threads that wait for nothing; a sync every 50 ms.
    Interval,
    /// So many tasks, each of which waits until its record survives a power cut; those who wait share a sync.
    Group(usize),
    /// One thread, which waits for nothing; each record has a sync of its own.
    PerRecord,
    /// One task, which waits until its record survives a power cut, each with a sync of its own.
    Waiting,
}

const INTERVAL: Duration = Duration::from_millis(50);

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Bytes written for each byte of payload.
    pub(crate) amplification: f64,
    /// Records for each sync, if there is any.
    pub(crate) shared: Option<f64>,
}

/// Measures `run`, which appends `count` records, waits for what is under way, and says how long each caller was held.
fn measure(body: &Bytes, count: u64, run: impl FnOnce() -> Vec<Duration>) -> Figures {
    let (before, start) = (written(), now());
    let mut held = run();
    let took = now() - start;
    let bytes = written() - before;
    held.sort_unstable();
    assert_eq!(held.len() as u64, count);
    let at = |part: f64| held[(held.len() as f64 * part) as usize].as_secs_f64() * 1e6;
    Figures {
        rate: count as f64 / took.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        amplification: bytes as f64 / (count * body.len() as u64) as f64,
        shared: None,
    }
}

fn timed(act: impl FnOnce()) -> Duration {
    let start = now();
    act();
    now() - start
}

fn each_thread<T: Send>(threads: u64, act: impl Fn(u64) -> Vec<T> + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let act = &act;
        let running: Vec<_> = (0..threads).map(|number| scope.spawn(move || act(number))).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Tasks that append one record after the other and wait for each.
fn waiting(
    tasks: usize,
    count: u64,
    append: impl Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static,
) -> Vec<Duration> {
    let append = Arc::new(append);
    let each = count / tasks as u64;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async move {
        let running: Vec<_> = (0..tasks)
            .map(|_| {
                let append = Arc::clone(&append);
                tokio::spawn(async move {
                    let mut held = Vec::new();
                    for _ in 0..each {
                        let (sender, receiver) = oneshot::channel();
                        let start = now();
                        append(Box::new(move || sender.send(()).unwrap()));
                        receiver.await.unwrap();
                        held.push(now() - start);
                    }
                    held
                })
            })
            .collect();
        let mut held = Vec::new();
        for task in running {
            held.append(&mut task.await.unwrap());
        }
        held
    })
}

/// Our disk buffer, through its public front.
pub(crate) fn ours(dir: &Path, way: Way, body: &Bytes, count: u64, prewrite: bool) -> Figures {
    let durability = match way {
        Way::Os => Durability::Os,
        Way::Interval => Durability::Interval(INTERVAL),
        Way::Group(_) => Durability::Group,
        Way::PerRecord | Way::Waiting => Durability::PerRecord,
    };
    let ours = Ours::new(dir, config(durability).prewrite(prewrite));
    match way {
        Way::Os | Way::Interval | Way::PerRecord => {
            let threads = if way == Way::Interval { 4 } else { 1 };
            let parcels: Vec<_> = (0..count).map(|_| Ours::parcel(body)).collect();
            let stock = Mutex::new(parcels);
            measure(body, count, || {
                let held = each_thread(threads, |_| {
                    let mine = {
                        let mut stock = stock.lock().unwrap();
                        let left = stock.len() - (count / threads) as usize;
                        stock.split_off(left)
                    };
                    mine.into_iter().map(|parcel| timed(|| ours.append(parcel))).collect()
                });
                ours.landed(count);
                held
            })
        }
        Way::Group(_) | Way::Waiting => {
            let tasks = if let Way::Group(tasks) = way { tasks } else { 1 };
            let ours = Arc::new(ours);
            let body = body.clone();
            let figures = measure(&body.clone(), count, || {
                let ours = Arc::clone(&ours);
                waiting(tasks, count, move |done| {
                    let confirm = Box::new(move |_| done());
                    assert!(ours.spool.append_durable(Ours::parcel(&body), 1, now(), confirm).is_ok());
                })
            });
            Figures { shared: Some(count as f64 / ours.spool.stats().syncs as f64), ..figures }
        }
    }
}

/// Another store. `None` if it cannot do that.
pub(crate) fn rival<R: Rival + 'static>(mut rival: R, way: Way, body: &Bytes, count: u64) -> Option<Figures> {
    let batch = [body.clone()];
    Some(match way {
        Way::Os | Way::PerRecord | Way::Waiting => measure(body, count, || {
            let sync = way != Way::Os;
            (0..count).map(|_| timed(|| rival.append(&batch, sync))).collect()
        }),
        Way::Interval => {
            let sync = rival.syncer()?;
            let rival = Mutex::new(rival);
            let over = (Mutex::new(false), Condvar::new());
            thread::scope(|scope| {
                let over = &over;
                scope.spawn(move || {
                    let mut is_over = over.0.lock().unwrap();
                    while !*is_over {
                        (is_over, _) = over.1.wait_timeout(is_over, INTERVAL).unwrap();
                        sync();
                    }
                });
                let figures = measure(body, count, || {
                    each_thread(4, |_| {
                        let append = |_| timed(|| rival.lock().unwrap().append(&batch, false));
                        (0..count / 4).map(append).collect()
                    })
                });
                *over.0.lock().unwrap() = true;
                over.1.notify_one();
                figures
            })
        }
        Way::Group(tasks) => {
            let group = Arc::new(Group::default());
            let worker = Arc::clone(&group);
            let thread = thread::spawn(move || worker.run(&mut rival));
            let body = body.clone();
            let figures = measure(&body.clone(), count, || {
                let group = Arc::clone(&group);
                waiting(tasks, count, move |done| group.push(body.clone(), done))
            });
            group.stop();
            let syncs = thread.join().unwrap();
            Figures { shared: Some(count as f64 / syncs as f64), ..figures }
        }
    })
}

type Waiting = (Bytes, Box<dyn FnOnce() + Send>);

/// The front that a group commit needs: one thread that appends whatever waits with one sync.
#[derive(Default)]
struct Group {
    state: Mutex<(VecDeque<Waiting>, bool)>,
    work: Condvar,
}

impl Group {
    fn push(&self, bytes: Bytes, done: Box<dyn FnOnce() + Send>) {
        self.state.lock().unwrap().0.push_back((bytes, done));
        self.work.notify_one();
    }

    fn stop(&self) {
        self.state.lock().unwrap().1 = true;
        self.work.notify_one();
    }

    /// Says how often it has synced.
    fn run(&self, rival: &mut impl Rival) -> u64 {
        let mut syncs = 0;
        loop {
            let queue = {
                let state = self.state.lock().unwrap();
                let idle = |(queue, stop): &mut (VecDeque<Waiting>, bool)| queue.is_empty() && !*stop;
                let mut state = self.work.wait_while(state, idle).unwrap();
                std::mem::take(&mut state.0)
            };
            if queue.is_empty() {
                return syncs;
            }
            syncs += 1;
            let (batch, done): (Vec<_>, Vec<_>) = queue.into_iter().unzip();
            rival.append(&batch, true);
            done.into_iter().for_each(|done| done());
        }
    }
}

/// Records per second since `start`.
pub(crate) fn per_second(count: u64, start: Instant) -> f64 {
    count as f64 / (now() - start).as_secs_f64()
}
