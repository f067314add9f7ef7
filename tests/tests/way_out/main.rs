//! The way out through real software: nginx, Squid, tinyproxy, microsocks and Dante, each started by the test as the
//! current user, with a configuration and ports of its own. `./check` installs what is missing from Debian's packages.
//! Where a program is missing, the test that wants it says so and does nothing; with `CI` set it fails.
//!
//! Nothing here believes the client: what the servers wrote into their logs counts. Each proxy goes on from a loopback
//! address of its own (127.0.0.2 and up), so nginx's log says of every single request whether and through whom it came.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod certificates;
mod matrix;
mod nginx;
mod presets;
mod proxies;
mod refusals;
mod restarts;
mod software;
mod stack;
