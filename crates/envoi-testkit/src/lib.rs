//! Test parts for envoi stacks.
//!
//! | you want to test | use |
//! |---|---|
//! | that a layer keeps tower's contract and ours | [`contract`] |
//! | what a layer does with what is below it | [`mock`], [`probe`], [`Goods`], [`Drops`] |
//! | that a store keeps its contract | [`store`] |
//! | deadlines | [`ManualClock`], or [`TokioClock`] with tokio's time paused |
//! | a whole client against a server that misbehaves | `ingest` (a feature, on by default) |
//! | certificates, good and bad, and a server with them | `tls` (a feature) |
//! | anything with real data | [`corpus`] |
//!
//! A retry loop against a receiver that fails once, without a server and without waiting:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! use envoi_core::{Kind, Parcel};
//! use envoi_testkit::{Goods, mock::{MockDeliver, Outcome}};
//! use tower::ServiceExt;
//!
//! let below = MockDeliver::new();
//! below.script([Outcome::failure(Kind::Connect)]);
//! let mut parcel = Parcel::new(Goods::new("error"));
//! while let Err(failure) = below.clone().oneshot(parcel).await {
//!     parcel = failure.into_parcel().unwrap();
//! }
//! assert_eq!(below.seen().len(), 2);
//! # });
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
pub mod contract;
pub mod corpus;
mod drops;
mod goods;
#[cfg(feature = "ingest")]
#[cfg_attr(docsrs, doc(cfg(feature = "ingest")))]
pub mod ingest;
pub mod mock;
pub mod probe;
pub mod store;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub mod tls;

pub use clock::{ManualClock, TokioClock};
pub use drops::{DropToken, Drops};
pub use goods::{Goods, GoodsCategory, GoodsItem};
