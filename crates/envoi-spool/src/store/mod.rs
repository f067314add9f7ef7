//! The store on disk: a [`Store`](envoi_core::Store) that survives the process.
//!
//! ```text
//! DIR/                     0700; files 0600; symbolic links are refused
//!   slot-00/               one per process
//!     LOCK OWNER SPOOL     who has it (locked for life), who that is, who the spool is
//!     lane-critical/ …     one log per lane
//!     state-NAME           small things to remember
//! ```
//!
//! # What happens to an entry
//! 1. [`Spool`] encodes it on the caller's thread and queues it; nothing waits. It may be sent when it is on disk, not
//!    before (OC-1).
//! 2. One thread writes what is queued, all of it in one write per lane, and tells the device to keep it as
//!    [`Durability`] says. [`Store::append_durable`](envoi_core::Store::append_durable) answers when it does.
//! 3. The payload stays in memory while there is room, and is then not read back; else it is read when its turn comes.
//! 4. A known outcome settles it. A failed attempt is noted on disk; one that comes back with less in it is written
//!    anew.
//!
//! # Bounds
//! Count, bytes, age and free space are kept at every write (OC-2, decision 19): first the oldest of the least urgent
//! lane goes, and nothing goes for what is less urgent than itself. What the store lets go is recorded as
//! `cache_overflow` from what the record says about itself, without its payload; the counts are on disk until they
//! have been reported.
//!
//! # When the disk fails
//! Full, read-only, gone, or failing: sending goes on from memory, within [`SpoolConfig::cache_bytes`];
//! [`Spool::stats`] says so; the disk is tried again after 1 s, doubling to 30 s, and what is still in memory is then
//! written (OC-11).
//!
//! # Several processes
//! Each has a slot of its own (OC-10). What a dead one left is adopted at start and every 60 s: read, settled, deleted,
//! never appended to. After a fork the child's calls are refused. Not for network file systems.
//!
//! # What is not kept
//! Extensions of a parcel's meta data, and payloads that hold nothing but news of losses (decision 21).

mod blob;
mod config;
mod disk;
mod engine;
mod entry;
mod error;
mod front;
mod inner;
mod inspect;
mod meta;
mod purge;
mod shelf;
mod slot;
mod spool;
mod stats;

pub use config::{Durability, OnBusy, SpoolConfig};
pub use error::OpenError;
pub use inspect::{LaneView, Owner, RecordView, SlotView, inspect, read_payload};
pub use purge::{Purged, purge};
pub use spool::Spool;
pub use stats::{SpoolState, SpoolStats, Trouble};
