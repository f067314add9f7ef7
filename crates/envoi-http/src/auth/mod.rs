//! Credentials on the way out, each scheme an interchangeable part (AU-8).
//!
//! [`AuthLayer`] puts on every request what its [`Authorize`] says:
//!
//! * [`HeaderAuth`]: a header, marked sensitive. [`bearer`] makes the one for `Authorization: Bearer …`; the
//!   `X-Sentry-Auth` of a DSN is another (AU-3).
//! * [`QueryAuth`]: the same values in the query string, where a header cannot be set (AU-4).
//! * A type of your own, for instance one that reads a token which another task refreshes:
//!
//! ```
//! use envoi_core::{Fault, Kind};
//! use envoi_http::{AuthLayer, Authorize};
//! use http::{HeaderValue, header::AUTHORIZATION, request::Parts};
//! use std::sync::{Arc, RwLock};
//!
//! #[derive(Clone)]
//! struct Refreshed(Arc<RwLock<Option<HeaderValue>>>); // the values are `set_sensitive(true)`
//!
//! impl Authorize for Refreshed {
//!     fn authorize(&self, parts: &mut Parts) -> Result<(), Fault> {
//!         let token = self.0.read().ok().and_then(|token| token.clone());
//!         let token = token.ok_or_else(|| Fault::new(Kind::Io).with_message("no token yet"))?; // try again later
//!         parts.headers.insert(AUTHORIZATION, token);
//!         Ok(())
//!     }
//! }
//! let layer = AuthLayer::new(Refreshed(Arc::default()));
//! # let _ = layer;
//! ```
//!
//! Place it **below** the layers that log or trace requests: what they see then holds no credentials (AU-7).

mod future;
mod header;
mod layer;
mod query;
mod service;
#[cfg(test)]
mod tests;

pub use future::AuthFuture;
pub use header::{HeaderAuth, InvalidCredential, bearer};
pub use layer::{AuthLayer, Authorize};
pub use query::QueryAuth;
pub use service::Auth;
