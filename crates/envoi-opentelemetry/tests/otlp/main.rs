//! The real OTLP exporters over our stacks, against a server that reads protobuf.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod answers;
mod exporters;
mod sink;
