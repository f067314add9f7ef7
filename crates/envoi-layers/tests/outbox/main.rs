//! The outbox through its public API, under paused time. After every scenario the books balance, and what the ledger says
//! is held is what the queue counts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on fails"
)]

mod chaos;
mod closing;
mod failures;
mod flushing;
mod gate;
mod limits;
mod memory;
mod order;
mod panics;
mod queues;
mod reports;
mod support;
mod threads;
mod wakeups;
mod watching;
