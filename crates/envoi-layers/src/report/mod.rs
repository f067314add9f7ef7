//! Lets the news of losses ride on what leaves anyway.
//!
//! A client reports what it had to drop (Sentry calls this *client reports*), but never with an envelope per drop
//! (CR-5). [`Report`] attaches what is pending to the next parcel that passes, whatever it carries. When nothing is
//! pending, and that is the rule, a call costs one relaxed load. Reports that find no carrier within some time leave
//! on their own; that is the work of the outbox, which knows the time.
//!
//! # What becomes of the report
//!
//! | the inner service answers | the report |
//! |---|---|
//! | `Ok` | has arrived with its carrier |
//! | `Err` with a reply of status 429 | was read by the server: taken off, done (decision 14) |
//! | `Err`, anything else | taken off, pending again (CR-6) |
//!
//! Either way a parcel that comes back is without it: a report is never stored, and an attempt that is repeated takes
//! what is pending by then, so nothing is counted twice.
//!
//! A parcel that does *not* come back (the future is dropped, an inner layer panics or loses it) carries its report
//! with it, and whoever destroyed it is the one to put the losses back, as for the items that it held:
//! [`Itemized::carried_losses`](envoi_core::Itemized::carried_losses). Behind an outbox you need not care, its
//! [`Custodian`](envoi_core::Custodian) does so.
//!
//! # Where it stands
//! Directly above the bridge to HTTP (`Encode`), below [`filter`](crate::filter) and below every layer that keeps
//! parcels or repeats attempts.
//!
//! # Switched off
//! `ReportLayer::new(())` attaches nothing and costs nothing (CR-7).
//!
//! ```
//! use envoi_core::{Fault, Failure, Kind, Parcel, Receipt};
//! use envoi_layers::report::ReportLayer;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! # use envoi_core::{Payload, Reporter, Weight};
//! # use std::sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}};
//! # struct Letter { lost_elsewhere: u64 }
//! # impl Payload for Letter { fn weight(&self) -> Weight { Weight { items: 1, bytes: 0 } } }
//! # #[derive(Clone, Default)]
//! # struct Pending(Arc<AtomicU64>);
//! # impl Reporter<Letter> for Pending {
//! #     fn is_pending(&self) -> bool { self.0.load(Relaxed) > 0 }
//! #     fn attach(&self, letter: &mut Letter) -> bool { letter.lost_elsewhere = self.0.swap(0, Relaxed); true }
//! #     fn detach(&self, letter: &mut Letter, restore: bool) {
//! #         let count = std::mem::take(&mut letter.lost_elsewhere);
//! #         if restore { self.0.fetch_add(count, Relaxed); }
//! #     }
//! #     fn standalone(&self) -> Option<Letter> { None }
//! # }
//! // `Pending` counts losses and can write them into a `Letter`.
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let pending = Pending::default();
//! pending.0.store(5, Relaxed);
//! let mut offline = ServiceBuilder::new().layer(ReportLayer::new(pending.clone())).service(service_fn(
//!     |letter: Parcel<Letter>| async move {
//!         assert_eq!(letter.payload().lost_elsewhere, 5);
//!         Err::<Receipt, _>(Failure::new(Fault::new(Kind::Connect), letter))
//!     },
//! ));
//! let letter = Parcel::new(Letter { lost_elsewhere: 0 });
//! let failure = offline.ready().await.unwrap().call(letter).await.unwrap_err();
//! assert_eq!(failure.parcel().unwrap().payload().lost_elsewhere, 0);
//! assert_eq!(pending.0.load(Relaxed), 5, "still to be told");
//! # });
//! ```

mod future;
mod layer;
mod service;

pub use future::ReportFuture;
pub use layer::ReportLayer;
pub use service::Report;
