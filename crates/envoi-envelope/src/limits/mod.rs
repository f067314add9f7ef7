//! Rate limits: what a server says about them, and the table of those that are in force.
//!
//! * [`parse`] reads the two headers, [`limits_of_reply`] decides which of them counts (RL-1, RL-2). Both are pure.
//! * [`RateLimits`] is the table: one per DSN (RL-7), shared by whoever filters, queues or produces. It learns from
//!   every reply and costs one relaxed load while nothing is limited.
//! * [`LimitsSnapshot`] carries the limits over a restart (RL-12).
//!
//! ```
//! use envoi_core::{Clock, Limits, Reply, SystemClock};
//! use envoi_envelope::{DataCategory, limits::RateLimits};
//! use std::time::Duration;
//!
//! let limits = RateLimits::default();
//! let mut reply = Reply::new(http::StatusCode::OK);
//! reply.headers.insert("x-sentry-rate-limits", "60:error;transaction:organization".parse().unwrap());
//! let (now, wall) = (SystemClock.now(), SystemClock.wall());
//! limits.learn(&reply, now, wall);
//!
//! assert!(limits.is_limited(&DataCategory::Error, now));
//! assert!(!limits.is_limited(&DataCategory::Session, now));
//! assert!(!limits.is_limited(&DataCategory::Error, now + Duration::from_secs(60))); // free at the exact end
//! ```

mod options;
pub mod parse;
mod reply;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;

pub use options::LimitOptions;
pub use parse::Limit;
pub use reply::{RATE_LIMITS, limits_of_reply};
pub use snapshot::{LimitsSnapshot, SnapshotError};
pub use table::{ActiveLimit, RateLimits};
