use std::fmt;
use std::sync::Arc;

use envoi_core::{Itemized, Payload, Weight};

use crate::{Category, Event};

/// Some events that travel together: a payload that every layer and every store of envoi can carry.
///
/// A clone shares the events, so a fan-out or a sink of yours costs next to nothing. Each event counts as one
/// [`Category::EVENT`]; the events of a batch are delivered, refused or lost together.
///
/// ```
/// use envoi_batch::{Batch, Event};
/// use envoi_core::Payload;
/// let batch: Batch = [Event::from_json("1")?, Event::from_json("[2]")?].into_iter().collect();
/// assert_eq!((batch.events().len(), batch.weight().bytes), (2, "[1,[2]]".len()));
/// # Ok::<(), envoi_batch::EventError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    events: Arc<[Event]>,
    bytes: usize,
}

impl Batch {
    /// A batch of `events`, in their order.
    #[must_use]
    pub fn new(events: impl Into<Arc<[Event]>>) -> Self {
        let events = events.into();
        let bytes = array_bytes(events.len(), events.iter().map(Event::len).sum());
        Self { events, bytes }
    }

    /// The events, the oldest first.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// The size of a JSON array of so many events with so many bytes: brackets, and commas between.
pub(crate) const fn array_bytes(events: usize, bytes: usize) -> usize {
    let commas = events.saturating_sub(1);
    bytes.saturating_add(commas).saturating_add(2)
}

impl FromIterator<Event> for Batch {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        Self::new(events.into_iter().collect::<Vec<_>>())
    }
}

impl Payload for Batch {
    /// One item per event; the bytes are those of the JSON array.
    fn weight(&self) -> Weight {
        Weight { items: self.len(), bytes: self.bytes }
    }
}

impl Itemized for Batch {
    type Category = Category;

    fn tally(&self, visit: &mut dyn FnMut(&Category, u64)) {
        if !self.is_empty() {
            visit(&Category::EVENT, self.len() as u64);
        }
    }

    fn shed(&mut self, limited: &mut dyn FnMut(&Category) -> bool, lost: &mut dyn FnMut(&Category, u64)) {
        if !self.is_empty() && limited(&Category::EVENT) {
            self.tally(lost);
            *self = Self::new([]);
        }
    }

    fn is_held(&self, limited: &mut dyn FnMut(&Category) -> bool) -> bool {
        !self.is_empty() && limited(&Category::EVENT)
    }

    fn holders(&self, visit: &mut dyn FnMut(&[Category])) -> bool {
        if !self.is_empty() {
            visit(&[Category::EVENT]);
        }
        true
    }

    fn is_spent(&self) -> bool {
        self.is_empty()
    }
}

/// The sizes only: events may hold personal data.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("events", &self.len()).field("bytes", &self.bytes).finish()
    }
}
