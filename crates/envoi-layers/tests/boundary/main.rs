//! The delivery level of the batch transport as a whole, under paused time: outbox, on_error, breaker, retry, latch, above
//! a scripted receiver.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod chaos;
mod guarantees;
mod rig;
