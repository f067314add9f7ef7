use std::sync::Arc;
use std::thread;

use envoi_batch::BatcherConfig;
use envoi_core::Clock;
use envoi_layers::TokioClock;

use super::*;

fn queue(events: usize) -> Arc<Queue> {
    let queue = Queue::new(Batcher::new(BatcherConfig::default(), TokioClock.now()), Ledger::new());
    for number in 0..events {
        assert_eq!(queue.push(Event::new(&number).unwrap(), TokioClock.now()).unwrap(), 0);
    }
    Arc::new(queue)
}

/// BD-9: who hands over the rest, to close what is behind, waits for a batch that is on its way there already.
#[test]
fn the_rest_waits_for_what_is_in_hand() {
    let queue = queue(25);
    let first = queue.take(TokioClock.now(), false).unwrap();
    let rest = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            let mut sizes = Vec::new();
            while let Some(batch) = queue.take_when_free(TokioClock.now()) {
                sizes.push(batch.len());
                queue.handed_over();
            }
            sizes
        }
    });
    while queue.lock().waiting == 0 {
        assert!(!rest.is_finished(), "it did not wait");
        thread::yield_now();
    }
    assert!(queue.take(TokioClock.now(), true).is_none(), "one at a time, so that they keep their order");
    assert_eq!((first.len(), queue.depth().0), (20, 5));
    queue.handed_over();
    assert_eq!(rest.join().unwrap(), [5]);
    // Also if it is the last that somebody else has in hand.
    assert!(queue.lock().is_past(25));
}

/// BD-9: a flush is through when what was there before it was handed over, whatever is in hand after that.
#[tokio::test]
async fn a_flush_does_not_look_again() {
    let queue = queue(3);
    let mark = queue.flush(TokioClock.now());
    assert!(!queue.wait(mark, Duration::ZERO).await && !queue.wait_blocking(mark, Duration::ZERO));
    assert_eq!(queue.take(TokioClock.now(), false).unwrap().len(), 3);
    assert!(!queue.wait(mark, Duration::ZERO).await, "in hand");
    queue.handed_over();
    assert!(queue.wait(mark, Duration::ZERO).await && queue.wait_blocking(mark, Duration::ZERO));
    queue.flush(TokioClock.now());
    queue.end();
    assert!(queue.wait(3, Duration::ZERO).await && !queue.wait(4, Duration::MAX).await, "the end is the end");
}
