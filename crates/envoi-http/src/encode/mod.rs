//! The bridge between delivery and exchange: a parcel becomes a request, a reply becomes a receipt or a fault.
//!
//! [`Encode`] is given a [`Codec`](envoi_core::Codec) and stands on any [`Exchange`](envoi_core::Exchange). It keeps
//! the parcel while the exchange runs, so that every failure hands it back, even when a layer below cancelled the
//! call. Layers that cancel (timeouts, hedges) therefore belong below it.
//!
//! What it does with a reply:
//!
//! * It keeps the first 64 KiB of the body ([`EncodeLayer::keep`]) and reads on up to 1 MiB more
//!   ([`EncodeLayer::drain`]), because a connection is reused only after the body has been read (TR-9).
//! * The body has a deadline of its own ([`EncodeLayer::body_timeout`]): the attempt's timeout below ends with the
//!   head of the reply.
//! * A status, once received, counts (decision 17). If the body breaks off, is late or too long, the reply is marked
//!   `truncated` and judged by its status.
//! * The verdict is the [`Policy`](crate::Policy)'s.
//!
//! ```
//! use envoi_core::{BoxError, Codec, Fate, Parcel, Payload, Segments, Weight};
//! use envoi_http::{EncodeLayer, Policy};
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! struct Line(&'static str);
//! impl Payload for Line {
//!     fn weight(&self) -> Weight { Weight { items: 1, bytes: self.0.len() } }
//! }
//! struct PlainText;
//! impl Codec<Line> for PlainText {
//!     fn encode(&self, line: &Line) -> Result<Request<Segments>, BoxError> {
//!         Ok(Request::post("http://localhost/lines").body(line.0.into())?)
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let stack = ServiceBuilder::new()
//!     .layer(EncodeLayer::new(PlainText).policy(Policy::at_least_once()))
//!     .service(service_fn(|request: Request<Segments>| async move {
//!         let status = if request.body().len() < 8 { StatusCode::OK } else { StatusCode::PAYLOAD_TOO_LARGE };
//!         Response::builder().status(status).body(Segments::default())
//!     }));
//!
//! let receipt = stack.clone().oneshot(Parcel::new(Line("short"))).await.unwrap();
//! assert_eq!(receipt.fate(), Fate::Delivered);
//!
//! let failure = stack.oneshot(Parcel::new(Line("far too long"))).await.unwrap_err();
//! assert_eq!(failure.fault().status(), Some(StatusCode::PAYLOAD_TOO_LARGE));
//! assert_eq!(failure.into_parcel().unwrap().payload().0, "far too long"); // handed back
//! # });
//! ```

mod future;
mod layer;
mod log;
mod reading;
mod service;
#[cfg(test)]
mod tests;

pub use future::EncodeFuture;
pub use layer::EncodeLayer;
pub use service::Encode;
