//! With `--cfg loom` the atomics are those of loom, which work inside a model only.

#[cfg(loom)]
mod loom_tests;
#[cfg(not(loom))]
mod parse;
#[cfg(not(loom))]
mod reply;
#[cfg(not(loom))]
mod snapshot;
#[cfg(not(loom))]
mod support;
#[cfg(not(loom))]
mod table;
#[cfg(not(loom))]
use support::{brief, wall};
