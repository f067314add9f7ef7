//! Every crash point of a workload.

use envoi_spool::fs::SimFs;
use envoi_spool::fs::sim::{Chance, Snapshot};
use envoi_spool::log::{Log, LogConfig};

use crate::common::{ID, WALL, append, dir, number, payload};
use crate::story::{Known, Story, judge};

fn config() -> LogConfig {
    LogConfig { segment_bytes: 6000, ..LogConfig::default() }
}

/// Segments are left without a sync, zeros are written ahead.
fn variants() -> [LogConfig; 4] {
    [(true, true), (false, false), (false, true), (true, false)].map(|(sync_segments, prewrite)| LogConfig {
        sync_segments,
        prewrite,
        segment_bytes: if prewrite { 20_000 } else { 6000 },
        ..LogConfig::default()
    })
}

/// Some hundred calls without faults, with a normal restart here and there; and the state of the disk before each
/// operation on it.
fn workload(cfg: LogConfig, seed: u64, calls: usize, lazy: bool) -> (Story, Vec<(u64, Snapshot)>) {
    let mut story = Story::new(cfg);
    story.lazy = lazy;
    story.fs.keep_history();
    let mut chance = Chance::new(seed);
    while story.steps < calls {
        story.step(&mut chance);
        if !lazy {
            story.check_bytes();
        }
    }
    story.sync();
    let mut history = story.fs.take_history();
    history.push((story.fs.ops(), story.fs.snapshot()));
    (story, history)
}

/// Opens what a crash has left, twice, and goes on working with it.
fn survive(fs: &SimFs, story: &Story, stays: impl Fn(&Known) -> bool, gone: impl Fn(&Known) -> bool) {
    let (mut log, found) = Log::open(fs.clone(), dir(), ID, story.cfg.clone(), WALL).unwrap();
    let mut numbers = judge(&story.known, &found, &stays, gone);
    // What is damaged shows now; none of what was promised may.
    for record in &found.records {
        let n = number(&record.meta);
        match log.read(record.seq, WALL) {
            Ok(read) => assert_eq!(read.payload, payload(n, story.known[&n].len)),
            Err(error) => {
                assert!(!stays(&story.known[&n]), "{error}");
                numbers.retain(|other| *other != n);
            }
        }
    }
    let seqs = append(&mut log, &[(1_000_000, 50)]).unwrap();
    assert!(found.records.iter().all(|record| record.seq < seqs[0]));
    log.close().unwrap();
    // Losses are counted once; what was read is still there.
    let (_, found) = Log::open(fs.clone(), dir(), ID, story.cfg.clone(), WALL).unwrap();
    assert!(found.losses.is_empty(), "counted again: {:?}", found.losses);
    numbers.push(1_000_000);
    assert_eq!(found.records.iter().map(|record| number(&record.meta)).collect::<Vec<_>>(), numbers);
}

fn power_cuts(cfg: LogConfig, seed: u64, calls: usize, outcomes: usize, lazy: bool) -> usize {
    let (story, history) = workload(cfg, seed, calls, lazy);
    let mut cuts = 0;
    for (at, moment) in &history {
        let synced = |known: &Known| known.durable.is_some_and(|done| done <= *at);
        let settled = |known: &Known| known.acked.is_some_and(|called| called < *at);
        let forgotten = |known: &Known| known.ack_durable.is_some_and(|done| done <= *at);
        for fs in moment.power_cuts(outcomes, *at) {
            survive(&fs, &story, |known| synced(known) && !settled(known), forgotten);
            cuts += 1;
        }
    }
    cuts
}

/// OC-9: power loss before each operation of a workload of 240 calls (appends in batches, syncs, acks, attempts,
/// changes of segments, evictions), with each allowed loss of what was not synced where there are few, else a sample:
/// what was synced is there, in order, nothing is invented, nothing whose ack was synced comes back, losses are counted
/// once.
#[test]
fn power_loss_at_every_operation_loses_nothing_that_was_synced() {
    let cuts: usize = [1, 2].map(|seed| power_cuts(config(), seed, 240, 10, false)).iter().sum();
    assert!(cuts > 4_000, "{cuts}");
}

/// OC-9: the same with segments that are left without a sync, and with zeros that are written ahead.
#[test]
fn power_loss_loses_nothing_synced_however_segments_are_made() {
    for (seed, cfg) in (10..).zip(variants()) {
        let cuts = power_cuts(cfg, seed, 200, 3, false);
        assert!(cuts > 300, "{cuts}");
    }
}

/// OC-9: a kill before each operation loses nothing that was appended, synced or not, and counts no loss.
#[test]
fn a_kill_at_every_operation_loses_nothing_that_was_appended() {
    for (seed, cfg) in (3..).zip([config()].into_iter().chain(variants())) {
        let (story, history) = workload(cfg, seed, 240, false);
        for (at, moment) in &history {
            let fs = moment.kill();
            let stays = |known: &Known| {
                known.appended.is_some_and(|done| done <= *at)
                    && known.acked.is_none_or(|called| called >= *at)
            };
            survive(&fs, &story, stays, |known| known.ack_durable.is_some_and(|done| done <= *at));
        }
    }
}

/// OC-9, control: the check bites. A log that leaves out the sync and says it did it is caught.
#[test]
fn control_a_log_that_does_not_sync_is_caught() {
    for cfg in [config()].into_iter().chain(variants()) {
        let caught = std::panic::catch_unwind(|| power_cuts(cfg, 1, 60, 14, true));
        assert!(caught.is_err());
    }
}
