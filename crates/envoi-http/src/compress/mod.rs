//! Request compression: gzip, deflate, Brotli, Zstandard (CO-1, CO-2).
//!
//! tower-http compresses responses and decompresses both; no library compresses requests, hence this layer. Three
//! ways, by the size of the body:
//!
//! | body | how | header |
//! |---|---|---|
//! | below 1 KiB ([`CompressLayer::min_size`]) | as it is: it would hardly shrink | `content-length` |
//! | up to 256 KiB ([`CompressLayer::offload_above`]) | at once, in `call` | `content-length` |
//! | up to 8 MiB ([`CompressLayer::stream_above`]) | on a blocking thread, then sent | `content-length` |
//! | larger | on blocking threads while it is sent, never more than two pieces in memory | chunked |
//!
//! A body that carries a `content-encoding` or a compressed `content-type` already, and one that turns out no smaller
//! (streams aside), is sent as it is. Encoders are kept and used again: setting one up costs more than compressing a
//! small body.
//!
//! Place it at the bottom, right above the client or the layer that decompresses replies. The service below takes a
//! [`RequestBody`](crate::RequestBody).
//!
//! ```
//! use envoi_core::Segments;
//! use envoi_http::{CompressLayer, RequestBody};
//! use http::{Request, Response};
//! use http_body::Body;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[cfg(feature = "gzip")]
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let stack = ServiceBuilder::new().layer(CompressLayer::gzip().level(6)).service(service_fn(
//!     |request: Request<RequestBody>| async move {
//!         assert_eq!(request.headers()["content-encoding"], "gzip");
//!         assert!(request.body().size_hint().exact().unwrap() < 500);
//!         Ok::<_, std::convert::Infallible>(Response::new(Segments::default()))
//!     },
//! ));
//! stack.oneshot(Request::post("http://localhost/").body(Segments::from("a".repeat(10_000))).unwrap()).await.unwrap();
//! # });
//! ```

mod choose;
mod encoder;
mod encoding;
mod future;
mod layer;
mod pool;
mod service;
mod stream;
#[cfg(test)]
mod tests;

pub use encoding::{Encoding, UnknownEncoding};
pub use future::CompressFuture;
pub use layer::CompressLayer;
pub use service::Compress;
