//! Scripted stand-ins for what is below your layers: [`MockDeliver`] for the delivery level, [`MockExchange`] for the
//! exchange level.
//!
//! Both answer from a queue of steps, then with a default; both record what they saw and when. Delays are in tokio's
//! time, so with paused time they take none. A step is taken by each call, in the order of the calls.

mod answer;
mod body;
mod deliver;
mod exchange;
mod outcome;
mod script;

pub use answer::Answer;
pub use body::MockBody;
pub use deliver::{MockDeliver, SeenParcel};
pub use exchange::{MockExchange, SeenExchange};
pub use outcome::Outcome;
