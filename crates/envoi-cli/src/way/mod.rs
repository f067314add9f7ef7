//! The way to a server: what the options and the environment say of proxies and certificates, and the phases of an
//! attempt in words.

mod args;
mod choice;
mod phases;

pub(crate) use args::WayArgs;
pub(crate) use choice::{Choice, Why};
pub(crate) use phases::describe;
use phases::{Told, teller};
