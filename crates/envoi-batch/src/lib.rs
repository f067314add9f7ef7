//! Generic JSON batches: events in, requests out, and nothing in between that waits, blocks or knows the time.
//!
//! | part | what it is |
//! |---|---|
//! | [`Event`] | one JSON value, serialised once, on the thread of the caller |
//! | [`Batcher`] | a bounded queue of events that says when a batch is due (BD-8) |
//! | [`Batch`] | some events on their way: a payload for every layer and every store of envoi |
//! | [`JsonArrayCodec`] | a batch as a `POST` of a JSON array, or of JSON lines |
//!
//! The preset `envoi::batch(url)` of the facade puts them together with retry, circuit breaker and the rest.
//!
//! ```
//! use std::time::Duration;
//! use envoi_batch::{Batcher, BatcherConfig, Event, JsonArrayCodec};
//! use envoi_core::{Clock, Codec, SystemClock};
//!
//! #[derive(serde::Serialize)]
//! struct Run { name: &'static str, millis: u64 }
//!
//! let start = SystemClock.now();
//! let mut batcher = Batcher::new(BatcherConfig::default(), start);
//! batcher.push(Event::new(&Run { name: "import", millis: 7 })?, start)?;
//! batcher.push(Event::from_json(r#"{"name":"export"}"#)?, start)?;
//!
//! assert!(batcher.poll(start).is_none(), "neither full nor old enough");
//! let batch = batcher.poll(start + Duration::from_secs(5)).unwrap();
//! let request = JsonArrayCodec::new("http://logs.example/v1/events".parse()?).encode(&batch)?;
//! assert_eq!(request.headers()["content-type"], "application/json");
//! assert_eq!(request.body().to_bytes(), r#"[{"name":"import","millis":7},{"name":"export"}]"#);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod batcher;
mod category;
mod codec;
mod config;
mod durable;
mod event;

pub use batch::Batch;
pub use batcher::{Batcher, Pushed, TooLarge};
pub use category::Category;
pub use codec::{EmptyBatch, Framing, JsonArrayCodec};
pub use config::BatcherConfig;
pub use durable::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MalformedBatch};
pub use event::{Event, EventError};
