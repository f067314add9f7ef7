//! `envoi relay` as a process: what it takes, what it refuses, what it survives, and what arrives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod accept;
mod bounds;
mod client;
mod ends;
mod limits;
mod pages;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod upstreams;
