//! Takes payloads from any thread without ever waiting, and delivers them in the background.
//!
//! An outbox has three parts: the [`Outbox`] handle that an application posts to, a [`Store`](envoi_core::Store) that
//! keeps what is not sent yet ([`MemoryStore`], or one on disk), and a [`Driver`] that takes parcels from the store and
//! sends them through the inner service. [`outbox`] makes handle and driver; [`OutboxLayer`] does so in a
//! `ServiceBuilder` and runs the driver.
//!
//! # What a post goes through
//! 1. It is entered in the [`Ledger`](envoi_core::Ledger). From here on it is delivered, refused, lost or held, and the
//!    books say which.
//! 2. A closed outbox refuses it, and one whose [gate](OutboxConfig::gate) is shut.
//! 3. What is under a known rate limit is dropped at once (`ratelimit_backoff`, TP-3).
//! 4. The store takes it on. If its lane is full the oldest of the lane gives way (`queue_overflow`, TP-1).
//! 5. The driver is woken, if it sleeps.
//!
//! # What the driver does
//! * It asks the inner service for readiness *before* it takes a parcel: while the stack is busy, parcels stay where
//!   overflow, priorities and fresh limits reach them.
//! * Lanes are served by weighted round robin, 5:4:3:2:1 (TP-2), up to 8 deliveries at once.
//! * A delivery that fails with advice to retry goes back to its place and waits ([`Backoff`]) without blocking those
//!   behind it. After 20 attempts or 30 days it is given up (OC-4, decision 17). A success after failures, or
//!   [`Outbox::online`], makes those who wait try at once (OC-6); a wait that the server asked for is kept.
//! * Under a limit on everything nothing is taken from the store; what a category limit holds stays where it is (OC-8).
//! * Parcels of an earlier run leave 100 ms apart; live ones are not delayed (OC-7).
//! * Pending reports of losses that find no carrier leave on their own every 30 s, at flush and at close (CR-5).
//!
//! # How the books balance
//! Every parcel leaves the store in the custody of the outbox ([`Custodian`](envoi_core::Custodian)). Whatever happens
//! inside, what is left of it is entered once, by what the call came to:
//!
//! | the inner service | what is left of the parcel |
//! |---|---|
//! | answers `Delivered` | delivered |
//! | answers `Queued` or `Stored` | the other queue answers for it; it must share the ledger |
//! | answers `Spent` | nothing should be; else lost as `internal_sdk_error` |
//! | fails for good | refused or lost, as the fault says (CR-3) |
//! | fails for now | nothing is entered; it is queued again |
//! | fails and loses the parcel | lost, as the fault says |
//! | panics, in whatever state | lost as `internal_sdk_error`; nothing else is affected |
//! | is dropped by a close or with the driver | kept if the store is durable, else lost as `network_error` |
//!
//! A layer that keeps the parcel beyond the call delays the entry until it drops it. Reports of losses that were on board
//! are put back whenever the server has not read them (CR-6, decision 14).
//!
//! # Flush, drain and close
//! [`Outbox::flush`] waits for what was posted before it, however much is posted meanwhile; [`Outbox::drain`] until nothing
//! is left at all, also of an earlier run. [`Outbox::close`] delivers what was posted,
//! then interrupts, then drops, and says what became of everything. Both return within their time, whether the inner
//! service hangs, the driver was dropped, or it never ran; both have blocking twins for exit hooks.

mod agenda;
mod backoff;
mod books;
mod config;
mod custody;
mod driver;
mod epochs;
mod handle;
mod inflight;
mod layer;
mod memory;
mod outcome;
mod recovery;
mod rota;
mod service;
mod shared;
mod signal;
mod stats;
mod thread;
mod timer;
mod verdict;
mod watch;

pub use backoff::Backoff;
pub use config::OutboxConfig;
pub use driver::Driver;
pub use handle::Outbox;
pub use layer::{OutboxLayer, outbox};
pub use memory::{Capacity, MemoryStore, Overflow};
pub use outcome::{End, Notice, Outcome, Outcomes};
pub use stats::{Closed, Flushed, LastFailure, Stats};
