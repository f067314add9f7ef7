use std::any::Any;
use std::fmt;
use std::sync::Arc;

use http::Extensions;

/// Where a parcel came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Posted by this process just now.
    #[default]
    Live,
    /// Read back from a durable store.
    Replayed,
}

/// What travels with a payload.
#[derive(Debug, Default)]
pub struct Meta {
    /// How many attempts at delivery have failed so far: 0 for a fresh parcel. A durable store keeps it.
    pub attempt: u32,
    /// Where the parcel came from.
    pub origin: Origin,
    /// Data of layers and users, by type. The bridge to the exchange level gives each request a copy of them.
    pub extensions: Extensions,
}

/// Told what a parcel still held at the moment it ceased to exist.
///
/// A queue that hands its parcels to foreign layers entrusts each to a custodian. Whatever happens inside (a
/// filter drops items, a layer panics, a future is dropped, a layer swallows the parcel), the custodian is told
/// exactly once what was left, and its owner books it by the outcome of the call. That is how the books balance
/// under any fault. You need this only if you write a queue.
pub trait Custodian<P>: Send + Sync {
    /// The parcel has been dropped, or is being taken apart by [`Parcel::into_parts`], [`Parcel::into_payload`] or
    /// [`Parcel::map`]. Must not panic: it may be called while the thread unwinds already.
    fn released(&self, payload: &P);

    /// Whether the owner has entered the parcel in `books`, a [`Ledger`](crate::Ledger), as posted. A queue further in
    /// that keeps the same books does not enter it again.
    fn keeps(&self, books: &dyn Any) -> bool {
        let _ = books;
        false
    }
}

struct Inner<P> {
    // `None` only while the parcel is being taken apart: what has a `Drop` cannot be moved out of.
    contents: Option<(P, Meta)>,
    custodian: Option<Arc<dyn Custodian<P>>>,
}

const TAKEN_APART: &str = "a parcel is taken apart only by value";

impl<P> Inner<P> {
    fn contents(&self) -> &(P, Meta) {
        match &self.contents {
            Some(contents) => contents,
            None => unreachable!("{TAKEN_APART}"),
        }
    }

    fn contents_mut(&mut self) -> &mut (P, Meta) {
        match &mut self.contents {
            Some(contents) => contents,
            None => unreachable!("{TAKEN_APART}"),
        }
    }

    /// Tells the custodian, once.
    fn release(&mut self) {
        if let Some(custodian) = self.custodian.take()
            && let Some((payload, _)) = &self.contents
        {
            custodian.released(payload);
        }
    }
}

impl<P> Drop for Inner<P> {
    fn drop(&mut self) {
        self.release();
    }
}

/// A payload on its way: one pointer through every layer.
///
/// A parcel has one owner and is not `Clone`: a retry moves the parcel that the [`Failure`](crate::Failure)
/// brought back. Moving one costs 8 bytes, whatever it carries.
///
/// ```
/// use envoi_core::{Parcel, Payload, Weight};
/// struct Note(&'static str);
/// impl Payload for Note {
///     fn weight(&self) -> Weight { Weight { items: 1, bytes: self.0.len() } }
/// }
/// let mut parcel = Parcel::new(Note("hello"));
/// parcel.meta_mut().extensions.insert(42_u32);
/// assert_eq!(parcel.payload().0, "hello");
/// assert_eq!(size_of_val(&parcel), size_of::<usize>());
/// ```
pub struct Parcel<P>(Box<Inner<P>>);

impl<P> Parcel<P> {
    /// Wraps a payload as a fresh, live parcel.
    #[must_use]
    pub fn new(payload: P) -> Self {
        Self::with_meta(payload, Meta::default())
    }

    /// Wraps a payload with given meta data, as a store does on the way out.
    #[must_use]
    pub fn with_meta(payload: P, meta: Meta) -> Self {
        Self(Box::new(Inner { contents: Some((payload, meta)), custodian: None }))
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &P {
        &self.0.contents().0
    }

    /// The payload, to change it. Whoever removes an item records the loss.
    #[must_use]
    pub fn payload_mut(&mut self) -> &mut P {
        &mut self.0.contents_mut().0
    }

    /// What travels with the payload.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.0.contents().1
    }

    /// What travels with the payload, to change it.
    #[must_use]
    pub fn meta_mut(&mut self) -> &mut Meta {
        &mut self.0.contents_mut().1
    }

    /// Payload and meta at once, for layers that need both mutably.
    #[must_use]
    pub fn parts_mut(&mut self) -> (&mut P, &mut Meta) {
        let (payload, meta) = self.0.contents_mut();
        (payload, meta)
    }

    /// Takes the parcel apart. A custodian is told, as on drop.
    #[must_use]
    pub fn into_parts(mut self) -> (P, Meta) {
        self.0.release();
        match self.0.contents.take() {
            Some(contents) => contents,
            None => unreachable!("{TAKEN_APART}"),
        }
    }

    /// Takes the payload out and forgets the meta data. A custodian is told, as on drop.
    #[must_use]
    pub fn into_payload(self) -> P {
        self.into_parts().0
    }

    /// Turns the payload into another, keeping the meta data. The custodian of the old payload is told what it
    /// was and has no part in the new one.
    #[must_use]
    pub fn map<Q>(self, change: impl FnOnce(P) -> Q) -> Parcel<Q> {
        let (payload, meta) = self.into_parts();
        Parcel::with_meta(change(payload), meta)
    }

    /// Entrusts the parcel to a custodian and returns the one it had, which is told nothing and no longer will be.
    pub fn entrust(&mut self, custodian: Arc<dyn Custodian<P>>) -> Option<Arc<dyn Custodian<P>>> {
        self.0.custodian.replace(custodian)
    }

    /// Who has the parcel in custody.
    #[must_use]
    pub fn custodian(&self) -> Option<&dyn Custodian<P>> {
        self.0.custodian.as_deref()
    }

    /// Takes the parcel out of custody without telling: its owner has it back.
    pub fn reclaim(&mut self) -> Option<Arc<dyn Custodian<P>>> {
        self.0.custodian.take()
    }
}

impl<P> From<P> for Parcel<P> {
    fn from(payload: P) -> Self {
        Self::new(payload)
    }
}

impl<P: fmt::Debug> fmt::Debug for Parcel<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").field("payload", self.payload()).field("meta", self.meta()).finish()
    }
}

#[cfg(test)]
mod tests;
