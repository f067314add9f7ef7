//! Collects logs, metrics and spans into containers (TP-1, TP-4, IT-1).
//!
//! Data of high volume does not travel alone: it is collected and sent in containers. [`Batcher`] is the state machine
//! for that, without clock, thread or I/O: it is given serialised items and the time, and gives back envelopes.
//!
//! * A container is ready when it is full (100 logs, 100 metrics, 1000 spans, or its bytes), or 5 s after its **first**
//!   item; later items do not put that off. [`Batcher::deadline`] says when to come back.
//! * One container per envelope (IT-1). Spans of one trace make a container, and the trace's dynamic sampling context is
//!   the `trace` header of its envelope.
//! * What is not fetched in time is bounded, in items and in bytes. On overflow the oldest logs and metrics make room one
//!   by one, spans by whole traces, because half a trace is worth little. Losses are recorded as `queue_overflow`.
//! * An item is not read beyond what it takes to know that it is one JSON object; a fault in one would otherwise cost
//!   its neighbours in the container.
//!
//! All numbers are in [`BatchConfig`].
//!
//! ```
//! use std::time::Duration;
//! use envoi_core::{Clock, SystemClock};
//! use envoi_envelope::batch::{BatchConfig, Batcher};
//!
//! let start = SystemClock.now();
//! let mut batcher = Batcher::new(BatchConfig::default(), ());
//! batcher.push_log(r#"{"level":"info","body":"one"}"#, start)?;
//! batcher.push_log(r#"{"level":"info","body":"two"}"#, start + Duration::from_secs(4))?;
//!
//! assert!(batcher.poll(start + Duration::from_secs(4)).is_none());
//! assert_eq!(batcher.deadline(), Some(start + Duration::from_secs(5)));
//! let envelope = batcher.poll(start + Duration::from_secs(5)).unwrap();
//! let item = &envelope.items()[0];
//! assert_eq!(item.item_count(), Some(2));
//! assert_eq!(
//!     item.payload().as_ref(),
//!     br#"{"version":2,"items":[{"level":"info","body":"one"},{"level":"info","body":"two"}]}"#,
//! );
//! # Ok::<_, envoi_envelope::batch::Refused>(())
//! ```

mod batcher;
mod buffer;
mod config;
mod container;
mod item;

pub use batcher::Batcher;
pub use config::{BatchConfig, BatchLimits};
pub use item::{Refused, RefusedKind};
