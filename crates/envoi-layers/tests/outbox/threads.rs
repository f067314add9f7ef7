//! Plain threads: no runtime at the caller, the driver on a thread of its own.

use std::sync::Arc;

use envoi_core::{DiscardReason, Failure, Kind, Ledger, Parcel, Receipt};
use envoi_layers::outbox::{Capacity, MemoryStore, Outbox, OutboxLayer, outbox};
use envoi_testkit::Goods;
use envoi_testkit::mock::{MockDeliver, Outcome};
use tower::{Layer, service_fn};

use crate::support::*;

/// TR-1, TR-2: posting, flushing and closing from threads without a runtime, with the driver on its own thread.
#[test]
fn threads_without_a_runtime_can_do_everything() {
    let mock = MockDeliver::new();
    let (outbox, driver) =
        outbox(MemoryStore::new().capacity(Capacity::new(10_000, 1 << 30)), Config::new(), mock.clone());
    let thread = driver.spawn_thread().unwrap();
    let posters: Vec<_> = (0..4)
        .map(|poster| {
            let outbox = outbox.clone();
            std::thread::spawn(move || {
                for number in 0..500 {
                    outbox.post(error(format!("{poster}/{number}"))).unwrap();
                    if number % 100 == 0 {
                        assert!(outbox.flush_blocking(60 * SECOND).is_complete());
                    }
                }
            })
        })
        .collect();
    for poster in posters {
        poster.join().unwrap();
    }
    assert!(outbox.flush_blocking(60 * SECOND).is_complete());
    assert_eq!(mock.seen().len(), 2000);
    assert!(outbox.close_blocking(60 * SECOND).is_complete);
    thread.join().unwrap();
    assert_eq!(outbox.post(error("late")).unwrap_err().kind(), Kind::Closed);
    assert_books(&outbox);
    assert!(outbox.ledger().snapshot().is_settled());
}

/// TR-2: the blocking twins return although the service hangs, and everything is accounted for.
#[test]
fn blocking_twins_return_in_time() {
    let (outbox, driver) = outbox(
        MemoryStore::<Goods>::new(),
        Config::new().concurrency(1),
        MockDeliver::answering(Outcome::never()),
    );
    let thread = driver.spawn_thread().unwrap();
    for id in ["a", "b"] {
        outbox.post(error(id)).unwrap();
    }
    assert_eq!(outbox.flush_blocking(20 * MILLI).left, 2);
    let closed = outbox.close_blocking(200 * MILLI);
    thread.join().unwrap();
    assert_eq!(closed.discharged, 0);
    assert!(outbox.ledger().snapshot().is_settled());
    assert_books(&outbox);
}

/// TR-1: a layer that is applied outside of a runtime has a thread of its own; it ends after the last handle.
#[test]
fn a_layer_outside_of_a_runtime_has_its_own_thread() {
    for layer in [OutboxLayer::new(Config::new()), OutboxLayer::new(Config::new()).on_own_thread()] {
        let outbox: Outbox<Goods> = layer.layer(service_fn(|parcel: Parcel<Goods>| async move {
            tokio::time::sleep(MILLI).await;
            drop(parcel);
            Ok::<_, Failure<Goods>>(Receipt::delivered())
        }));
        outbox.post(error("a")).unwrap();
        assert!(outbox.flush_blocking(60 * SECOND).is_complete());
        assert!(outbox.ledger().snapshot().is_settled());
    }
}

/// TR-2: an own thread that nobody has a handle for any more delivers what is left and ends.
#[test]
fn an_own_thread_ends_after_the_last_handle() {
    let ledger = Ledger::new();
    let mock = MockDeliver::new();
    let (outbox, driver) =
        outbox(MemoryStore::<Goods>::new(), Config::new().ledger(ledger.clone()), mock.clone());
    for number in 0..100 {
        outbox.post(error(format!("{number}"))).unwrap();
    }
    drop(outbox);
    driver.spawn_thread().unwrap().join().unwrap();
    assert_eq!(mock.seen().len(), 100);
    assert!(ledger.snapshot().is_settled());
}

/// TR-1, CR-1: many threads, many losses, and at every moment the books balance.
#[test]
fn the_books_balance_at_every_moment() {
    let mock = MockDeliver::<Goods>::new();
    let config = Config::new().concurrency(4);
    let (outbox, driver) = outbox(MemoryStore::new().capacity(Capacity::new(5, 1 << 20)), config, mock);
    let thread = driver.spawn_thread().unwrap();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let auditor = {
        let (outbox, done) = (outbox.clone(), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut audits = 0_u32;
            while !done.load(std::sync::atomic::Ordering::Acquire) || audits == 0 {
                assert!(outbox.ledger().snapshot().balances());
                audits += 1;
            }
        })
    };
    let posters: Vec<_> = (0..3)
        .map(|poster| {
            let outbox = outbox.clone();
            std::thread::spawn(move || {
                for _ in 0..1000 {
                    let goods = if poster == 0 { error("e") } else { log("l").and("log_byte", 100) };
                    outbox.post(goods).unwrap();
                }
            })
        })
        .collect();
    for poster in posters {
        poster.join().unwrap();
    }
    outbox.close_blocking(60 * SECOND);
    thread.join().unwrap();
    done.store(true, std::sync::atomic::Ordering::Release);
    auditor.join().unwrap();
    assert_books(&outbox);
    let logs = delivered(&outbox, "low") + lost(&outbox, "low", DiscardReason::QueueOverflow);
    assert_eq!(logs, 2000);
}
