//! Test parts for envoi stacks: real envelopes, and parts that stand in for the ones around yours.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod corpus;
