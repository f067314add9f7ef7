//! The disk buffer of envoi: a crash-safe store of segmented logs.
//!
//! * [`format`](mod@format): format v1 as bytes, pure.
//! * [`fs`]: the file system behind a seam.
//! * [`log`]: one lane, a segmented append log with a single owner.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod format;
pub mod fs;
pub mod log;
