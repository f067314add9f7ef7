use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::hash::Hash;

use bytes::Bytes;

use crate::{BoxError, DiscardReason, LossSink};

/// How much room a payload takes in a queue.
///
/// `items` is what bounds in items are counted in (an envelope weighs the number of its items, at least one);
/// `bytes` is its size as it would be serialised, and may be an approximation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Number of items.
    pub items: usize,
    /// Number of bytes.
    pub bytes: usize,
}

/// The priority of a payload: one lane of a queue. Requirement TP-2.
///
/// Lanes are served by weighted round robin; [`Lane::default_weight`] gives the 5:4:3:2:1 of the specification.
///
/// ```
/// use envoi_core::Lane;
/// assert_eq!(Lane::ALL.map(Lane::default_weight), [5, 4, 3, 2, 1]);
/// assert!(Lane::Critical < Lane::Lowest, "lanes sort by urgency, the most urgent first");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Errors and feedback.
    Critical,
    /// Sessions and check-ins.
    High,
    /// Transactions, client reports and spans; what has no better place.
    #[default]
    Medium,
    /// Logs, metrics and profiles.
    Low,
    /// Replays.
    Lowest,
}

impl Lane {
    /// How many lanes there are.
    pub const COUNT: usize = 5;
    /// All lanes, the most urgent first.
    pub const ALL: [Self; Self::COUNT] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Lowest];

    /// The position of this lane in [`Lane::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The share of this lane in a weighted round robin (TP-2).
    #[must_use]
    pub const fn default_weight(self) -> u32 {
        match self {
            Self::Critical => 5,
            Self::High => 4,
            Self::Medium => 3,
            Self::Low => 2,
            Self::Lowest => 1,
        }
    }

    /// The name in lower case, for logs and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Lowest => "lowest",
        }
    }
}

/// What a parcel can carry: anything that knows its weight and its lane.
pub trait Payload: Send + Sync + 'static {
    /// The room that this payload takes in a queue.
    fn weight(&self) -> Weight;

    /// The lane that it queues in.
    fn lane(&self) -> Lane {
        Lane::default()
    }

    /// The id that outcomes are reported under (an event id), if the payload has one.
    fn id(&self) -> Option<Cow<'_, str>> {
        None
    }
}

/// A payload made of items that are counted, limited and dropped by category.
///
/// Filters and books need no more than this, so they work for Sentry envelopes and for payloads of your own.
pub trait Itemized: Payload {
    /// What losses are counted under.
    type Category: Clone + Ord + Hash + Debug + Display + Send + Sync + 'static;

    /// Calls `visit` with every category and quantity that would be lost if the payload were destroyed now.
    ///
    /// One category may be visited more than once; quantities add up.
    fn tally(&self, visit: &mut dyn FnMut(&Self::Category, u64));

    /// Removes every item that `limited` holds back, and what cannot go without it (RL-8, RL-10).
    ///
    /// `limited` is asked per category that holds an item; `lost` receives the quantities of what was removed, by
    /// the category they are counted under, which need not be the one that was limited.
    fn shed(
        &mut self,
        limited: &mut dyn FnMut(&Self::Category) -> bool,
        lost: &mut dyn FnMut(&Self::Category, u64),
    );

    /// Removes everything, as under a limit on everything; `lost` receives what it counted for. Afterwards neither
    /// [`Itemized::tally`] nor [`Itemized::carried_losses`] visits anything, so that whoever has the parcel in custody
    /// does not count a second time. Carried losses are put back by the caller, before.
    ///
    /// By default this sheds every category. Write your own if some items are counted but held by no category, or if
    /// the payload carries losses of others.
    fn clear(&mut self, lost: &mut dyn FnMut(&Self::Category, u64)) {
        self.shed(&mut |_| true, lost);
    }

    /// Destroys what is left, for `reason`: puts carried losses back, empties the payload, and records in `sink` what was
    /// in it. What a layer of yours does before it answers [`Fate::Spent`](crate::Fate::Spent).
    fn discard(&mut self, reason: DiscardReason, sink: &dyn LossSink<Self::Category>) {
        self.carried_losses(&mut |reason, category, quantity| sink.restore(reason, category, quantity));
        self.clear(&mut |category, quantity| sink.lost(reason.clone(), category, quantity));
    }

    /// Whether [`Itemized::shed`] would leave nothing that is worth a request, given the same answers.
    ///
    /// What would only carry the losses of others is not worth one, if it had items before (decision 11). A payload that
    /// never had any, a report of its own, is not held by any category (RL-9).
    fn is_held(&self, limited: &mut dyn FnMut(&Self::Category) -> bool) -> bool;

    /// Tells a store what holds this payload, so that it can answer [`Itemized::is_held`] later without the payload
    /// (decision 22): `visit` receives one group of categories per item, and the payload is held exactly if there is a
    /// group, and every group has a category that is limited. An item that no category can hold gives an empty group.
    ///
    /// Returns whether this can be said at all. By default it cannot, and a store has to fetch the payload to know.
    fn holders(&self, visit: &mut dyn FnMut(&[Self::Category])) -> bool {
        let _ = visit;
        false
    }

    /// Whether nothing is left that is worth a request.
    fn is_spent(&self) -> bool;

    /// The losses of others that this payload carries as news (a client report). Whoever destroys the payload
    /// puts them back, see [`LossSink::restore`](crate::LossSink::restore). Most payloads carry none.
    fn carried_losses(&self, visit: &mut dyn FnMut(DiscardReason, &Self::Category, u64)) {
        let _ = visit;
    }
}

/// A payload that can rest on disk or in another process.
///
/// `thaw(freeze(p))` must be equivalent to `p`; a durable store never looks inside the bytes.
pub trait Durable: Payload + Sized {
    /// The payload as bytes.
    ///
    /// # Errors
    /// When the payload cannot be serialised. It is then lost as `internal_sdk_error` (OC-5).
    fn freeze(&self) -> Result<Bytes, BoxError>;

    /// The payload back from its bytes.
    ///
    /// # Errors
    /// When the bytes are not a payload of this type. The entry is then quarantined, never retried (OC-5).
    fn thaw(bytes: Bytes) -> Result<Self, BoxError>;

    /// Whether the payload is to rest on disk at all. What holds nothing but news of losses is not: its counts go back
    /// instead (decision 21).
    fn is_worth_storing(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
