//! The store in memory: five bounded lanes under one lock.

mod capacity;
mod lane;
mod store;

pub use capacity::{Capacity, Overflow};
pub use store::MemoryStore;
