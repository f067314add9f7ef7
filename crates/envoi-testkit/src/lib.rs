//! Test parts for envoi stacks: real envelopes, and parts that stand in for the ones around yours.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
pub mod contract;
pub mod corpus;
mod drops;
mod goods;
pub mod mock;
pub mod probe;

pub use clock::{ManualClock, TokioClock};
pub use drops::{DropToken, Drops};
pub use goods::{Goods, GoodsCategory, GoodsItem};
