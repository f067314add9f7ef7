//! The exchange-level half of a forward proxy: credentials on the request, and a look at who has answered.

mod answer;
mod future;
mod layer;
mod service;
#[cfg(test)]
mod tests;

pub use answer::made_by_proxy;
pub use future::ForwardFuture;
pub use layer::ForwardLayer;
pub use service::Forward;
