use std::error::Error;
use std::fmt;

use crate::{BoxError, Fault, Parcel};

/// A failed delivery: the parcel, handed back, and the fault.
///
/// It survives `Box<dyn Error>`: tower's layers with boxed errors may stand anywhere in a stack, because
/// `From<BoxError>` takes the failure, parcel and all, out of the box again.
///
/// ```
/// use envoi_core::{BoxError, Failure, Fault, Kind, Parcel};
/// let failure = Failure::new(Fault::new(Kind::Connect), Parcel::new("goods"));
/// let boxed: BoxError = failure.into(); // what a foreign layer does
/// let back = Failure::<&str>::from(boxed);
/// assert_eq!(*back.into_parcel().unwrap().payload(), "goods");
/// ```
pub struct Failure<P> {
    fault: Box<Fault>,
    parcel: Option<Parcel<P>>,
}

impl<P> Failure<P> {
    /// Hands `parcel` back for `fault`.
    #[must_use]
    pub fn new(fault: Fault, parcel: Parcel<P>) -> Self {
        Self { fault: Box::new(fault), parcel: Some(parcel) }
    }

    /// A failure whose parcel is gone. Only foreign layers that drop their future bring this about.
    #[must_use]
    pub fn without_parcel(fault: Fault) -> Self {
        Self { fault: Box::new(fault), parcel: None }
    }

    /// Why, and what to do.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The fault, to change its advice.
    #[must_use]
    pub fn map_fault(mut self, change: impl FnOnce(Fault) -> Fault) -> Self {
        *self.fault = change(*self.fault);
        self
    }

    /// The parcel, unless a foreign layer lost it.
    #[must_use]
    pub fn parcel(&self) -> Option<&Parcel<P>> {
        self.parcel.as_ref()
    }

    /// The parcel, to change it.
    #[must_use]
    pub fn parcel_mut(&mut self) -> Option<&mut Parcel<P>> {
        self.parcel.as_mut()
    }

    /// The parcel by value.
    #[must_use]
    pub fn into_parcel(self) -> Option<Parcel<P>> {
        self.parcel
    }

    /// Both parts.
    #[must_use]
    pub fn into_parts(self) -> (Fault, Option<Parcel<P>>) {
        (*self.fault, self.parcel)
    }
}

impl<P: Send + Sync + 'static> From<BoxError> for Failure<P> {
    fn from(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => *failure,
            Err(error) => Self::without_parcel(Fault::from_error(error)),
        }
    }
}

impl<P> From<std::convert::Infallible> for Failure<P> {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl<P> fmt::Display for Failure<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl<P> fmt::Debug for Failure<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("fault", &self.fault).field("parcel", &self.parcel.is_some()).finish()
    }
}

impl<P> Error for Failure<P> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}

#[cfg(test)]
mod tests;
