use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Where time comes from.
///
/// Decisions use [`Clock::now`] (monotonic, RL-11); [`Clock::wall`] is only for what others read: `sent_at`, dates
/// and file stamps. Give a stack a clock of your own and its deadlines become deterministic tests.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The monotonic time.
    fn now(&self) -> Instant;
    /// The wall time. May jump.
    fn wall(&self) -> SystemTime;
}

/// A clock that is shared by the parts of a stack.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of the operating system.
///
/// ```
/// use envoi_core::{Clock, SystemClock};
/// let before = SystemClock.now();
/// assert!(SystemClock.now() >= before);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam that everything else takes time from")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the seam that everything else takes time from")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
