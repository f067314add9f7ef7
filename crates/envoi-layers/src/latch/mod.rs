//! Switches the transport off at the first 401 or 403, for the life of the process.
//!
//! Bad credentials do not get better by trying: the first refusal of the server's trips the latch (BD-5). It is the one
//! failure that comes up as [`Kind::Unauthorized`](envoi_core::Kind::Unauthorized). From then on every call is answered by
//! [`Kind::Disabled`](envoi_core::Kind::Disabled) with the advice to drop, and the inner service is not called. A 401 or
//! 407 that a proxy answers is [`Kind::Proxy`](envoi_core::Kind::Proxy) and trips nothing.
//!
//! Of several requests that are in flight when the key turns out to be bad, each is refused by the server. The first of
//! them trips the latch; the others come up as `Disabled`, with the server's reply, since they are consequences. So who
//! reports `Unauthorized` above reports once, however many there are.
//!
//! [`LatchLayer`] is the handle: its clones, and all services that they make, share one latch. [`LatchLayer::reset`] lets
//! things go again, for a key that was rotated and for tests.
//!
//! # Where it stands
//! Next to the wire, right above the bridge to HTTP: below [`retry`](crate::retry), so that a batch that waits for its next
//! attempt is not sent after the trip either, and below [`on_error`](crate::on_error), which hears of the one refusal.
//!
//! What is posted later should not even be queued: tell the outbox. It then refuses posts at the door, and discards what
//! it had queued before without calling anybody.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! use std::time::Duration;
//! use envoi_core::Kind;
//! use envoi_layers::latch::LatchLayer;
//! use envoi_layers::outbox::{MemoryStore, OutboxConfig, outbox};
//! use envoi_testkit::{Goods, mock::{MockDeliver, Outcome}};
//! use tower::ServiceBuilder;
//!
//! let latch = LatchLayer::new();
//! let below = MockDeliver::answering(Outcome::failure(Kind::Unauthorized));
//! let stack = ServiceBuilder::new().layer(latch.clone()).service(below.clone());
//! let config = OutboxConfig::new().gate({
//!     let latch = latch.clone();
//!     move || !latch.is_tripped()
//! });
//! let (outbox, driver) = outbox(MemoryStore::new(), config, stack);
//! tokio::spawn(driver);
//!
//! outbox.post(Goods::new("event")).unwrap();
//! outbox.flush(Duration::from_secs(1)).await;
//! assert!(latch.is_tripped());
//! assert_eq!(outbox.post(Goods::new("event")).unwrap_err().kind(), Kind::Disabled);
//! assert_eq!(below.seen().len(), 1);
//! # });
//! ```

mod future;
mod layer;
mod service;

pub use future::LatchFuture;
pub use layer::LatchLayer;
pub use service::Latch;
