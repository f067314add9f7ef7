//! Credentials on the wire: written by clients, read by servers.

mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{AuthError, AuthHeader};
pub use write::user_agent;
pub(crate) use write::{header, query};

/// The version of the protocol that is spoken here.
pub const PROTOCOL_VERSION: u16 = 7;
