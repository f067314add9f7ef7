//! A lane, a plain model of it, and a record of what was promised when.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use envoi_core::{Clock, SystemClock};
use envoi_spool::format::AckKind;
use envoi_spool::fs::SimFs;
use envoi_spool::fs::sim::Chance;
use envoi_spool::log::{AppendError, Log, LogConfig, ReadError, Recovery, Seq};

use crate::common::{ID, WALL, append, dir, number, payload};

/// What the model knows of a record. Times are numbers of operations of the file system.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) len: usize,
    pub(crate) seq: Option<Seq>,
    /// When its append returned.
    pub(crate) appended: Option<u64>,
    /// When a sync was told to be done.
    pub(crate) durable: Option<u64>,
    /// When it was settled.
    pub(crate) acked: Option<u64>,
    /// When that was told to outlive a power cut.
    pub(crate) ack_durable: Option<u64>,
    pub(crate) attempts: u32,
    /// A power cut may have hurt it: it was not synced then.
    pub(crate) shaky: bool,
}

pub(crate) struct Story {
    pub(crate) fs: SimFs,
    pub(crate) cfg: LogConfig,
    log: Option<Log<SimFs>>,
    pub(crate) known: BTreeMap<u64, Known>,
    next: u64,
    now: Instant,
    /// Some call has failed, so that promises on acks are off.
    doubtful_acks: bool,
    /// Numbers of losses that were reported.
    lost: BTreeSet<u64>,
    pub(crate) steps: usize,
    /// For the control: sync does nothing and says it did.
    pub(crate) lazy: bool,
    /// There were faults in this run.
    pub(crate) faulty: bool,
}

impl Story {
    pub(crate) fn new(cfg: LogConfig) -> Self {
        let mut story = Self {
            fs: SimFs::new(),
            cfg,
            log: None,
            known: BTreeMap::new(),
            next: 1,
            now: SystemClock.now(),
            doubtful_acks: false,
            lost: BTreeSet::new(),
            steps: 0,
            lazy: false,
            faulty: false,
        };
        story.reopen();
        story
    }

    fn log(&mut self) -> &mut Log<SimFs> {
        self.log.as_mut().expect("open")
    }

    /// The records that are there, by number of the log.
    pub(crate) fn live(&self) -> Vec<u64> {
        let mut live: Vec<_> = self
            .known
            .iter()
            .filter(|(_, known)| known.appended.is_some() && known.acked.is_none())
            .map(|(n, known)| (known.seq, *n))
            .collect();
        live.sort_unstable();
        live.into_iter().map(|(_, n)| n).collect()
    }

    pub(crate) fn step(&mut self, chance: &mut Chance) {
        self.steps += 1;
        let live = self.live();
        let any = live.get(chance.below(live.len())).copied();
        let old = live.get(chance.below(live.len().min(4))).copied();
        match chance.below(20) {
            0..=6 => {
                let sizes = [0, 5, 100, 700, 3000];
                let count = 1 + chance.below(4);
                let batch: Vec<usize> = (0..count).map(|_| sizes[chance.below(sizes.len())]).collect();
                self.append(&batch);
            }
            7..=8 => self.sync(),
            9..=12 => old.into_iter().for_each(|n| self.ack(n)),
            13 => any.into_iter().for_each(|n| self.attempt(n)),
            14 => self.flush(chance.below(2) == 0),
            15 => {
                self.now += Duration::from_millis(40 << chance.below(6));
                let now = self.now;
                if self.log().tick(now, WALL).is_err() {
                    self.doubtful_acks = true;
                }
            }
            16 => any.into_iter().for_each(|n| self.read(n)),
            17 => self.evict(chance.below(3), (chance.below(3) * 3000) as u64),
            18 => drop(self.log().compact(WALL)),
            _ => any.into_iter().for_each(|n| self.ack(n)),
        }
        self.agrees();
    }

    fn append(&mut self, sizes: &[usize]) {
        let first = self.next;
        let batch: Vec<(u64, usize)> = sizes.iter().zip(first..).map(|(len, n)| (n, *len)).collect();
        self.next += batch.len() as u64;
        for (n, len) in &batch {
            let known = Known {
                len: *len,
                seq: None,
                appended: None,
                durable: None,
                acked: None,
                ack_durable: None,
                attempts: 0,
                shaky: false,
            };
            self.known.insert(*n, known);
        }
        let before = self.log().stats().next_seq;
        let written = match append(self.log(), &batch) {
            Ok(written) => {
                assert_eq!(written.len(), batch.len());
                written
            }
            Err(AppendError { written, .. }) => {
                assert!(written.len() < batch.len());
                written
            }
        };
        assert!(written.first().is_none_or(|seq| seq.0 >= before) && written.is_sorted(), "{written:?}");
        let now = self.fs.ops();
        for (seq, n) in written.into_iter().zip(first..) {
            let known = self.known.get_mut(&n).unwrap();
            (known.seq, known.appended) = (Some(seq), Some(now));
        }
    }

    pub(crate) fn sync(&mut self) {
        if !self.lazy && self.log().sync().is_err() {
            // What was appended before is never promised any more.
            for known in self.known.values_mut().filter(|known| known.appended.is_some()) {
                known.durable.get_or_insert(u64::MAX);
            }
            return;
        }
        let now = self.fs.ops();
        for known in self.known.values_mut().filter(|known| known.appended.is_some()) {
            known.durable.get_or_insert(now);
        }
    }

    fn ack(&mut self, n: u64) {
        let now = self.fs.ops();
        let known = self.known.get_mut(&n).unwrap();
        known.acked = Some(now);
        let seq = known.seq.unwrap();
        let log = self.log();
        assert!(log.ack(seq, AckKind::Delivered, WALL));
        assert!(!log.ack(seq, AckKind::Delivered, WALL));
    }

    fn attempt(&mut self, n: u64) {
        let known = self.known.get_mut(&n).unwrap();
        known.attempts += 1;
        let (seq, attempts) = (known.seq.unwrap(), known.attempts);
        assert!(self.log().ack(seq, AckKind::Attempt, WALL));
        assert_eq!(self.log().attempts(seq), Some(attempts));
    }

    fn flush(&mut self, sync: bool) {
        if self.log().flush_acks(sync).is_err() {
            self.doubtful_acks = true;
        } else if sync && !self.doubtful_acks {
            let now = self.fs.ops();
            for known in self.known.values_mut().filter(|known| known.acked.is_some()) {
                known.ack_durable.get_or_insert(now);
            }
        }
    }

    pub(crate) fn read(&mut self, n: u64) {
        let known = self.known[&n].clone();
        let seq = known.seq.unwrap();
        match self.log().read(seq, WALL) {
            Ok(record) => {
                assert_eq!(number(&record.meta), n);
                assert_eq!(record.payload, payload(n, known.len));
                assert_eq!((record.enqueued_ms, record.attempts), (WALL + n, known.attempts));
            }
            Err(ReadError::Corrupt { meta, .. }) if known.shaky => {
                assert!(meta.is_none_or(|meta| number(&meta) == n));
                self.known.get_mut(&n).unwrap().acked = Some(self.fs.ops());
            }
            Err(ReadError::Io { .. }) => {}
            Err(error) => panic!("record {n}: {error}"),
        }
    }

    fn evict(&mut self, count: usize, bytes: u64) {
        let live = self.live();
        let kept = live.get(1).and_then(|n| self.known[n].seq);
        let chosen = self.log().to_evict(count, bytes, |seq| Some(seq) == kept);
        let oldest: Vec<Seq> =
            live.iter().filter_map(|n| self.known[n].seq).filter(|seq| Some(*seq) != kept).collect();
        assert_eq!(chosen, oldest[..chosen.len()]);
        assert!(chosen.len() >= count.min(oldest.len()));
        for seq in chosen {
            let n = live.iter().find(|n| self.known[n].seq == Some(seq)).copied().unwrap();
            self.ack(n);
        }
    }

    fn agrees(&mut self) {
        let live = self.live();
        let oldest = live.first().and_then(|n| self.known[n].seq);
        let log = self.log();
        assert_eq!(log.len(), live.len());
        assert_eq!(log.oldest(), oldest);
        assert_eq!(log.stats().records, live.len());
    }

    /// What the log says it takes on the disk, it takes.
    pub(crate) fn check_bytes(&mut self) {
        let fs = self.fs.clone();
        let dying = |path: &Path| path.extension().is_some_and(|kind| kind == "ack");
        let segments: BTreeSet<_> =
            fs.paths().into_iter().filter(|path| !dying(path)).map(|path| path.with_extension("")).collect();
        let found: usize = fs
            .paths()
            .iter()
            .filter(|path| !dying(path) || segments.contains(&path.with_extension("")))
            .map(|path| fs.content(path).unwrap().len())
            .sum();
        assert_eq!(self.log().disk_bytes(), found as u64);
    }

    /// Says goodbye in an orderly way.
    pub(crate) fn close(&mut self) {
        self.sync();
        self.flush(true);
        let closed = self.log.take().unwrap().close();
        self.doubtful_acks |= closed.is_err();
    }

    /// The process is killed: the cache lives on.
    pub(crate) fn kill(&mut self) {
        self.log = None;
        self.fs = self.fs.snapshot().kill();
    }

    /// The power is cut.
    pub(crate) fn power_cut(&mut self, chance: &mut Chance) {
        self.log = None;
        self.fs = self.fs.snapshot().power_cut(&mut |of| chance.below(of));
        for known in self.known.values_mut() {
            known.shaky |= known.durable.is_none_or(|at| at == u64::MAX);
        }
    }

    /// Opens again and compares what is found with what was promised. After a run with faults nobody knows what of
    /// the unsynced the disk has taken: a sync may have failed without anybody being told before the end.
    pub(crate) fn reopen(&mut self) {
        let now = self.fs.ops();
        if std::mem::take(&mut self.faulty) {
            for known in self.known.values_mut().filter(|known| known.appended.is_some()) {
                known.durable.get_or_insert(u64::MAX);
            }
        }
        let (log, found) = Log::open(self.fs.clone(), dir(), ID, self.cfg.clone(), WALL).unwrap();
        let stays = |known: &Known| known.appended.is_some() && known.acked.is_none() && !known.shaky;
        let gone = |known: &Known| known.ack_durable.is_some();
        let numbers = judge(&self.known, &found, stays, gone);
        for loss in &found.losses {
            for seq in loss.seq.0..loss.seq.0 + loss.count {
                assert!(
                    self.lost.insert(seq) || self.known.values().any(|known| known.shaky),
                    "{seq} is lost again"
                );
            }
        }
        for (n, known) in &mut self.known {
            match found.records.iter().find(|record| number(&record.meta) == *n) {
                // Settled, but that was forgotten; or reported as failed, but it is there. Both are there from now on.
                Some(record) => {
                    assert!(record.attempts <= known.attempts);
                    (known.acked, known.attempts, known.seq) = (None, record.attempts, Some(record.seq));
                    known.appended.get_or_insert(now);
                }
                None => known.acked = known.acked.or(Some(now)),
            }
        }
        assert_eq!(self.live(), numbers);
        self.log = Some(log);
    }

    /// Opens while things go wrong: it must do no harm, and that is all.
    pub(crate) fn open_badly(&mut self) {
        (self.faulty, self.doubtful_acks) = (true, true);
        drop(Log::open(self.fs.clone(), dir(), ID, self.cfg.clone(), WALL));
    }

    pub(crate) fn read_all(&mut self) {
        for n in self.live() {
            self.read(n);
        }
        self.agrees();
    }
}

/// Compares what was recovered with what is known: everything that `stays` is there, nothing that is `gone`, nothing
/// that was not appended, nothing twice, in order. Answers the numbers.
pub(crate) fn judge(
    known: &BTreeMap<u64, Known>,
    found: &Recovery,
    stays: impl Fn(&Known) -> bool,
    gone: impl Fn(&Known) -> bool,
) -> Vec<u64> {
    let numbers: Vec<u64> = found.records.iter().map(|record| number(&record.meta)).collect();
    assert!(numbers.iter().is_sorted_by(|a, b| a < b), "out of order or twice: {numbers:?}");
    assert!(found.records.is_sorted_by(|a, b| a.seq < b.seq));
    for (n, record) in numbers.iter().zip(&found.records) {
        let known = known.get(n).unwrap_or_else(|| panic!("{n} was invented"));
        assert!(known.seq.is_none_or(|seq| seq == record.seq), "{n} has another number");
        assert_eq!((record.payload_len as usize, record.enqueued_ms), (known.len, WALL + n));
        assert!(!gone(known), "{n} was resurrected: {known:?}");
    }
    for (n, known) in known {
        if stays(known) {
            assert!(numbers.contains(n), "{n} is gone: {known:?}, notes {:?}", found.notes);
        }
    }
    let lost =
        |seq: Seq| found.losses.iter().any(|loss| (loss.seq.0..loss.seq.0 + loss.count).contains(&seq.0));
    for known in known.values().filter(|known| stays(known)) {
        assert!(known.seq.is_none_or(|seq| !lost(seq)), "counted as lost: {known:?}");
    }
    numbers
}
