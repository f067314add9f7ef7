//! The handshake between those who post and a driver that goes to sleep, under every interleaving. A wake-up that is lost
//! leaves the driver asleep, which loom calls a deadlock.

use std::sync::Arc;
use std::task::Poll;

use envoi_core::Lane;
use loom::future::block_on;
use loom::sync::Mutex;
use loom::thread;

use super::*;

/// A queue with two lanes, and what was commanded.
struct Desk {
    signal: Signal,
    high: Mutex<u32>,
    low: Mutex<u32>,
    command: Mutex<bool>,
}

impl Desk {
    fn new() -> Arc<Self> {
        let [high, low] = [(); 2].map(|()| Mutex::new(0));
        Arc::new(Self { signal: Signal::default(), high, low, command: Mutex::new(false) })
    }

    fn lane(&self, lane: Lane) -> &Mutex<u32> {
        if lane == Lane::High { &self.high } else { &self.low }
    }

    /// As a post does: first the goods, then the signal.
    fn post(&self, lane: Lane) {
        *self.lane(lane).lock().unwrap() += 1;
        self.signal.lanes_filled(LaneSet::of(lane));
    }

    fn close(&self) {
        *self.command.lock().unwrap() = true;
        self.signal.command();
    }

    fn take(&self, lane: Lane) -> bool {
        let mut stock = self.lane(lane).lock().unwrap();
        let has_some = *stock > 0;
        *stock -= u32::from(has_some);
        has_some
    }

    /// Takes what there is, as the driver does, until it has `goods` parcels and, if it waits for one, a command.
    fn drive(&self, goods: u32, mut commands: u32) {
        let mut taken = 0;
        block_on(std::future::poll_fn(|cx| {
            self.signal.register(cx.waker());
            if self.signal.take_command() {
                assert!(*self.command.lock().unwrap(), "the command comes after what it is about");
                commands -= 1;
            }
            for lane in [Lane::High, Lane::Low] {
                while self.signal.lanes().contains(lane)
                    && self.signal.ask(lane, || self.take(lane), |taken| *taken)
                {
                    taken += 1;
                }
            }
            if taken == goods && commands == 0 { Poll::Ready(()) } else { Poll::Pending }
        }));
    }
}

/// TR-1: a post while the driver finds the lane empty and goes to sleep is found or wakes it, the first as well as the
/// second.
#[test]
fn no_post_is_slept_over() {
    loom::model(|| {
        let desk = Desk::new();
        let poster = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                desk.post(Lane::High);
                desk.post(Lane::High);
            })
        };
        desk.drive(2, 0);
        poster.join().unwrap();
    });
}

/// TR-1: two who post into different lanes share one word, and neither takes the other's bit away.
#[test]
fn lanes_do_not_hide_each_other() {
    loom::model(|| {
        let desk = Desk::new();
        let posters = [Lane::High, Lane::Low].map(|lane| {
            let desk = Arc::clone(&desk);
            thread::spawn(move || desk.post(lane))
        });
        desk.drive(2, 0);
        for poster in posters {
            poster.join().unwrap();
        }
    });
}

/// TR-2: a close beside a post is told once, and not before what it is about can be seen.
#[test]
fn no_command_is_slept_over() {
    loom::model(|| {
        let desk = Desk::new();
        let poster = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || desk.post(Lane::Low))
        };
        let closer = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || desk.close())
        };
        desk.drive(1, 1);
        poster.join().unwrap();
        closer.join().unwrap();
    });
}
