use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;

const ERROR: &str = "error";

/// CR-1: what was posted is delivered, refused, lost or held, by status and by reason.
#[test]
fn an_account_says_what_became_of_everything() {
    let ledger = Ledger::new();
    ledger.posted(&ERROR, 10);
    ledger.delivered(&ERROR, 2);
    ledger.refused(StatusCode::PAYLOAD_TOO_LARGE, &ERROR, 1);
    ledger.refused(StatusCode::TOO_MANY_REQUESTS, &ERROR, 3);
    ledger.lost(DiscardReason::QueueOverflow, &ERROR, 1);
    ledger.lost(DiscardReason::from("solar_flare"), &ERROR, 2);
    let snapshot = ledger.snapshot();
    let account = snapshot.get(&ERROR).unwrap();
    assert_eq!(account.refused, BTreeMap::from([(413, 1), (429, 3)]));
    assert_eq!(
        account.lost,
        BTreeMap::from([(DiscardReason::QueueOverflow, 1), (DiscardReason::from("solar_flare"), 2)])
    );
    assert_eq!((account.refused_total(), account.lost_total(), account.held()), (4, 3, Some(1)));
    assert!(snapshot.balances() && !snapshot.is_settled());
    ledger.delivered(&ERROR, 1);
    assert!(ledger.snapshot().is_settled());
}

#[test]
fn more_exits_than_entries_are_noticed() {
    let ledger = Ledger::new();
    ledger.posted(&ERROR, 1);
    ledger.delivered(&ERROR, 2);
    let snapshot = ledger.snapshot();
    assert_eq!(snapshot.get(&ERROR).unwrap().held(), None);
    assert!(!snapshot.balances() && !snapshot.is_settled());
}

#[test]
fn clones_share_the_books_and_snapshots_stand_still() {
    let ledger = Ledger::new();
    let before = ledger.snapshot();
    ledger.clone().posted(&ERROR, 1);
    assert!(before.get(&ERROR).is_none());
    assert!(before.is_settled());
    assert_eq!(ledger.snapshot().iter().map(|(category, _)| *category).collect::<Vec<_>>(), [ERROR]);
}

/// A report that is put back is no new loss (CR-6).
#[test]
fn restored_reports_do_not_change_the_books() {
    let ledger = Ledger::new();
    ledger.lost(DiscardReason::NetworkError, &ERROR, 5);
    let before = ledger.snapshot();
    ledger.restore(DiscardReason::NetworkError, &ERROR, 5);
    assert_eq!(ledger.snapshot(), before);
}

/// Quantities come from headers that anybody may have written: they neither panic nor unbalance the books.
#[test]
fn enormous_quantities_stop_at_the_top() {
    let ledger = Ledger::new();
    for _ in 0..3 {
        ledger.posted(&ERROR, u64::MAX);
        ledger.delivered(&ERROR, u64::MAX);
        ledger.lost(DiscardReason::Invalid, &ERROR, u64::MAX);
        ledger.lost(DiscardReason::Ignored, &ERROR, u64::MAX);
        ledger.refused(StatusCode::BAD_REQUEST, &ERROR, u64::MAX);
        ledger.refused(StatusCode::FORBIDDEN, &ERROR, u64::MAX);
    }
    let snapshot = ledger.snapshot();
    assert_eq!(snapshot.get(&ERROR).unwrap().held(), Some(0));
    assert!(snapshot.balances());
}

/// CR-1: thread safe, and a snapshot at any moment balances: no thread has more than one posting open.
#[test]
fn snapshots_balance_while_threads_write() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 500;
    let ledger = Ledger::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let snapshot = ledger.snapshot();
                for (_, account) in snapshot.iter() {
                    let held = account.held().expect("exits follow entries");
                    assert!(held <= THREADS, "{held} held by {THREADS} threads");
                }
                std::thread::yield_now();
            }
        });
        let writers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    for round in 0..ROUNDS {
                        ledger.posted(&ERROR, 1);
                        match round % 3 {
                            0 => ledger.delivered(&ERROR, 1),
                            1 => ledger.lost(DiscardReason::QueueOverflow, &ERROR, 1),
                            _ => ledger.refused(StatusCode::BAD_REQUEST, &ERROR, 1),
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
    let snapshot = ledger.snapshot();
    assert!(snapshot.is_settled());
    assert_eq!(snapshot.get(&ERROR).unwrap().posted, THREADS * ROUNDS);
}

/// A category whose clone panics: user code, called under the lock.
#[test]
fn a_panic_under_the_lock_does_not_spoil_the_books() {
    #[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
    struct Touchy(bool);
    impl Clone for Touchy {
        fn clone(&self) -> Self {
            assert!(!self.0, "boom");
            Self(self.0)
        }
    }
    let ledger = Ledger::new();
    ledger.posted(&Touchy(false), 1);
    let touchy = std::panic::AssertUnwindSafe(|| ledger.posted(&Touchy(true), 1));
    assert!(std::panic::catch_unwind(touchy).is_err());
    ledger.delivered(&Touchy(false), 1);
    assert!(ledger.snapshot().is_settled());
}

#[derive(Clone, Debug)]
enum Entry {
    Posted,
    Delivered,
    Refused(u16),
    Lost(DiscardReason),
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        Just(Entry::Posted),
        Just(Entry::Delivered),
        (400_u16..405).prop_map(Entry::Refused),
        "[a-c]|queue_overflow|invalid".prop_map(|name| Entry::Lost(DiscardReason::from(name.as_str()))),
    ]
}

proptest! {
    /// The books against a plain list of entries that is summed up anew.
    #[test]
    fn the_books_are_the_sum_of_their_entries(
        entries in prop::collection::vec((entry(), 0_u8..3, 0_u64..1000), 0..60),
    ) {
        let ledger = Ledger::new();
        for (entry, category, quantity) in &entries {
            match entry {
                Entry::Posted => ledger.posted(category, *quantity),
                Entry::Delivered => ledger.delivered(category, *quantity),
                Entry::Refused(status) => {
                    ledger.refused(StatusCode::from_u16(*status).unwrap(), category, *quantity);
                }
                Entry::Lost(reason) => ledger.lost(reason.clone(), category, *quantity),
            }
        }
        let snapshot = ledger.snapshot();
        for category in 0_u8..3 {
            let sum = |wanted: &dyn Fn(&Entry) -> bool| -> u64 {
                entries.iter().filter(|(entry, of, _)| *of == category && wanted(entry)).map(|(_, _, n)| n).sum()
            };
            let Some(account) = snapshot.get(&category) else {
                prop_assert!(entries.iter().all(|(_, of, _)| *of != category));
                continue;
            };
            prop_assert_eq!(account.posted, sum(&|entry| matches!(entry, Entry::Posted)));
            prop_assert_eq!(account.delivered, sum(&|entry| matches!(entry, Entry::Delivered)));
            for (status, quantity) in &account.refused {
                prop_assert_eq!(*quantity, sum(&|entry| matches!(entry, Entry::Refused(of) if of == status)));
            }
            for (reason, quantity) in &account.lost {
                prop_assert_eq!(*quantity, sum(&|entry| matches!(entry, Entry::Lost(of) if of == reason)));
            }
            let out = sum(&|entry| !matches!(entry, Entry::Posted));
            prop_assert_eq!(account.delivered + account.refused_total() + account.lost_total(), out);
            prop_assert_eq!(account.held(), account.posted.checked_sub(out));
        }
    }
}

/// CR-1: what is handed back to its poster is in nobody's books.
#[test]
fn a_posting_can_be_taken_back() {
    let ledger = Ledger::new();
    ledger.posted(&ERROR, 3);
    ledger.lost(DiscardReason::RatelimitBackoff, &ERROR, 1);
    ledger.withdrawn(&ERROR, 2);
    assert!(ledger.snapshot().is_settled());
    ledger.withdrawn(&ERROR, u64::MAX);
    assert_eq!(ledger.snapshot().get(&ERROR).unwrap().posted, 0);
}

#[test]
fn handles_know_whether_they_share_the_books() {
    let ledger = Ledger::<&str>::new();
    assert!(ledger.is_same(&ledger.clone()));
    assert!(!ledger.is_same(&Ledger::new()));
}
