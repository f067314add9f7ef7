//! The append log of a lane, through its public API.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod basics;
mod common;
mod crash;
mod damage;
mod golden;
mod model;
mod story;
mod trouble;
