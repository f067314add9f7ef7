//! Holds back what a rate limit holds, and lets the rest go.
//!
//! Servers tell in their replies for how long they want no more of what. [`Filter`] learns that from every reply that
//! passes, whatever its status (RL-1), and acts on it before the next parcel leaves:
//!
//! | in force | what leaves | what is recorded as `ratelimit_backoff` |
//! |---|---|---|
//! | nothing | the parcel as it is, after one relaxed load | nothing |
//! | limits on categories | the parcel without the items that they hold (RL-8, RL-10) | what was removed |
//! | the same, and nothing is left | nothing; the answer is [`Fate::Spent`](envoi_core::Fate::Spent) | what was removed |
//! | a limit on everything | nothing; the answer is [`Fate::Spent`](envoi_core::Fate::Spent) | all of it |
//!
//! Reports of other losses are nobody's items: where a parcel is spent, those that it carried are pending again
//! (decision 11). They are held by the limit on everything only (RL-9).
//!
//! # Where it stands
//! Next to the wire, where the items still are items: below retry, so that each attempt is judged by what is known by
//! then, and above [`report`](crate::report), so that reports of what is dropped here ride on the very parcel that they
//! were dropped from. An attempt that fails hands back the parcel as it was sent: what was removed stays removed and
//! is recorded once.
//!
//! # Differences from an outbox with limits
//! The outbox asks the same table when a payload comes in and when it takes one out. The filter knows what was learned
//! since, from parcels that were in flight beside this one.
//!
//! ```
//! use envoi_core::{Fate, Fault, Failure, Itemized, Kind, Ledger, Limits, Parcel, Payload, Receipt, Reply, Weight};
//! use envoi_layers::filter::FilterLayer;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! # use std::sync::{Arc, Mutex};
//! # use std::time::{Duration, Instant, SystemTime};
//! # struct Lines(u64);
//! # impl Payload for Lines {
//! #     fn weight(&self) -> Weight { Weight { items: self.0 as usize, bytes: 0 } }
//! # }
//! # impl Itemized for Lines {
//! #     type Category = &'static str;
//! #     fn tally(&self, visit: &mut dyn FnMut(&&'static str, u64)) { if self.0 > 0 { visit(&"line", self.0); } }
//! #     fn shed(&mut self, limited: &mut dyn FnMut(&&'static str) -> bool, lost: &mut dyn FnMut(&&'static str, u64)) {
//! #         if limited(&"line") { lost(&"line", std::mem::take(&mut self.0)); }
//! #     }
//! #     fn is_held(&self, limited: &mut dyn FnMut(&&'static str) -> bool) -> bool { limited(&"line") }
//! #     fn is_spent(&self) -> bool { self.0 == 0 }
//! # }
//! # #[derive(Clone, Default)]
//! # struct Minute(Arc<Mutex<Option<Instant>>>);
//! # impl Limits<&'static str> for Minute {
//! #     fn any_active(&self, now: Instant) -> bool { self.all_until(now).is_some() }
//! #     fn all_until(&self, now: Instant) -> Option<Instant> { self.0.lock().unwrap().filter(|end| now < *end) }
//! #     fn category_until(&self, _: &&'static str, _: Instant) -> Option<Instant> { None }
//! #     fn next_end(&self, now: Instant) -> Option<Instant> { self.all_until(now) }
//! #     fn learn(&self, reply: &Reply, now: Instant, _: SystemTime) {
//! #         if reply.status == 429 { *self.0.lock().unwrap() = Some(now + Duration::from_secs(60)); }
//! #     }
//! # }
//! // `Lines` is a payload, `Minute` a table that obeys every 429 for a minute.
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let ledger = Ledger::new();
//! let mut stack = ServiceBuilder::new()
//!     .layer(FilterLayer::new(Minute::default()).report_to(ledger.clone()))
//!     .service(service_fn(|parcel: Parcel<Lines>| async move {
//!         let reply = Reply::new(http::StatusCode::TOO_MANY_REQUESTS);
//!         Err::<Receipt, _>(Failure::new(Fault::new(Kind::RateLimited).with_reply(reply), parcel))
//!     }));
//!
//! let refused = stack.ready().await.unwrap().call(Parcel::new(Lines(3))).await.unwrap_err();
//! assert_eq!(refused.fault().kind(), Kind::RateLimited);
//!
//! let receipt = stack.ready().await.unwrap().call(Parcel::new(Lines(4))).await.unwrap();
//! assert_eq!(receipt.fate(), Fate::Spent, "no second request within the minute");
//! assert_eq!(ledger.snapshot().get(&"line").unwrap().lost_total(), 4);
//! # });
//! ```

mod future;
mod layer;
mod rules;
mod service;

pub use future::FilterFuture;
pub use layer::FilterLayer;
pub use service::Filter;
