use bytes::Bytes;
use http_body::Body;
use tower_service::Service;

use crate::{BoxError, Failure, Parcel, Receipt, Segments};

/// A service at the delivery level. Implemented by every fitting [`Service`]; never by hand.
///
/// # The responsibility rule
///
/// * **`Ok(Receipt)` discharges responsibility.** The receiver has the payload, or a queue or store will answer for
///   it, or nothing was left of it. The caller is done.
/// * **`Err(Failure)` hands responsibility back, with the goods.** The [`Failure`] carries the parcel, as it is now,
///   and a [`Fault`](crate::Fault) that says why and what to do.
/// * **Whoever destroys an item records the loss; whoever returns `Err` does not.** A layer that drops items tells its
///   [`LossSink`](crate::LossSink) at that moment. A layer that fails returns the parcel and records nothing.
/// * An empty success that means "I dropped it" is never an answer.
///
/// From this follows that a retry needs no `Clone`, that a partly filtered payload is neither sent nor counted twice,
/// that a shutdown lands every parcel somewhere, and that the [`Ledger`](crate::Ledger) balances.
///
/// A foreign layer between two of ours may box errors (`Timeout`, `Buffer`, `LoadShed`): the failure survives the
/// box, see [`Failure`]. A layer that *cancels* the inner call (a timeout, a hedge) loses the parcel with it, so
/// cancelling layers belong at the exchange level, where the bridge still holds the parcel.
///
/// # Contract for layers
///
/// As in [`Service`]: call `poll_ready` before `call`, use the instance that was polled, reset readiness in `Clone`,
/// release in `Drop` what `poll_ready` reserved. `poll_ready` never fails for a reason of policy (an open circuit, a
/// closed queue): such a refusal is the answer of `call`, because an error of `poll_ready` ends a service for good.
pub trait Deliver<P>: Service<Parcel<P>, Response = Receipt, Error: Into<Failure<P>>> {}

impl<S, P> Deliver<P> for S where S: Service<Parcel<P>, Response = Receipt, Error: Into<Failure<P>>> {}

/// A service at the exchange level: one HTTP exchange. Implemented by every fitting [`Service`]; never by hand.
///
/// tower-http's client layers, generic tower layers and a `service_fn` all are exchanges. `Ok` is any response,
/// whatever its status; `Err` means that there was none.
pub trait Exchange:
    Service<http::Request<Segments>, Response = http::Response<Self::Body>, Error: Into<BoxError>>
{
    /// The body of the responses.
    type Body: Body<Data = Bytes, Error: Into<BoxError>>;
}

impl<S, B> Exchange for S
where
    S: Service<http::Request<Segments>, Response = http::Response<B>, Error: Into<BoxError>>,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Body = B;
}
