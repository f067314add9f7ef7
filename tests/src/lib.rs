//! Tests of whole stacks live in `tests/`; this crate has no code of its own.

/// The example of the project's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
