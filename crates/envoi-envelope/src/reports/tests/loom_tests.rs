//! The counters under every interleaving of a few threads.

use std::sync::Arc;

use loom::thread;

use crate::reports::grid::Grid;

/// What one taker gets, as one number.
fn take(grid: &Grid, most: u64) -> u64 {
    let mut sum = 0;
    if grid.withdraw() {
        grid.collect(most, |_, count| sum += count);
    }
    sum
}

/// CR-1: two threads lose something while a third takes: each count is taken once, and none is stranded without an
/// announcement.
#[test]
fn what_is_added_is_taken_exactly_once() {
    loom::model(|| {
        let grid = Arc::new(Grid::new(2));
        let writers = [0, 1].map(|slot| {
            let grid = Arc::clone(&grid);
            thread::spawn(move || grid.add(slot, 1))
        });
        let mut taken = take(&grid, u64::MAX);
        for writer in writers {
            writer.join().unwrap();
        }
        // No later addition helps: what is left must have been announced.
        assert!(taken == 2 || grid.is_pending(), "a count is stranded");
        taken += take(&grid, u64::MAX);
        assert_eq!(taken, 2);
        assert!(!grid.is_pending());
    });
}

/// CR-1: two takers never get the same count.
#[test]
fn two_takers_share_without_doubling() {
    loom::model(|| {
        let grid = Arc::new(Grid::new(1));
        grid.add(0, 2);
        let other = {
            let grid = Arc::clone(&grid);
            thread::spawn(move || {
                grid.add(0, 1);
                take(&grid, u64::MAX)
            })
        };
        let mine = take(&grid, u64::MAX);
        let theirs = other.join().unwrap();
        assert_eq!(mine + theirs + take(&grid, u64::MAX), 3);
    });
}

/// CR-8: what one entry cannot say stays, announced, for the next time.
#[test]
fn the_surplus_stays_announced() {
    loom::model(|| {
        let grid = Arc::new(Grid::new(1));
        grid.add(0, 3);
        let other = {
            let grid = Arc::clone(&grid);
            thread::spawn(move || grid.add(0, 1))
        };
        let first = take(&grid, 2);
        assert!(first <= 2);
        other.join().unwrap();
        assert!(grid.is_pending());
        let (second, third) = (take(&grid, 2), take(&grid, 2));
        assert_eq!(first + second + third, 4);
    });
}
