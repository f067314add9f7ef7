//! Tests of whole stacks live in `tests/`; this crate has no code of its own.

/// The example of the project's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The code on the pages of `docs/` compiles and runs. `tests/pages.rs` sees to it that no page is left out.
#[cfg(doctest)]
pub mod pages {
    #[doc = include_str!("../../docs/writing-a-layer.md")]
    pub struct WritingALayer;
    #[doc = include_str!("../../docs/testing-your-stack.md")]
    pub struct TestingYourStack;
    #[doc = include_str!("../../docs/composing.md")]
    pub struct Composing;
    #[doc = include_str!("../../docs/migrating.md")]
    pub struct Migrating;
}
