//! What happens to events before they leave.

use std::sync::Arc;

use envoi::batch::{Event, Schedule};
use envoi::{DiscardReason, Kind};
use envoi_testkit::mock::Answer;

use crate::support::{MILLI, PATIENCE, Rig, SECOND, listen, status};

/// BD-8: an event that cannot be written, or that no batch can hold, is refused with a reason and booked; its neighbours go.
#[tokio::test(start_paused = true)]
async fn bad_events_do_not_hurt_their_neighbours() {
    let rig = Rig::with([], |builder| builder.batch_bytes(100));
    rig.log(0, 1);
    let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
    let error = rig.logger.log(&unwritable).unwrap_err();
    assert_eq!(error.kind(), Kind::Encode);
    let error = rig.logger.log(&"x".repeat(200)).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("204 bytes"), "{error:?}");
    rig.log(1, 1);
    assert!(rig.logger.flush(PATIENCE).await.is_complete);
    assert_eq!(rig.sizes(), [2]);
    assert_eq!(rig.account().lost[&DiscardReason::InternalSdkError], 2);
}

/// BD-8: a batch is due as soon as its bytes are there.
#[tokio::test(start_paused = true)]
async fn bytes_make_a_batch_due() {
    let rig = Rig::with([], |builder| builder.batch_bytes(1000));
    for _ in 0..12 {
        rig.logger.log(&"x".repeat(98)).unwrap();
    }
    rig.mock.until_seen(1).await;
    assert_eq!((rig.times(), rig.sizes()), (vec![0], vec![9]));
}

/// BD-8: while the server is away events gather in the queue, in order, and leave in full batches.
#[tokio::test(start_paused = true)]
async fn a_backlog_leaves_in_full_batches_and_in_order() {
    let rig = Rig::new([Answer::ok().after(8 * SECOND)]);
    rig.log(0, 1);
    tokio::time::sleep(6 * SECOND).await;
    rig.log(1, 30);
    tokio::time::sleep(SECOND).await;
    rig.log(31, 29);
    assert!(rig.logger.flush(PATIENCE).await.is_complete);
    assert_eq!(rig.sizes(), [1, 20, 20, 19]);
    let all: Vec<_> = rig.batches().into_iter().flatten().map(|number| number.as_u64().unwrap()).collect();
    assert_eq!(all, (0..60).collect::<Vec<_>>());
}

/// BD-8: after the backlog the clock of the queue runs on: what is left over leaves in its time.
#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_backlog_leaves_in_time() {
    let rig = Rig::new([Answer::ok().after(3 * SECOND)]);
    rig.log(0, 43);
    rig.mock.until_seen(3).await;
    // Twenty at once, twenty when there is room again, the rest five seconds after that.
    assert_eq!((rig.times(), rig.sizes()), (vec![0, 3000, 8000], vec![20, 20, 3]));
}

/// BD-8, BD-9: overflow while nothing is running is told when the driver runs, in one call, and not from the thread that logs.
#[tokio::test(start_paused = true)]
async fn overflow_is_told_in_one_call() {
    let rig = Rig::with([], |builder| builder.queue_events(10).batch_events(5));
    rig.log(0, 1000);
    assert!(rig.told().is_empty());
    assert!(rig.logger.flush(PATIENCE).await.is_complete);
    assert_eq!((rig.told(), rig.account().delivered), (vec![("overflow", 990)], 10));
}

/// BD-8: with back-pressure nothing gives way.
#[tokio::test(start_paused = true)]
async fn with_back_pressure_nothing_gives_way() {
    let rig = Rig::with([], |builder| builder.queue_events(10).batch_events(5));
    rig.mock.otherwise(Answer::ok().after(SECOND));
    for number in 0..100 {
        rig.logger.send_with_room(Event::new(&number).unwrap()).await.unwrap();
        assert!(rig.logger.stats().waiting <= 10);
    }
    assert!(rig.logger.flush(PATIENCE).await.is_complete);
    assert_eq!((rig.account().delivered, rig.told()), (100, vec![]));
    assert_eq!(rig.sizes(), [5; 20]);

    // One who waits is told of the end.
    rig.mock.otherwise(Answer::never());
    let waiting = async {
        loop {
            if let Err(fault) = rig.logger.send_with_room(Event::new(&1).unwrap()).await {
                break fault.kind();
            }
        }
    };
    let (kind, outcome) = tokio::join!(waiting, async {
        tokio::time::sleep(SECOND).await;
        rig.logger.shutdown(SECOND).await
    });
    assert_eq!((kind, outcome.is_complete), (Kind::Closed, false));
    assert_eq!(rig.account().held(), Some(0));
}

/// BD-7: a handler that panics, or logs what it hears, does no harm: nothing feeds on itself.
#[tokio::test(start_paused = true)]
async fn a_wild_handler_does_no_harm() {
    let (heard, handle) = (crate::support::Told::default(), Arc::new(std::sync::OnceLock::new()));
    let listener = listen(&heard);
    let own = Arc::clone(&handle);
    let rig = Rig::with(vec![status(400); 3], |builder| {
        builder.on_error(move |error| {
            listener(error);
            let logger: &envoi::BatchTransport = own.get().unwrap();
            assert_eq!(logger.log("lost!").unwrap_err().kind(), Kind::Disabled);
            panic!("a bad handler");
        })
    });
    handle.set(rig.logger.clone()).unwrap();
    for _ in 0..4 {
        rig.send_one().await;
    }
    assert_eq!(*heard.lock().unwrap(), [("status", 1); 3]);
    let account = rig.account();
    assert_eq!((account.delivered, account.refused[&400], account.held()), (1, 3, Some(0)));
    assert_eq!(account.lost[&DiscardReason::Ignored], 3);
}

/// BD-1, BD-4, BD-9: whatever the server does, and whenever it ends: at most three attempts per batch, every event has one
/// end, and every loss is told once.
#[tokio::test(start_paused = true)]
async fn every_event_has_one_end_whatever_the_server_does() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let answers: Vec<_> = (0..200)
            .map(|_| {
                let answer = match rng.u32(0..12) {
                    0 if rng.u32(0..40) == 0 => status(401 + 2 * rng.u16(0..2)),
                    0..5 => Answer::ok(),
                    5..8 => status(500 + rng.u16(0..5)),
                    8 => status(429).header(http::header::RETRY_AFTER, rng.u32(0..3).into()),
                    9 => status(400 + rng.u16(4..9)),
                    10 => Answer::io_error(std::io::ErrorKind::ConnectionReset),
                    _ => Answer::never(),
                };
                answer.after(std::time::Duration::from_millis(rng.u64(0..300)))
            })
            .collect();
        let concurrency = rng.usize(1..4);
        let rig = Rig::with(answers, |builder| {
            builder.concurrency(concurrency).queue_events(50).seed(seed).schedule(Schedule::brief())
        });
        let mut number = 0_u64;
        for _ in 0..rng.usize(1..60) {
            for _ in 0..rng.usize(0..20) {
                // After a refusal of the credentials it is an error, and booked as well.
                let _ = rig.logger.log(&number);
                number += 1;
            }
            match rng.u32(0..4) {
                0 => drop(rig.logger.flush(std::time::Duration::from_millis(rng.u64(0..2000))).await),
                1 => tokio::time::sleep(std::time::Duration::from_millis(rng.u64(0..8000))).await,
                _ => tokio::task::yield_now().await,
            }
        }
        let within = std::time::Duration::from_millis(rng.u64(0..5000));
        let outcome = rig.logger.shutdown(within).await;
        assert!(outcome.left == 0 || within < 20 * MILLI, "seed {seed}: {outcome:?}");
        // Without any time the driver comes to its end after us.
        tokio::time::sleep(20 * MILLI).await;
        let account = rig.account();
        assert_eq!((account.posted, account.held()), (number, Some(0)), "seed {seed}");
        let told: u64 = rig.told().iter().map(|(_, items)| items).sum();
        let lost = account.lost_total() + account.refused_total();
        if rig.logger.is_disabled() {
            // What is discarded because of the refusal is not told one by one.
            let refusals = rig.told().iter().filter(|(name, _)| *name == "auth").count();
            assert_eq!((refusals, told <= lost), (1, true), "seed {seed}: {:?}", rig.told());
        } else {
            assert_eq!(told, lost, "seed {seed}: {:?}", rig.told());
        }
        let mut attempts = std::collections::BTreeMap::<u64, u32>::new();
        for batch in rig.batches() {
            // Events are numbers, and each is in one batch.
            *attempts.entry(batch[0].as_u64().unwrap()).or_default() += 1;
        }
        assert!(attempts.values().all(|attempts| *attempts <= 3), "seed {seed}: {attempts:?}");
    }
}
