//! The store on disk through its public API, on real files. Its thread is real, so these tests wait for what must happen
//! and assert no times.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod bounds;
mod contract;
mod durable;
mod end_to_end;
mod kill;
mod restart;
#[cfg(feature = "sim")]
mod simulated;
mod slots;
mod state;
mod support;
mod tiered;
mod trouble;
