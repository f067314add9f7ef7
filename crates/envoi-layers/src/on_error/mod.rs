//! Tells a handler of every batch that is lost for good, once, and why.
//!
//! [`OnError`] looks at what comes up from below. What is final is given to the handler as a typed [`DeliveryError`]; then
//! its advice is to drop it, so that nobody above tries what was reported as lost. All else passes unchanged.
//!
//! | what happened | the error (BD-7) |
//! |---|---|
//! | 401, 403 | [`DeliveryError::Auth`] |
//! | 429, after all attempts | [`DeliveryError::RateLimited`] |
//! | a circuit breaker is open | [`DeliveryError::BreakerOpen`] |
//! | another 4xx that is not tried again, or a redirect | [`DeliveryError::NonRetryableStatus`] |
//! | it never left a queue | [`DeliveryError::Overflow`] |
//! | network error, timeout, 5xx, a panic or a cancellation below | [`DeliveryError::Other`], with the source |
//!
//! Final is what is to be dropped. A stack that gives up what others would keep says so with
//! [`OnErrorLayer::final_when`]: the batch preset gives up everything that its retry gives up.
//!
//! # Where it stands
//! Above everything that may give a batch up, a [`latch`](crate::latch) included, and below the outbox. When a latch has switched
//! the transport off, what is discarded because of that ([`Kind::Disabled`](envoi_core::Kind::Disabled)) is not reported:
//! the refusal that tripped it was.
//!
//! # What cannot be called
//! A service below that fails to become ready, such as tower's `Buffer` when its worker is gone, costs a parcel that never
//! comes by here, unless the layer is told to take that upon itself: [`OnErrorLayer::takes_unready`]. The batch preset does.
//!
//! # Losses outside of the stack
//! What a queue above pushes out never comes by here. The layer shares its [`ErrorHook`] for that:
//! [`ErrorHook::overflows`] is the sink to give to the outbox, and [`ErrorHook::report`] is for a buffer of your own.
//! The two never report the same: when there is such a sink, the layer leaves to it what the outbox records as overflow.
//!
//! # The handler is a stranger
//! It runs where the loss is noticed, usually on the driver of the outbox, so it should be quick. No lock is held while it
//! runs. If it panics nothing else happens. It may post again; what is lost by that while it still runs is in the books,
//! but not reported, or a full queue would call it for ever. Without a handler the first loss of the process is a
//! `tracing` warning (feature `tracing`), and then there is silence.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
//! use envoi_core::{Kind, Parcel};
//! use envoi_layers::on_error::{DeliveryError, OnErrorLayer};
//! use envoi_testkit::{Goods, mock::{MockDeliver, Outcome}};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! let refused = Arc::new(AtomicU64::new(0));
//! let layer = OnErrorLayer::new({
//!     let refused = Arc::clone(&refused);
//!     move |error| match error {
//!         DeliveryError::Auth { .. } => eprintln!("check the key: {error}"),
//!         error => drop(refused.fetch_add(error.items(), Ordering::Relaxed)),
//!     }
//! });
//! let stack = ServiceBuilder::new().layer(layer).service(MockDeliver::answering(Outcome::failure(Kind::Rejected)));
//! let _ = stack.oneshot(Parcel::new(Goods::new("event").and("event", 1))).await;
//! assert_eq!(refused.load(Ordering::Relaxed), 2);
//! # });
//! ```

mod error;
mod future;
mod hook;
mod layer;
mod service;

pub use error::DeliveryError;
pub use future::OnErrorFuture;
pub use hook::{ErrorHook, OverflowSink};
pub use layer::OnErrorLayer;
pub use service::OnError;
