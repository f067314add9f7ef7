//! The parsers of the two headers. Pure, total, and bounded by the length of their input.

mod rate_limits;
mod retry_after;

pub use envoi_core::parse_delay as delay;
pub use rate_limits::{Limit, rate_limits};
pub use retry_after::retry_after;
