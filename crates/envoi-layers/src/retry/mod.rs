//! Tries a delivery again that failed for now, a few times and soon.
//!
//! [`Retry`] asks its [`Schedule`] after every failure whether and when to try again, and sends the very parcel that the
//! failure brought back: nothing is cloned, and what a filter below took out of it stays out.
//!
//! | the attempt | what follows |
//! |---|---|
//! | succeeds | the receipt |
//! | fails with the advice to drop | the failure, as it is (BD-2) |
//! | fails with the advice to retry | a wait, then the next attempt (BD-1) |
//! | fails with a wait that the server asks for | that wait, cut to 60 s, then the next attempt (BD-3) |
//! | fails, and it was the last one | the failure, its advice unchanged: who stands above decides |
//! | fails and has lost the parcel | the failure: there is nothing left to send |
//!
//! What is worth another attempt is decided where a failure is made: by the policy of the bridge to HTTP, or by your own
//! sink. A retry only reads the [`Advice`](envoi_core::Advice).
//!
//! # Shutdown
//! A wait ends when the [halt token](RetryLayer::halt_on) is cancelled: the parcel comes back at once as
//! [`Kind::Halted`](envoi_core::Kind::Halted), with the last fault as its source. What runs is not interrupted here; the
//! bridge below minds the same token.
//!
//! # Where it stands
//! Below a breaker, so that one exhausted delivery is one failure (BD-4), and above whatever judges each attempt: filter,
//! latch, encode. It needs an inner service that is `Clone`, and asks for its readiness before every attempt.
//!
//! # Differences from an outbox, and from tower's retry
//! An outbox keeps a parcel for days and lets others pass while it waits; a retry holds it for seconds, and its place
//! among the deliveries that run. tower's retry clones every request in advance, cannot be interrupted, and forgets why
//! it retried when the service fails to become ready.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! use envoi_core::{Kind, Parcel};
//! use envoi_layers::retry::{RetryLayer, Schedule};
//! use envoi_testkit::{Goods, mock::{MockDeliver, Outcome}};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! let below = MockDeliver::new();
//! below.script([Outcome::failure(Kind::Connect), Outcome::failure(Kind::Timeout)]);
//! let stack = ServiceBuilder::new().layer(RetryLayer::new(Schedule::brief())).service(below.clone());
//!
//! assert!(stack.oneshot(Parcel::new(Goods::new("event"))).await.is_ok());
//! assert_eq!(below.seen().len(), 3);
//! # });
//! ```

mod budget;
mod future;
mod layer;
mod schedule;
mod service;

pub use budget::Budget;
pub use future::RetryFuture;
pub use layer::RetryLayer;
pub use schedule::Schedule;
pub use service::Retry;
