//! What went wrong lately on the way to a destination, in the server's words (TR-7).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use envoi::core::Fault;
use http::StatusCode;

use crate::text;

/// How many are kept.
const MOST: usize = 8;
/// A server that tells a novel fills no memory.
const MOST_LETTERS: usize = 400;

/// One of them. The same again is counted, not repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) last: SystemTime,
    pub(crate) times: u64,
    pub(crate) status: Option<StatusCode>,
    pub(crate) message: String,
}

/// The last few, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles(Arc<Mutex<VecDeque<Trouble>>>);

impl Troubles {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, fault: &Fault, at: SystemTime) {
        self.enter(fault.status(), &fault.to_string(), at);
    }

    fn enter(&self, status: Option<StatusCode>, message: &str, at: SystemTime) {
        let message = text::shorten(&text::redact(message), MOST_LETTERS).into_owned();
        let mut all = self.lock();
        let known = all.iter().position(|other| other.status == status && other.message == message);
        let times = known.and_then(|position| all.remove(position)).map_or(0, |other| other.times);
        all.push_front(Trouble { last: at, times: times.saturating_add(1), status, message });
        all.truncate(MOST);
    }

    pub(super) fn all(&self) -> Vec<Trouble> {
        self.lock().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_again_is_counted_and_the_list_is_bounded() {
        let troubles = Troubles::default();
        let at = SystemTime::UNIX_EPOCH;
        for number in 0..20 {
            troubles.enter(None, &format!("no {number}"), at);
            troubles.enter(Some(StatusCode::BAD_REQUEST), "at http://key:secret@host/1", at);
        }
        let all = troubles.all();
        assert_eq!(all.len(), MOST);
        assert_eq!((all[0].times, all[0].message.as_str()), (20, "at http://***@host/1"));
        assert_eq!(all[1].message, "no 19");
        troubles.enter(None, &"x".repeat(100_000), at);
        assert!(troubles.all()[0].message.len() < 2 * MOST_LETTERS);
    }
}
