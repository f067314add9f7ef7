//! When a batch is due, and who gives way.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use envoi_batch::{Batch, Batcher, BatcherConfig, Event};
use envoi_core::{Clock, Payload, SystemClock};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn event(number: usize) -> Event {
    Event::new(&number).unwrap()
}

fn numbers(batch: &Batch) -> Vec<usize> {
    batch.events().iter().map(|event| event.as_str().parse().unwrap()).collect()
}

fn batcher(change: impl FnOnce(&mut BatcherConfig)) -> (Batcher, Instant) {
    let (mut config, start) = (BatcherConfig::default(), SystemClock.now());
    change(&mut config);
    (Batcher::new(config, start), start)
}

/// BD-8: twenty events are a batch, at once.
#[test]
fn twenty_events_are_due_at_once() {
    let (mut batcher, now) = batcher(|_| {});
    for number in 0..19 {
        let pushed = batcher.push(event(number), now).unwrap();
        assert_eq!((pushed.is_news, batcher.is_due(now)), (number == 0, false));
    }
    assert!(batcher.push(event(19), now).unwrap().is_news);
    assert_eq!(numbers(&batcher.poll(now).unwrap()), (0..20).collect::<Vec<_>>());
    assert!(batcher.is_empty() && batcher.poll(now).is_none() && batcher.deadline().is_none());
}

/// BD-8: what waits is due five seconds after the last flush, to the nanosecond.
#[test]
fn what_waits_is_due_five_seconds_after_the_last_flush() {
    let (mut batcher, start) = batcher(|_| {});
    batcher.push(event(0), start + 2 * SECOND).unwrap();
    assert_eq!(batcher.deadline(), Some(start + 5 * SECOND), "since the start, not since the event");
    assert!(batcher.poll(start + 5 * SECOND - Duration::from_nanos(1)).is_none());
    assert_eq!(batcher.poll(start + 5 * SECOND).unwrap().len(), 1);

    // A batch that was full is a flush, too.
    for number in 0..21 {
        batcher.push(event(number), start + 7 * SECOND).unwrap();
    }
    assert_eq!(batcher.poll(start + 7 * SECOND).unwrap().len(), 20);
    assert_eq!(batcher.deadline(), Some(start + 12 * SECOND));

    // And so is one on request.
    batcher.flush(start + 8 * SECOND);
    assert_eq!(batcher.poll(start + 8 * SECOND).unwrap().len(), 1);
    batcher.push(event(0), start + 9 * SECOND).unwrap();
    assert_eq!(batcher.deadline(), Some(start + 13 * SECOND));
}

/// BD-8: flushes that found nothing count: after a long silence an event waits for the next, and is not alone.
#[test]
fn after_a_silence_events_still_gather() {
    let (mut batcher, start) = batcher(|_| {});
    batcher.push(event(0), start + Duration::from_millis(3_601_500)).unwrap();
    assert_eq!(batcher.deadline(), Some(start + 3605 * SECOND));
    batcher.push(event(1), start + 3604 * SECOND).unwrap();
    assert_eq!(batcher.poll(start + 3605 * SECOND).unwrap().len(), 2);
}

/// BD-8: a flush is about what waits at that moment, in as many batches as that takes; later events are not dragged along
/// into batches of their own.
#[test]
fn a_flush_is_about_what_waits() {
    let (mut batcher, now) = batcher(|_| {});
    for number in 0..45 {
        batcher.push(event(number), now).unwrap();
    }
    let mark = batcher.pushed();
    batcher.flush(now);
    let sizes: Vec<_> = std::iter::from_fn(|| batcher.poll(now)).map(|batch| batch.len()).collect();
    assert_eq!((sizes, batcher.left() >= mark), (vec![20, 20, 5], true));
    batcher.push(event(45), now).unwrap();
    assert!(batcher.poll(now).is_none());
}

/// BD-8: what is not fetched in time leaves in fuller batches, not in more.
#[test]
fn what_is_late_leaves_together() {
    let (mut batcher, start) = batcher(|_| {});
    let mut now = start;
    for number in 0..30 {
        batcher.push(event(number), now).unwrap();
        now += SECOND;
    }
    assert_eq!(batcher.poll(now).unwrap().len(), 20);
    assert_eq!(batcher.poll(now).unwrap().len(), 10, "late as well");
}

/// BD-8: the oldest gives way, one by one, and is counted.
#[test]
fn the_oldest_gives_way() {
    let (mut batcher, now) = batcher(|_| {});
    let overflow: u64 = (0..1005).map(|number| batcher.push(event(number), now).unwrap().overflow).sum();
    assert_eq!((overflow, batcher.len(), batcher.left()), (5, 1000, 5));
    assert_eq!(numbers(&batcher.poll(now).unwrap()), (5..25).collect::<Vec<_>>());
}

/// BD-8, BD-10: batches and what waits are bounded in bytes, too, and what can never fit is refused without harm.
#[test]
fn bytes_are_bounded() {
    let (mut batcher, now) = batcher(|config| {
        config.max_bytes = 100;
        config.capacity_bytes = 250;
    });
    let text = |length: usize| Event::new(&"x".repeat(length - 2)).unwrap();
    let refused = batcher.push(text(99), now).unwrap_err();
    assert_eq!((refused.size, refused.most, refused.event.len()), (101, 100, 99));
    assert!(refused.to_string().contains("101 bytes"), "{refused}");
    batcher.push(text(98), now).unwrap();
    assert_eq!(batcher.poll(now).unwrap().weight().bytes, 100);

    for _ in 0..3 {
        batcher.push(text(40), now).unwrap();
    }
    assert!(batcher.is_due(now), "two of them are all that fits");
    assert_eq!(batcher.poll(now).unwrap().len(), 2);
    assert!(batcher.poll(now).is_none(), "the third waits for more");
    let overflow: u64 = (0..6).map(|_| batcher.push(text(50), now).unwrap().overflow).sum();
    assert_eq!((overflow, batcher.len(), batcher.bytes()), (2, 5, 250));
}

/// BD-10: numbers that make no sense do no harm.
#[test]
fn senseless_numbers_are_harmless() {
    let (mut batcher, now) = batcher(|config| {
        config.max_events = 0;
        config.capacity = 0;
        config.interval = Duration::MAX;
    });
    assert_eq!(batcher.push(event(0), now).unwrap().overflow, 0);
    assert_eq!(batcher.push(event(1), now).unwrap().overflow, 1);
    assert_eq!(numbers(&batcher.poll(now).unwrap()), [1]);
    let (mut batcher, now) = self::batcher(|config| config.interval = Duration::ZERO);
    batcher.push(event(0), now + SECOND).unwrap();
    assert_eq!(batcher.poll(now + SECOND).unwrap().len(), 1);
    let (mut batcher, now) = self::batcher(|config| config.max_bytes = 0);
    assert!(batcher.push(event(0), now).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Wait(u64),
    Poll,
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_usize..30).prop_map(Step::Push),
        2 => (0_u64..4000).prop_map(Step::Wait),
        3 => Just(Step::Poll),
        1 => Just(Step::Flush),
    ]
}

proptest! {
    /// BD-8: nothing is lost, doubled, reordered or late, and no bound is broken, whatever happens in whatever order.
    #[test]
    fn nothing_is_lost_doubled_or_late(
        max_events in 1_usize..6,
        max_bytes in 20_usize..80,
        capacity in 1_usize..12,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let (mut batcher, mut now) = batcher(|config| {
            config.max_events = max_events;
            config.max_bytes = max_bytes;
            config.capacity = capacity;
        });
        let (mut model, mut number) = (VecDeque::<(String, Instant)>::new(), 0_u64);
        for step in steps {
            match step {
                Step::Push(length) => {
                    let text = format!("{number:0length$}");
                    number += 1;
                    let event = Event::new(&text).unwrap();
                    match batcher.push(event, now) {
                        Ok(pushed) => {
                            model.push_back((format!("\"{text}\""), now));
                            for _ in 0..pushed.overflow {
                                prop_assert!(model.len() > capacity);
                                model.pop_front();
                            }
                        }
                        Err(refused) => prop_assert!(refused.event.len() + 2 > max_bytes),
                    }
                }
                Step::Wait(millis) => now += Duration::from_millis(millis),
                Step::Poll | Step::Flush => {
                    let all = matches!(step, Step::Flush);
                    if all {
                        batcher.flush(now);
                    }
                    while let Some(batch) = batcher.poll(now) {
                        prop_assert!(!batch.is_empty() && batch.len() <= max_events);
                        prop_assert!(batch.weight().bytes <= max_bytes);
                        for event in batch.events() {
                            let (expected, _) = model.pop_front().unwrap();
                            prop_assert_eq!(event.as_str(), expected);
                        }
                    }
                    prop_assert!(!all || batcher.is_empty());
                    for (_, since) in &model {
                        prop_assert!(now - *since < 10 * SECOND, "late");
                    }
                    prop_assert!(model.len() < max_events, "full");
                }
            }
            prop_assert_eq!(batcher.len(), model.len());
            prop_assert!(batcher.len() <= capacity);
            prop_assert_eq!(batcher.bytes(), model.iter().map(|(text, _)| text.len()).sum::<usize>());
            prop_assert_eq!(batcher.pushed() - batcher.left(), model.len() as u64);
            prop_assert_eq!(batcher.deadline().is_none(), model.is_empty());
        }
    }
}
