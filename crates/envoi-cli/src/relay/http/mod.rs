//! The server: HTTP/1.1, which is what SDKs speak without TLS.
//!
//! [`server`] bounds connections, [`router`] finds who answers, [`intake`] takes envelopes on: [`credentials`],
//! [`body`], [`decode`], and a place in a queue. What is not taken on is a [`Refusal`], said as Sentry says it
//! ([`reply`]).

mod body;
mod credentials;
mod decode;
mod intake;
mod refusal;
mod reply;
mod route;
mod router;
mod server;

use refusal::Refusal;
pub(super) use server::serve;
