//! The preset for generic JSON batches: [`batch()`] and its [builder](BatchBuilder).
//!
//! ```no_run
//! use std::time::Duration;
//!
//! #[derive(serde::Serialize)]
//! struct Run { name: &'static str, millis: u64 }
//!
//! let logger = envoi::batch("https://logs.example/v1/events")
//!     .bearer(&std::env::var("LOGS_TOKEN")?)
//!     .on_error(|error| eprintln!("not delivered: {error}"))
//!     .build()?;
//! logger.log(&Run { name: "import", millis: 7 })?; // from any thread; never waits
//!
//! let outcome = logger.shutdown_blocking(Duration::from_secs(5));
//! println!("{} delivered, {} lost", outcome.delivered, outcome.lost);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! # What it guarantees
//!
//! | | default | to change it |
//! |---|---|---|
//! | a batch leaves | with 20 events, or 5 s after the last flush (BD-8) | [`batch_events`](BatchBuilder::batch_events), [`flush_interval`](BatchBuilder::flush_interval) |
//! | its size | 1 MiB; a larger event is refused | [`batch_bytes`](BatchBuilder::batch_bytes) |
//! | events that wait | 1000 and 32 MiB; then the oldest give way (BD-8) | [`queue_events`](BatchBuilder::queue_events), [`queue_bytes`](BatchBuilder::queue_bytes) |
//! | attempts per batch, ever | 3 (BD-1) | [`attempts`](BatchBuilder::attempts) |
//! | waits between them | 100 ms, 400 ms, and up to 50 % more (BD-1) | [`schedule`](BatchBuilder::schedule) |
//! | what is tried again | network errors, timeouts, 5xx, 408, 429 (BD-2) | [`policy`](BatchBuilder::policy) |
//! | `Retry-After` of a 429, or a 408 or 5xx that has one | in seconds or as a date, up to 60 s (BD-3) | [`longest_server_wait`](BatchBuilder::longest_server_wait) |
//! | one attempt | 10 s (BD-6) | [`attempt_timeout`](BatchBuilder::attempt_timeout) |
//! | circuit breaker | 5 failed batches open it for 30 s, then one probe (BD-4) | [`breaker`](BatchBuilder::breaker) |
//! | 401, 403 of the server | nothing is sent any more in this process (BD-5) | |
//! | losses | a call of the handler for each, or one warning per process (BD-7) | [`on_error`](BatchBuilder::on_error) |
//! | batches on their way | 1 at a time | [`concurrency`](BatchBuilder::concurrency) |
//!
//! Nothing is lost without being counted: [`BatchTransport::ledger`] balances at every moment. No signal handler is
//! installed; shut down where your program ends (BD-9).
//!
//! # What it is made of
//!
//! [`BatchBuilder::build`] makes this stack behind a [`Batcher`] and runs it; everything in it is public. To leave the
//! preset, start from here:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use envoi::ExtraHeadersLayer;
//! use envoi::batch::{Batch, Batcher, BatcherConfig, Event, JsonArrayCodec};
//! use envoi::core::{Clock, Ledger};
//! use envoi::envelope::user_agent;
//! use envoi::http::client::{HttpClient, Resend, TcpConnector, Timeouts};
//! use envoi::http::proxy::{ForwardLayer, ProxyConfig, ProxyLayer};
//! use envoi::http::tls::{TlsConfig, TlsLayer};
//! use envoi::http::{AuthLayer, CompressLayer, EncodeLayer, Policy, bearer};
//! use envoi::layers::TokioClock;
//! use envoi::layers::breaker::BreakerLayer;
//! use envoi::layers::latch::LatchLayer;
//! use envoi::layers::on_error::OnErrorLayer;
//! use envoi::layers::outbox::{Capacity, MemoryStore, OutboxConfig, OutboxLayer};
//! use envoi::layers::retry::{RetryLayer, Schedule};
//! use http::{HeaderMap, Uri, header::USER_AGENT};
//! use tokio_util::sync::CancellationToken;
//! use tower::ServiceBuilder;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let url: Uri = "https://127.0.0.1:9/v1/events".parse()?;
//! let attempt = Duration::from_secs(10);
//! let (ledger, halt) = (Ledger::new(), CancellationToken::new());
//! let (breaker, latch) = (BreakerLayer::default(), LatchLayer::new()); // 5 failures, 30 s; keep clones to look at them
//! let on_error =
//!     OnErrorLayer::new(|error| eprintln!("not delivered: {error}")).final_when(|_| true).takes_unready();
//! let mut headers = HeaderMap::new();
//! headers.insert(USER_AGENT, user_agent("my-app/1.0"));
//! let proxies = ProxyConfig::from_env_for(&url)?;
//!
//! let connector = ServiceBuilder::new()
//!     // connect: Uri -> connection
//!     .layer(TlsLayer::new(&TlsConfig::new())?)
//!     .layer(ProxyLayer::new(proxies.clone()))
//!     .service(TcpConnector::new().any_scheme());
//! let outbox = ServiceBuilder::new()
//!     // delivery: Parcel<Batch> -> Receipt
//!     .layer(
//!         OutboxLayer::new(
//!             OutboxConfig::new()
//!                 .concurrency(1)
//!                 .ledger(ledger.clone())
//!                 .losses(on_error.hook().overflows())
//!                 .gate({
//!                     let latch = latch.clone();
//!                     move || !latch.is_tripped()
//!                 })
//!                 .halt_token(halt.clone()),
//!         )
//!         // what is bounded is the batcher in front
//!         .store(MemoryStore::new().capacity(Capacity::new(usize::MAX, usize::MAX)))
//!         .on_own_thread(),
//!     )
//!     .layer(on_error)
//!     // .layer(your delivery layer)
//!     .layer(breaker.clone())
//!     .layer(RetryLayer::new(Schedule::brief()).halt_on(halt.clone()).count_earlier_attempts())
//!     .layer(latch.clone())
//!     .layer(
//!         EncodeLayer::new(JsonArrayCodec::new(url))
//!             .policy(Policy::at_least_once())
//!             .body_timeout(attempt)
//!             .halt_on(halt)
//!             .clock(Arc::new(TokioClock)),
//!     )
//!     // exchange: http::Request -> http::Response
//!     .timeout(attempt)
//!     // .layer(your exchange layer)
//!     .layer(AuthLayer::new(bearer("s3cret")?))
//!     .layer(ExtraHeadersLayer::new(headers))
//!     .layer(CompressLayer::gzip())
//!     .layer(ForwardLayer::new(proxies))
//!     .service(
//!         HttpClient::builder()
//!             .connector(connector)
//!             .timeouts(Timeouts::new().attempt(Some(attempt)))
//!             .resend(Resend::Stale)
//!             .pool_max_idle_per_host(1)
//!             .build(),
//!     );
//!
//! // In front of it, one batcher that knows no time of its own:
//! let mut batcher = Batcher::new(BatcherConfig::default(), TokioClock.now());
//! batcher.push(Event::new("hello")?, TokioClock.now())?;
//! batcher.flush(TokioClock.now());
//! while let Some(batch) = batcher.poll(TokioClock.now()) {
//!     outbox.post(batch)?; // from any thread; never waits
//! }
//! # Ok(()) }
//! ```
//!
//! With a [disk buffer](BatchBuilder::disk_buffer) the store is a spool, `on_error` leaves to it what a shutdown interrupts
//! (`.cancelled_are_kept()`) and what is not final (`.final_when(|fault| !matches!(fault.kind(), Kind::Halted |
//! Kind::CircuitOpen))`), and the outbox holds what the breaker would refuse
//! (`.hold(move |now| breaker.refuses_until(now))`).

mod build;
mod builder;
mod driver;
mod error;
mod handle;
mod inner;
mod losses;
mod outcome;
#[cfg(feature = "metrics")]
mod publish;
mod queue;
mod receiver;
mod settings;
mod way;

pub use builder::BatchBuilder;
pub use driver::BatchDriver;
pub use error::{BatchBuildError, InvalidUrl};
pub use handle::BatchTransport;
pub use outcome::{BatchOutcome, BatchStats};
pub use receiver::{BatchEndpoint, BatchExchange, Credentials, Http, Receiver, Sink};

#[doc(no_inline)]
pub use envoi_batch::*;
#[doc(no_inline)]
pub use envoi_layers::breaker::{BreakerConfig, BreakerState};
#[doc(no_inline)]
pub use envoi_layers::on_error::DeliveryError;
#[doc(no_inline)]
pub use envoi_layers::retry::{Budget, Schedule};

use envoi_layers::breaker::Breaker;
use envoi_layers::latch::Latch;
use envoi_layers::on_error::OnError;
use envoi_layers::retry::Retry;

/// What stands below a delivery layer of yours in the preset, over the receiver `R`.
pub type BatchDelivery<R> = Breaker<Retry<Latch<R>>>;

/// What the driver runs: what reports losses, and below it `S`.
pub type BatchStack<S> = OnError<S>;

/// Begins a transport that posts JSON batches to `url`.
///
/// Whether the URL makes sense is said when the transport is built. Credentials do not belong into it.
///
/// ```
/// use envoi::batch::{BatchBuildError, InvalidUrl};
/// let error = envoi::batch("ftp://logs.example/").build().unwrap_err();
/// assert!(matches!(error, BatchBuildError::Url(InvalidUrl::Scheme)));
/// ```
pub fn batch(url: &str) -> BatchBuilder {
    BatchBuilder::new(url)
}
