//! The delivery level of envoi: outbox, filter, client reports, batcher.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "filter")]
#[cfg_attr(docsrs, doc(cfg(feature = "filter")))]
pub mod filter;
#[cfg(feature = "report")]
#[cfg_attr(docsrs, doc(cfg(feature = "report")))]
pub mod report;
