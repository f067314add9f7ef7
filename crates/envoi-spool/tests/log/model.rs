//! Random operations, faults and restarts against a plain model.

use envoi_spool::fs::sim::{Chance, Faults, Op};
use envoi_spool::log::LogConfig;

use crate::story::Story;

fn faults(chance: &mut Chance) -> Faults {
    let rare = |chance: &mut Chance| [0, 0, 30, 200][chance.below(4)];
    let ops =
        [Op::Create, Op::Write, Op::SetLen, Op::Sync, Op::SyncDir, Op::Unlink, Op::Read, Op::Open, Op::List];
    Faults {
        fail: ops.into_iter().map(|op| (op, rare(chance))).collect(),
        short_writes: [0, 100, 500][chance.below(3)],
        space: [None, None, Some(3_000), Some(20_000)][chance.below(4)],
        power: None,
        seed: chance.bits(),
    }
}

fn schedule(seed: u64) {
    let mut chance = Chance::new(seed);
    let cfg = LogConfig {
        segment_bytes: [600, 6000, 20_000][chance.below(3)],
        sync_segments: chance.below(2) == 0,
        prewrite: chance.below(2) == 0,
        ..LogConfig::default()
    };
    let mut story = Story::new(cfg);
    for _ in 0..1 + chance.below(4) {
        let bad = chance.below(3) != 0;
        if bad {
            story.fs.set_faults(faults(&mut chance));
            story.faulty = true;
        }
        for _ in 0..3 + chance.below(12) {
            story.step(&mut chance);
        }
        story.fs.set_faults(Faults::default());
        match chance.below(4) {
            0 => story.close(),
            1 | 2 => story.kill(),
            _ => story.power_cut(&mut chance),
        }
        if chance.below(8) == 0 {
            story.fs.set_faults(faults(&mut chance));
            story.open_badly();
            story.fs.set_faults(Faults::default());
        }
        story.reopen();
        story.read_all();
    }
}

/// OC-9, OC-11, decision 20: 10,000 random schedules of operations, full disks, I/O errors, short writes, failed syncs,
/// orderly and disorderly ends agree with a plain model: nothing that was promised is missing, wrong or back again.
#[test]
fn ten_thousand_schedules_agree_with_the_model() {
    // Other seeds: `SPOOL_SEED=100000 cargo test ...`.
    let from: u64 = std::env::var("SPOOL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    for seed in from..from + 10_000 {
        if std::panic::catch_unwind(|| schedule(seed)).is_err() {
            panic!("schedule {seed} disagrees");
        }
    }
}
