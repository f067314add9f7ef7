//! The vocabulary that every envoi crate speaks. No runtime, no I/O.
//!
//! A telemetry transport in envoi is a stack of [`tower_service::Service`]s of two shapes:
//!
//! | level | service | one call is |
//! |---|---|---|
//! | delivery | [`Deliver`]: `Service<Parcel<P>, Response = Receipt>` | one payload and the responsibility for it |
//! | exchange | [`Exchange`]: `Service<http::Request<Segments>>` | one HTTP exchange |
//!
//! A bridge layer (`envoi_http::Encode`, given a [`Codec`]) joins them. Data goes down once, the answer comes
//! up once, and the one rule that everything else follows from is written at [`Deliver`]: **`Ok` discharges
//! responsibility, `Err` hands it back with the goods.**
//!
//! ```
//! use envoi_core::{Deliver, Failure, Fault, Kind, Parcel, Payload, Receipt, Weight};
//! use tower::{ServiceExt, service_fn};
//!
//! struct Line(String);
//! impl Payload for Line {
//!     fn weight(&self) -> Weight {
//!         Weight { items: 1, bytes: self.0.len() }
//!     }
//! }
//!
//! // The smallest possible stack: a sink that takes short lines and hands long ones back.
//! fn sink() -> impl Deliver<Line> {
//!     service_fn(|parcel: Parcel<Line>| async move {
//!         if parcel.payload().0.len() < 8 {
//!             Ok(Receipt::delivered())
//!         } else {
//!             Err(Failure::new(Fault::new(Kind::Rejected).with_message("line too long"), parcel))
//!         }
//!     })
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! assert!(sink().oneshot(Parcel::new(Line("short".into()))).await.is_ok());
//! let failure = sink().oneshot(Parcel::new(Line("far too long".into()))).await.map_err(Into::<Failure<_>>::into).unwrap_err();
//! assert_eq!(failure.into_parcel().unwrap().payload().0, "far too long");
//! # });
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod codec;
mod delay;
mod failure;
mod fault;
mod ledger;
mod limits;
mod loss;
mod parcel;
mod payload;
mod phase;
mod receipt;
mod reply;
mod reporter;
mod segments;
mod service;
mod store;

pub use clock::{Clock, SharedClock, SystemClock};
pub use codec::Codec;
pub use delay::parse_delay;
pub use failure::Failure;
pub use fault::{Advice, Explanation, Fault, Kind, Loss};
pub use ledger::{Account, Ledger, LedgerSnapshot};
pub use limits::Limits;
pub use loss::{DiscardReason, LossSink};
pub use parcel::{Custodian, Meta, Origin, Parcel};
pub use payload::{Durable, Itemized, Lane, Payload, Weight};
pub use phase::Phase;
pub use receipt::{Fate, Receipt};
pub use reply::Reply;
pub use reporter::Reporter;
pub use segments::Segments;
pub use service::{Deliver, Exchange};
pub use store::{Confirm, Depth, IsLimited, Lease, LeaseId, Next, Settle, Store, StoreHost};

/// The erased error that tower's own layers use, and that every envoi error converts into and back from.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
