//! What a status or an error means: delivered, drop, or try again.
//!
//! A [`Policy`] is data. [`Policy::judge`] and [`Policy::judge_error`] are pure: they turn what the exchange level
//! answered into the [`Receipt`](envoi_core::Receipt) or [`Fault`](envoi_core::Fault) that the delivery level works
//! with.
//!
//! | status | [`Policy::sentry`] | [`Policy::at_least_once`] | [`Policy::best_effort`] | kind |
//! |---|---|---|---|---|
//! | 2xx | delivered | delivered | delivered | |
//! | 401, 403 | drop | drop | drop | `Unauthorized` |
//! | 407 | drop | drop | drop | `Proxy` |
//! | 408 | drop | retry, `Retry-After` | drop | `Rejected` |
//! | 429 | drop | retry, `Retry-After` | drop | `RateLimited` |
//! | other 4xx | drop | drop | drop | `Rejected` |
//! | 5xx | drop | retry, `Retry-After` | drop | `Server` |
//! | 1xx, 3xx, 6xx and above | drop | drop | drop | `Rejected` |
//! | network errors | retry | retry | drop | see [`Kind`](envoi_core::Kind) |
//!
//! A 407 that gets here is that of a proxy which nobody has configured: the answers of those in a `ProxyConfig` are
//! faults before, and are tried again.
//!
//! nginx answers 400 where other servers end the handshake: no client certificate, or one that it does not believe. Its
//! page says so, and it is judged as the failed handshake that it is: [`Kind::Tls`](envoi_core::Kind::Tls) in [`Phase::Tls`](envoi_core::Phase::Tls), to be tried again like
//! the others, and without a reply, because whoever keeps the goods has not seen them. `on_error` changes that as well.
//!
//! The Sentry column follows TR-8, CR-3 and OC-3: the server has counted what it refused, so it is never sent again.
//! Its 429 is dropped as well, because the limit that comes with it is obeyed by the filter further up. Every cell
//! can be changed:
//!
//! ```
//! use envoi_core::{Advice, Reply};
//! use envoi_http::{Action, Policy};
//! use http::StatusCode;
//! use std::time::SystemTime;
//!
//! let policy = Policy::sentry().on_status(StatusCode::BAD_GATEWAY, Action::Retry);
//! let verdict = |code| policy.judge(Reply::new(code), SystemTime::UNIX_EPOCH);
//!
//! assert!(verdict(StatusCode::ACCEPTED).is_ok());
//! assert_eq!(verdict(StatusCode::BAD_GATEWAY).unwrap_err().advice(), Advice::Retry);
//! assert_eq!(verdict(StatusCode::PAYLOAD_TOO_LARGE).unwrap_err().advice(), Advice::Drop);
//! ```

mod classify;
mod door;
mod explain;
mod retry_after;
mod table;
#[cfg(test)]
mod tests;

pub use classify::classify;
pub use explain::{accepted_id, explain};
pub use retry_after::retry_after;
pub use table::{Action, Policy};
