//! With `--cfg loom` the atomics are those of loom, which work inside a model only.

#[cfg(not(loom))]
mod aggregator;
#[cfg(loom)]
mod loom_tests;
#[cfg(not(loom))]
mod payload;
#[cfg(not(loom))]
mod reporter;
