//! Anything in any order: after every step the books balance and agree with the queue, and in the end all is settled.

use std::time::Duration;

use envoi_core::{Advice, DiscardReason, Fate, Fault, Kind, Lane, LossSink, Reply};
use envoi_layers::outbox::{Capacity, MemoryStore, Overflow};
use envoi_testkit::mock::Outcome;
use http::StatusCode;
use proptest::prelude::*;

use crate::support::*;

#[derive(Clone, Debug)]
enum Step {
    Post {
        lane: Lane,
        extra: u64,
    },
    /// The next answer: which, and after how many milliseconds.
    Answer {
        which: usize,
        delay: u64,
    },
    Advance(u64),
    Limit {
        category: Option<&'static str>,
        millis: u64,
    },
    Lose(u64),
    Flush(u64),
    Online,
    Close(u64),
    AbortDriver,
}

fn step() -> impl Strategy<Value = Step> {
    let lane = prop::sample::select(Lane::ALL.to_vec());
    let category = prop::sample::select(vec![Some("critical"), Some("low"), Some("extra"), None]);
    prop_oneof![
        12 => (lane, 0_u64..3).prop_map(|(lane, extra)| Step::Post { lane, extra }),
        8 => (0_usize..10, prop::sample::select(vec![0_u64, 1, 40, 700]))
            .prop_map(|(which, delay)| Step::Answer { which, delay }),
        6 => prop::sample::select(vec![0_u64, 1, 50, 800, 7_000, 60_000]).prop_map(Step::Advance),
        2 => (category, 1_u64..5000).prop_map(|(category, millis)| Step::Limit { category, millis }),
        1 => (1_u64..4).prop_map(Step::Lose),
        2 => (0_u64..3000).prop_map(Step::Flush),
        1 => Just(Step::Online),
        1 => prop::sample::select(vec![0_u64, 10, 2_000]).prop_map(Step::Close),
        1 => prop::bool::weighted(0.3).prop_map(|abort| if abort { Step::AbortDriver } else { Step::Online }),
    ]
}

fn answer(which: usize, delay: u64) -> Outcome {
    let refused = |code| {
        Outcome::fault(move || {
            Fault::new(Kind::Server).with_reply(Reply::new(StatusCode::from_u16(code).unwrap()))
        })
    };
    let outcome = match which {
        0 => Outcome::failure(Kind::Connect),
        1 => Outcome::failure(Kind::Reset),
        2 => Outcome::failure(Kind::Timeout).losing_the_parcel(),
        3 => Outcome::advised(Kind::Server, Advice::RetryAfter(3 * SECOND)),
        4 => refused(429),
        5 => refused(500),
        6 => Outcome::panic(),
        7 => Outcome::receipt(Fate::Spent),
        8 => Outcome::never(),
        _ => Outcome::failure(Kind::Halted),
    };
    outcome.after(Duration::from_millis(delay))
}

async fn run(steps: Vec<Step>, overflow: Overflow, concurrency: usize) {
    let (table, reports) = (Table::default(), Reports::default());
    let config = Config::new()
        .concurrency(concurrency)
        .seed(1)
        .limits(table.clone())
        .losses(reports.clone())
        .reporter(reports.clone());
    let store = MemoryStore::new().capacity(Capacity::new(6, 1 << 20)).overflow(overflow);
    let rig = Rig::with_store(store, config);
    let (mut told, mut closed) = (0, false);
    for step in steps {
        match step {
            Step::Post { lane, extra } => {
                let goods = goods(lane, "x");
                let goods = if extra > 0 { goods.and("extra", extra) } else { goods };
                let _ = rig.outbox.post(goods);
            }
            Step::Answer { which, delay } => rig.mock.script([answer(which, delay)]),
            Step::Advance(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Step::Limit { category, millis } => table.limit(category, Duration::from_millis(millis)),
            Step::Lose(quantity) => {
                reports.lost(DiscardReason::SampleRate, &"span".into(), quantity);
                told += quantity;
            }
            Step::Flush(millis) => {
                let (start, within) = (rig.elapsed(), Duration::from_millis(millis));
                rig.outbox.flush(within).await;
                assert!(rig.elapsed() <= start + within + MILLI, "a flush took too long");
            }
            Step::Online => rig.outbox.online(),
            Step::Close(millis) => {
                let (start, within) = (rig.elapsed(), Duration::from_millis(millis));
                rig.outbox.close(within).await;
                assert!(rig.elapsed() <= start + within + MILLI, "a close took too long");
                closed = true;
            }
            Step::AbortDriver => {
                rig.driver.abort();
                closed = true;
            }
        }
        settle().await;
        rig.assert_books();
    }
    if closed {
        tokio::time::sleep(10 * SECOND).await;
    }
    rig.outbox.close(60 * SECOND).await;
    settle().await;
    rig.assert_settled();
    let stats = rig.outbox.stats();
    assert_eq!((stats.queued(), stats.in_flight), (0, 0));
    // News of losses is pending or was read; it never grows by itself.
    let lost: u64 = rig
        .outbox
        .ledger()
        .snapshot()
        .iter()
        .map(|(_, account)| {
            let refused: u64 = account
                .refused
                .iter()
                .filter(|(status, _)| **status != 429)
                .map(|(_, quantity)| quantity)
                .sum();
            account.lost_total() + refused
        })
        .sum();
    assert!(reports.pending() <= told + lost, "{} pending of {told} + {lost}", reports.pending());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// CR-1, CR-3, CR-6, TR-2, decisions 14 and 16: conservation under any schedule of posts, answers, panics, limits, lost
    /// parcels, flushes, closes and dropped drivers.
    #[test]
    fn the_books_balance_under_any_schedule(
        steps in prop::collection::vec(step(), 0..60),
        newest in any::<bool>(),
        concurrency in 1_usize..4,
    ) {
        let overflow = if newest { Overflow::DropNewest } else { Overflow::DropOldest };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(steps, overflow, concurrency));
    }
}
