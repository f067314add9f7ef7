//! The delivery level of envoi: what happens to a payload between the application and the wire.
//!
//! Every layer is a [`Deliver`](envoi_core::Deliver), generic over the payload, a folder and a feature of its own. None
//! needs another, and each may be left out, moved, or replaced by one of yours. From the outside in:
//!
//! | layer | what it does | why it stands here |
//! |---|---|---|
//! | [`outbox`] | takes payloads without waiting, delivers in the background | decides on overflow before any work is done |
//! | [`fan_out`] | posts a copy to further sinks | before anything is refused or taken out |
//! | [`on_error`] | tells a handler of every batch that is lost for good | sees what all layers below have given up |
//! | [`breaker`] | stops sending to a receiver that fails | an exhausted retry is one failure |
//! | [`retry`] | tries again, a few times and soon | each attempt is judged by what is below |
//! | [`latch`] | disables the transport at the first 401 or 403 | next to the wire: nothing leaves after it, not even a batch that waits for its next attempt |
//! | [`filter`] | holds back what is under a rate limit | where items still are items |
//! | [`report`] | losses ride on what leaves | below the filter, whose losses it carries |
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "breaker")]
#[cfg_attr(docsrs, doc(cfg(feature = "breaker")))]
pub mod breaker;
mod clock;
#[cfg(feature = "fan_out")]
#[cfg_attr(docsrs, doc(cfg(feature = "fan_out")))]
pub mod fan_out;
#[cfg(feature = "filter")]
#[cfg_attr(docsrs, doc(cfg(feature = "filter")))]
pub mod filter;
#[cfg(feature = "latch")]
#[cfg_attr(docsrs, doc(cfg(feature = "latch")))]
pub mod latch;
#[cfg(feature = "on_error")]
#[cfg_attr(docsrs, doc(cfg(feature = "on_error")))]
pub mod on_error;
#[cfg(feature = "outbox")]
#[cfg_attr(docsrs, doc(cfg(feature = "outbox")))]
pub mod outbox;
#[cfg(feature = "report")]
#[cfg_attr(docsrs, doc(cfg(feature = "report")))]
pub mod report;
#[cfg(feature = "retry")]
#[cfg_attr(docsrs, doc(cfg(feature = "retry")))]
pub mod retry;

pub use clock::TokioClock;
