//! Sends a copy of every parcel to further sinks: a file beside the server, a second region, a queue of your own.
//!
//! A sink is whatever delivers, behind an [`Outbox`](crate::outbox::Outbox) of its own. [`FanOut`] posts a copy there and
//! sends the parcel itself on to the inner service, the primary, whose answer is the answer. Posting never waits, so no
//! sink can hold up, fail or bring down the primary or another sink: what is slow, fails or panics does so in its own
//! outbox, with its own queue, retries and losses.
//!
//! # The books
//! Each sink keeps books of its own, those of its outbox: there a copy is posted, delivered, refused or lost. The books of
//! the primary know nothing of copies. (Two outboxes that share one ledger count a copy as a posting of its own; the
//! ledger balances then as well, but says less.) Who wants to hear of losses of a sink gives its outbox an
//! [error handler](crate::on_error) or a [`LossSink`](envoi_core::LossSink).
//!
//! A parcel is copied once, before its first attempt here, however often the primary tries; its extensions say so. They do
//! not rest on disk: a parcel that an earlier run has left there may be copied a second time, so sinks get each at least
//! once. The copy is a fresh parcel: the payload as it was, without the extensions. A report of losses that leaves on its
//! own is not copied: it tells of the primary.
//!
//! # Where it stands
//! Right below the outbox of the primary, above all layers that may refuse or change a parcel. It says nothing about when
//! sinks are done: flush and close their outboxes as you do with that of the primary.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! use std::time::Duration;
//! use envoi_core::{Kind, Parcel};
//! use envoi_layers::fan_out::FanOutLayer;
//! use envoi_layers::outbox::{Outbox, OutboxConfig, OutboxLayer};
//! use envoi_testkit::{Goods, mock::{MockDeliver, Outcome}};
//! use tower::{Layer, ServiceBuilder, ServiceExt};
//!
//! let (server, file) = (MockDeliver::answering(Outcome::failure(Kind::Rejected)), MockDeliver::new());
//! let archive: Outbox<Goods> = OutboxLayer::new(OutboxConfig::new()).layer(file.clone());
//! let stack = ServiceBuilder::new().layer(FanOutLayer::new([archive.clone()])).service(server);
//!
//! assert!(stack.oneshot(Parcel::new(Goods::new("event"))).await.is_err());
//! assert!(archive.flush(Duration::from_secs(1)).await.is_complete());
//! assert_eq!(file.seen().len(), 1); // whatever the server said
//! # });
//! ```

mod layer;
mod service;

pub use layer::FanOutLayer;
pub use service::FanOut;
