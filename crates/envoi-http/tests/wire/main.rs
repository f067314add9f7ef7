//! What the client makes of connections that stall, break, or are taken away: phases, time bounds, sending again.
#![cfg(feature = "client")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail the test"
)]

mod http2;
mod phases;
mod pipe;
mod pool;
mod resend;
mod support;
