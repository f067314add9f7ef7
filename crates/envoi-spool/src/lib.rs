//! The disk buffer of envoi: a crash-safe store of segmented logs.
//!
//! * [`format`](mod@format): format v1 as bytes, pure.
//! * [`fs`]: the file system behind a seam.
//! * [`log`]: one lane, a segmented append log with a single owner.
//! * [`Spool`]: the store made of these, for the queue above.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod format;
pub mod fs;
pub mod log;
pub mod store;
mod tiered;

pub use store::{Durability, OnBusy, OpenError, Spool, SpoolConfig, SpoolState, SpoolStats, Trouble};
pub use tiered::Tiered;
