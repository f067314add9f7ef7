//! Which proxy, if any: pure values, nothing here opens a connection.

mod config;
mod environment;
mod error;
mod no_proxy;
mod server;
#[cfg(test)]
mod tests;

pub use config::ProxyConfig;
pub use error::InvalidProxy;
pub use no_proxy::NoProxy;
#[cfg(feature = "socks")]
pub(crate) use server::Credentials;
pub use server::{ProxyScheme, ProxyServer};
