//! `envoi doctor`: walks the way from a DSN to an answer of its server, and says what is wrong where, and how to mend it.
//!
//! [`command`] has the arguments and the order of the walk. The walk itself is one exchange of the library, over the client
//! that the presets use: [`exam`] listens to its phases and sends a report without losses. What was found is decided by
//! pure functions: [`remedy`] about a fault, [`reply`] about what the server said, [`certificate`] about whom it showed.
//! [`sheet`] keeps the steps and shows them.

mod certificate;
mod command;
mod exam;
mod remedy;
mod reply;
mod sheet;

pub(crate) use command::{Args, run};
