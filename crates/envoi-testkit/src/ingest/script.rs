use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{RequestHead, Step};

pub(super) type Hook = Box<dyn FnMut(u64, &RequestHead) -> Option<Step> + Send>;

/// What is done next: the queue first, then the hook, then the default.
#[derive(Default)]
pub(super) struct Script {
    state: Mutex<State>,
}

struct State {
    steps: VecDeque<Step>,
    hook: Option<Hook>,
    otherwise: Step,
}

impl Default for State {
    fn default() -> Self {
        Self { steps: VecDeque::new(), hook: None, otherwise: Step::judge() }
    }
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn extend(&self, steps: impl IntoIterator<Item = Step>) {
        self.state().steps.extend(steps);
    }

    pub(super) fn clear(&self) {
        self.state().steps.clear();
    }

    pub(super) fn left(&self) -> usize {
        self.state().steps.len()
    }

    pub(super) fn set_otherwise(&self, step: Step) {
        self.state().otherwise = step;
    }

    pub(super) fn set_hook(&self, hook: Option<Hook>) {
        self.state().hook = hook;
    }

    pub(super) fn next(&self, head: &RequestHead) -> Step {
        let mut state = self.state();
        if let Some(step) = state.steps.pop_front() {
            return step;
        }
        let hooked = state.hook.as_mut().and_then(|hook| hook(head.sequence, head));
        hooked.unwrap_or_else(|| state.otherwise.clone())
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Script").field("steps", &state.steps).field("otherwise", &state.otherwise).finish()
    }
}
