//! The batch preset: the Boundary guarantees, under paused time over a scripted exchange in the place of the network, and
//! once over real sockets.
#![cfg(feature = "batch")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[cfg(feature = "spool")]
mod disk;
mod http;
mod parts;
mod queue;
mod scenarios;
mod shutdown;
mod support;
mod table;
