//! Stops sending to a receiver that fails, and asks it again with one delivery at a time.
//!
//! After five failures in a row ([`BreakerConfig::failures`]) the circuit opens. For 30 s ([`BreakerConfig::cooldown`])
//! nothing is sent: the parcel comes back at once as [`Kind::CircuitOpen`](envoi_core::Kind::CircuitOpen). Then exactly one
//! delivery is let through as a probe, however many want to leave; if it succeeds the circuit closes, if it fails the
//! cooldown begins anew (BD-4).
//!
//! | the circuit | a call | its advice |
//! |---|---|---|
//! | [closed](BreakerState::Closed) | goes through | |
//! | [open](BreakerState::Open), within the cooldown | is refused | to retry after the rest of the cooldown |
//! | open, after it | goes through as the probe | |
//! | [half-open](BreakerState::HalfOpen), a probe is out | is refused | to retry after a second, or the cooldown if that is less: nobody knows how long a probe takes |
//!
//! What counts is data, too: [`Verdict::of`] calls a confirmed delivery a success; network errors, 5xx, 408 and 429 are
//! failures; refused credentials, other 4xx and everything local are neither, they say nothing about the receiver's
//! health. [`BreakerConfig::judge`] changes it. A probe that ends neutral, or whose future is dropped, frees its slot:
//! the next call is the probe.
//!
//! A call that was let through before the state changed has no say any more: what comes back late from before an outage
//! neither closes the circuit nor opens it.
//!
//! # Where it stands
//! Above the retry, so that a delivery counts once whatever its attempts (the batch preset does so); below it each attempt
//! counts. What a probe waits for must have a timeout below, or nobody is let through until it ends. The
//! refusal hands the parcel back with a wait, so an outbox above keeps it for that long, and does not count it as an
//! attempt; who would rather lose it says so above ([`on_error`](crate::on_error)), and who would rather leave it in the
//! queue asks [`BreakerLayer::refuses_until`] there.
//!
//! # Cost
//! The state is one atomic word. A call through a closed circuit is three loads; the time is looked at only while it is
//! open. `poll_ready` never fails for an open circuit and does not ask the inner service then.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! use std::time::Duration;
//! use envoi_core::{Advice, Kind, Parcel};
//! use envoi_layers::breaker::{BreakerConfig, BreakerLayer, BreakerState};
//! use envoi_testkit::{Goods, mock::{MockDeliver, Outcome}};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! let below = MockDeliver::new();
//! below.script([Outcome::failure(Kind::Connect), Outcome::failure(Kind::Connect)]);
//! let breaker = BreakerLayer::new(BreakerConfig::new().failures(2).cooldown(Duration::from_secs(30)));
//! let stack = ServiceBuilder::new().layer(breaker.clone()).service(below.clone());
//! let send = || stack.clone().oneshot(Parcel::new(Goods::new("event")));
//!
//! for _ in 0..2 {
//!     assert!(send().await.is_err());
//! }
//! let refused = send().await.unwrap_err();
//! assert_eq!(refused.fault().kind(), Kind::CircuitOpen);
//! assert_eq!(refused.fault().advice(), Advice::RetryAfter(Duration::from_secs(30)));
//! assert_eq!(below.seen().len(), 2);
//!
//! tokio::time::sleep(Duration::from_secs(30)).await;
//! assert!(send().await.is_ok());
//! assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
//! # });
//! ```

mod circuit;
mod config;
mod future;
mod layer;
mod service;
mod shared;
mod snapshot;
mod verdict;
mod word;

pub use config::BreakerConfig;
pub use future::BreakerFuture;
pub use layer::BreakerLayer;
pub use service::Breaker;
pub use shared::BreakerState;
pub use snapshot::{BreakerSnapshot, BreakerSnapshotError};
pub use verdict::Verdict;
