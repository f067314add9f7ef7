use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::Reply;

/// Rate limits that are in force, as the layers see them: learned from replies, asked per category.
///
/// One table per destination (RL-7), shared by whoever filters, queues or produces. There is a limit for everything
/// and one per category; an item is held back if either is in force, and free again at the exact end (decision 7).
/// Time is passed in, so the table is a pure data structure.
pub trait Limits<C>: Send + Sync + 'static {
    /// Whether nothing is stored that could limit anything, at whatever time: one relaxed load, and the first question
    /// of every layer, because it spares the look at the clock. `true` promises that [`Limits::any_active`] is false;
    /// `false` promises nothing, so a table that does not keep the answer at hand leaves this as it is.
    fn is_idle(&self) -> bool {
        false
    }

    /// Whether any limit may be in force. The second gate, for those who know the time: still no lock.
    fn any_active(&self, now: Instant) -> bool;

    /// Until when everything is limited, if it is.
    fn all_until(&self, now: Instant) -> Option<Instant>;

    /// Until when `category` is limited by a limit of its own, if it is. The limit on everything is not looked at.
    fn category_until(&self, category: &C, now: Instant) -> Option<Instant>;

    /// The first instant at which one of the limits in force ends.
    fn next_end(&self, now: Instant) -> Option<Instant>;

    /// Whether `category` is held back, by its own limit or by the one on everything.
    fn is_limited(&self, category: &C, now: Instant) -> bool {
        self.all_until(now).is_some() || self.category_until(category, now).is_some()
    }

    /// Takes in what a reply says about limits (RL-1, RL-2). `wall` is only for dates in headers.
    fn learn(&self, reply: &Reply, now: Instant, wall: SystemTime);
}

/// No limits, ever.
impl<C> Limits<C> for () {
    fn is_idle(&self) -> bool {
        true
    }

    fn any_active(&self, _: Instant) -> bool {
        false
    }

    fn all_until(&self, _: Instant) -> Option<Instant> {
        None
    }

    fn category_until(&self, _: &C, _: Instant) -> Option<Instant> {
        None
    }

    fn next_end(&self, _: Instant) -> Option<Instant> {
        None
    }

    fn learn(&self, _: &Reply, _: Instant, _: SystemTime) {}
}

impl<C, L: Limits<C> + ?Sized> Limits<C> for Arc<L> {
    fn is_idle(&self) -> bool {
        (**self).is_idle()
    }

    fn any_active(&self, now: Instant) -> bool {
        (**self).any_active(now)
    }

    fn all_until(&self, now: Instant) -> Option<Instant> {
        (**self).all_until(now)
    }

    fn category_until(&self, category: &C, now: Instant) -> Option<Instant> {
        (**self).category_until(category, now)
    }

    fn next_end(&self, now: Instant) -> Option<Instant> {
        (**self).next_end(now)
    }

    fn is_limited(&self, category: &C, now: Instant) -> bool {
        (**self).is_limited(category, now)
    }

    fn learn(&self, reply: &Reply, now: Instant, wall: SystemTime) {
        (**self).learn(reply, now, wall);
    }
}

#[cfg(test)]
mod tests;
