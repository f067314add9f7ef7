//! Anything in any order. The rig itself notes a second probe, and a request after the latch.

use std::time::Duration;

use envoi_core::{Advice, Kind};
use envoi_testkit::mock::Outcome;
use proptest::prelude::*;

use crate::rig::*;

#[derive(Clone, Debug)]
enum Step {
    Post(usize),
    Answers(Vec<(usize, u64)>),
    Advance(u64),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let delay = prop::sample::select(vec![0_u64, 1, 150, 4_000]);
    prop_oneof![
        5 => (1_usize..12).prop_map(Step::Post),
        6 => prop::collection::vec((0_usize..11, delay), 1..12).prop_map(Step::Answers),
        4 => prop::sample::select(vec![0_u64, 1, 99, 400, 7_000, 30_000, 61_000]).prop_map(Step::Advance),
        1 => Just(Step::Flush),
    ]
}

fn answer((which, delay): (usize, u64)) -> Outcome {
    let outcome = match which {
        0 | 1 => Outcome::delivered(),
        2 => status(500, Advice::Retry),
        3 => status(503, Advice::RetryAfter(3 * SECOND)),
        4 => status(429, Advice::RetryAfter(Duration::MAX)),
        5 => status(400, Advice::Drop),
        6 => Outcome::failure(Kind::Connect),
        7 => Outcome::failure(Kind::Timeout),
        8 => Outcome::panic(),
        9 => Outcome::failure(Kind::Io).losing_the_parcel(),
        _ => Outcome::never(),
    };
    outcome.after(Duration::from_millis(delay))
}

async fn run(steps: Vec<Step>, refused_after: Option<usize>, close_within: u64) {
    let mut rig = Rig::new();
    let (mut posted, mut scripted) = (0, 0);
    for step in steps {
        match step {
            Step::Post(count) => {
                for _ in 0..count {
                    // Refused by the latch, it is lost without a report.
                    let _ = rig.post(posted);
                    posted += 1;
                }
            }
            Step::Answers(answers) => {
                for step in answers {
                    let is_refusal = refused_after == Some(scripted);
                    rig.below.script([if is_refusal { status(401, Advice::Drop) } else { answer(step) }]);
                    scripted += 1;
                }
            }
            Step::Advance(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Step::Flush => drop(rig.outbox.flush(40 * SECOND).await),
        }
        rig.account();
    }
    rig.outbox.close(Duration::from_millis(close_within)).await;
    // A close without any time does not wait for the driver.
    (&mut rig.driver).await.unwrap();
    let (account, heard) = (rig.account(), rig.heard());
    assert_eq!(account.held(), Some(0));
    assert_eq!(account.posted, posted as u64);
    assert!(rig.attempts().values().all(|attempts| *attempts <= 3), "{:?}", rig.attempts());
    let auth = heard.iter().filter(|name| *name == "auth").count();
    assert_eq!(auth, usize::from(rig.latch.is_tripped()));
    let lost = account.refused_total() + account.lost_total();
    if rig.latch.is_tripped() {
        // What is discarded because of the one refusal is not reported.
        assert!(heard.len() as u64 <= lost);
    } else {
        assert_eq!(heard.len() as u64, lost, "each loss is reported, once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// BD-1, BD-4, BD-5, BD-7, BD-9: whatever the receiver answers in whatever order, and whenever the end comes: the books
    /// balance, no batch has more than three requests, there are never two probes, nothing is sent after the latch, and
    /// each loss is reported once.
    #[test]
    fn every_schedule_keeps_the_guarantees(
        steps in prop::collection::vec(step(), 1..40),
        refused_after in prop::option::of(0_usize..60),
        close_within in prop::sample::select(vec![0_u64, 10, 2_000, 90_000]),
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(run(steps, refused_after, close_within));
    }
}
