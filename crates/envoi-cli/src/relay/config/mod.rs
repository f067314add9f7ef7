//! What a relay is told: the command line, and a file below it.
//!
//! [`units`] reads times and sizes, [`upstream`] is where envelopes go, [`way`] is how they get there, [`mod@file`] is the file, [`settings`] puts all
//! together and has the defaults.

mod file;
mod settings;
mod units;
mod upstream;
mod way;

pub(crate) use settings::{Ack, Given, Settings};
pub(crate) use upstream::{HostRule, NoRoute, Upstream, label};
