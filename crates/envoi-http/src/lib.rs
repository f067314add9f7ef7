//! The exchange level of envoi: encode, auth, compress, policies, and the hyper client at the core.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod auth;
mod body;
#[cfg(feature = "client")]
pub mod client;
pub mod compress;
pub mod encode;
pub mod policy;

pub use auth::{Auth, AuthLayer, Authorize, HeaderAuth, InvalidCredential, QueryAuth, bearer};
pub use body::{BodyError, RequestBody};
#[cfg(feature = "client")]
pub use client::HttpClient;
pub use compress::{Compress, CompressLayer, Encoding};
pub use encode::{Encode, EncodeLayer};
pub use policy::{Action, Policy, accepted_id, classify, explain, retry_after};
