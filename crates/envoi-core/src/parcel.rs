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
    /// Data of layers and users, by type. The codec layer copies what implements `Clone` for the exchange into the
    /// request's own extensions.
    pub extensions: Extensions,
}

/// Told what a parcel still held at the moment it ceased to exist.
///
/// A queue that hands its parcels to foreign layers entrusts each to a custodian. Whatever happens inside (a
/// filter drops items, a layer panics, a future is dropped, a layer swallows the parcel), the custodian is told
/// exactly once what was left, and its owner books it by the outcome of the call. That is how the books balance
/// under any fault. You need this only if you write a queue.
pub trait Custodian<P>: Send + Sync {
    /// The parcel has been dropped, or taken apart by [`Parcel::into_payload`] or [`Parcel::map`]. Must not panic.
    fn released(&self, payload: &P);
}

struct Inner<P> {
    payload: P,
    meta: Meta,
    custodian: Option<Arc<dyn Custodian<P>>>,
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
/// assert_eq!(std::mem::size_of_val(&parcel), 8);
/// ```
pub struct Parcel<P>(
    // `None` only while `into_inner` or `drop` runs; that buys a niche-sized handle that can be taken apart
    // although it implements `Drop`.
    Option<Box<Inner<P>>>,
);

impl<P> Parcel<P> {
    /// Wraps a payload as a fresh, live parcel.
    #[must_use]
    pub fn new(payload: P) -> Self {
        Self::with_meta(payload, Meta::default())
    }

    /// Wraps a payload with given meta data, as a store does on the way out.
    #[must_use]
    pub fn with_meta(payload: P, meta: Meta) -> Self {
        Self(Some(Box::new(Inner { payload, meta, custodian: None })))
    }

    fn inner(&self) -> &Inner<P> {
        match &self.0 {
            Some(inner) => inner,
            None => unreachable!("a parcel is taken apart only by value"),
        }
    }

    fn inner_mut(&mut self) -> &mut Inner<P> {
        match &mut self.0 {
            Some(inner) => inner,
            None => unreachable!("a parcel is taken apart only by value"),
        }
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &P {
        &self.inner().payload
    }

    /// The payload, to change it. Whoever removes an item records the loss.
    #[must_use]
    pub fn payload_mut(&mut self) -> &mut P {
        &mut self.inner_mut().payload
    }

    /// What travels with the payload.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.inner().meta
    }

    /// What travels with the payload, to change it.
    #[must_use]
    pub fn meta_mut(&mut self) -> &mut Meta {
        &mut self.inner_mut().meta
    }

    /// Payload and meta at once, for layers that need both mutably.
    #[must_use]
    pub fn parts_mut(&mut self) -> (&mut P, &mut Meta) {
        let inner = self.inner_mut();
        (&mut inner.payload, &mut inner.meta)
    }

    /// Takes the parcel apart. A custodian is told, as on drop.
    #[must_use]
    pub fn into_parts(mut self) -> (P, Meta) {
        self.notify();
        match self.0.take() {
            Some(inner) => (inner.payload, inner.meta),
            None => unreachable!("a parcel is taken apart only by value"),
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

    /// Entrusts the parcel to a custodian and returns the one it had.
    pub fn entrust(&mut self, custodian: Arc<dyn Custodian<P>>) -> Option<Arc<dyn Custodian<P>>> {
        self.inner_mut().custodian.replace(custodian)
    }

    /// Takes the parcel out of custody without telling: its owner has it back.
    pub fn reclaim(&mut self) -> Option<Arc<dyn Custodian<P>>> {
        self.inner_mut().custodian.take()
    }

    fn notify(&mut self) {
        if let Some(inner) = &mut self.0
            && let Some(custodian) = inner.custodian.take()
        {
            custodian.released(&inner.payload);
        }
    }
}

impl<P> Drop for Parcel<P> {
    fn drop(&mut self) {
        self.notify();
    }
}

impl<P> From<P> for Parcel<P> {
    fn from(payload: P) -> Self {
        Self::new(payload)
    }
}

impl<P: fmt::Debug> fmt::Debug for Parcel<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner();
        f.debug_struct("Parcel").field("payload", &inner.payload).field("meta", &inner.meta).finish()
    }
}
