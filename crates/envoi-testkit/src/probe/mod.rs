//! An inner service that does what a test says and tells what was done to it.
//!
//! A [`Probe`] stands at the bottom of a stack under test. Its [`ProbeHandle`] says when it is ready, pending or
//! failed, holds answers back, and counts what happened. Readiness is a real permit of tower's
//! [`ConcurrencyLimit`](tower::limit::ConcurrencyLimit), so what a layer forgets to release is missing for others.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use envoi_testkit::probe::{Answers, Gate, Probe};
//! use tower::{Service, ServiceExt};
//!
//! let (mut service, probe) = Probe::new(Answers::new(|n: u32| Ok(n + 1), || "down"), 4);
//! assert_eq!(service.ready().await.unwrap().call(1).await, Ok(2));
//! assert_eq!(probe.counts().answered, 1);
//!
//! probe.set_gate(Gate::Failed);
//! assert_eq!(service.ready().await.unwrap_err(), "down");
//! # });
//! ```

mod answers;
mod future;
mod handle;
mod service;

pub use answers::Answers;
pub use future::ProbeFuture;
pub use handle::{Counts, Gate, ProbeHandle};
pub use service::Probe;
