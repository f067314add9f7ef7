//! Tests of whole stacks live in `tests/`; this crate has no code of its own.
