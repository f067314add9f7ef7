//! The handle that an application keeps, and the future that makes it work.

mod batching;
mod driver;
mod handle;
#[cfg(feature = "metrics")]
mod publish;
mod stats;

pub use driver::TransportDriver;
pub use handle::Transport;
pub use stats::TransportStats;

#[cfg(feature = "spool")]
pub(crate) use handle::LIMITS;
pub(crate) use handle::Parts;
