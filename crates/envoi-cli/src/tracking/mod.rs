//! What became of one envelope: its [`Ticket`] travels with it through the transport, and comes to its end with it.
//!
//! The outcomes that a transport tells are by event id and without the words of the server, and not every envelope has
//! an id. So the ticket goes along in the extensions of the parcel. The [`TrackLayer`], in the slot for delivery layers,
//! notes on it what every attempt came to. When the parcel ceases to exist, wherever that is (delivered, given up,
//! pushed out, shut down), so does the ticket, and whoever waits for its end learns what was noted last.

mod layer;
mod ticket;

#[cfg(test)]
mod tests;

pub(crate) use layer::TrackLayer;
pub(crate) use ticket::{Glance, Progress, Stage, Ticket};
