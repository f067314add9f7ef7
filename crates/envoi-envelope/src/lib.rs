//! The Sentry envelope protocol without I/O: DSN, envelopes, data categories, rate limits, client reports.

mod category;
pub mod limits;
pub mod reports;
mod sync;

pub use category::DataCategory;
