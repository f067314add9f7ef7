use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Steps in a queue, a default for afterwards, and a record of what was seen.
#[derive(Debug)]
pub(super) struct Script<T, S> {
    state: Mutex<State<T, S>>,
    seen: watch::Sender<usize>,
}

#[derive(Debug)]
struct State<T, S> {
    steps: VecDeque<T>,
    otherwise: T,
    seen: Vec<S>,
}

impl<T: Clone, S: Clone> Script<T, S> {
    pub(super) fn new(otherwise: T) -> Self {
        let state = State { steps: VecDeque::new(), otherwise, seen: Vec::new() };
        Self { state: Mutex::new(state), seen: watch::Sender::default() }
    }

    fn state(&self) -> MutexGuard<'_, State<T, S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn extend(&self, steps: impl IntoIterator<Item = T>) {
        self.state().steps.extend(steps);
    }

    pub(super) fn set_otherwise(&self, step: T) {
        self.state().otherwise = step;
    }

    pub(super) fn next(&self) -> T {
        let mut state = self.state();
        state.steps.pop_front().unwrap_or_else(|| state.otherwise.clone())
    }

    pub(super) fn left(&self) -> usize {
        self.state().steps.len()
    }

    pub(super) fn record(&self, seen: S) {
        self.state().seen.push(seen);
        self.seen.send_modify(|count| *count += 1);
    }

    pub(super) fn seen(&self) -> Vec<S> {
        self.state().seen.clone()
    }

    pub(super) async fn until_seen(&self, count: usize) -> Vec<S> {
        // The sender is in `self`, so this ends only when the count is reached.
        let _ = self.seen.subscribe().wait_for(|seen| *seen >= count).await;
        self.seen()
    }
}
