//! wip
#![deny(missing_docs)]
pub mod format;
