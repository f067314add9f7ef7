//! The exchange level of envoi: encode, auth, compress, policies, and the hyper client at the core.
//!
//! A telemetry transport is a stack of services. Above are layers about parcels (queues, retries, filters); this
//! crate begins where a parcel becomes a request and ends where bytes leave the process. Each concern is one layer,
//! and tower's and tower-http's layers stand between ours without an adapter:
//!
//! ```
//! use envoi_core::{BoxError, Codec, Deliver, Failure, Parcel, Payload, Segments, Weight};
//! use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, HttpClient, Policy, bearer};
//! use http::header::{AUTHORIZATION, COOKIE, HeaderValue, USER_AGENT};
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, timeout::TimeoutLayer};
//! use tower_http::{
//!     decompression::DecompressionLayer, sensitive_headers::SetSensitiveRequestHeadersLayer,
//!     set_header::SetRequestHeaderLayer, trace::TraceLayer,
//! };
//!
//! struct Report(String);
//! impl Payload for Report {
//!     fn weight(&self) -> Weight { Weight { items: 1, bytes: self.0.len() } }
//! }
//!
//! struct ReportCodec { url: String }
//! impl Codec<Report> for ReportCodec {
//!     fn encode(&self, report: &Report) -> Result<http::Request<Segments>, BoxError> {
//!         let request = http::Request::post(&self.url).header("content-type", "application/json");
//!         Ok(request.body(report.0.clone().into())?)
//!     }
//! }
//!
//! fn transport(url: String, token: &str) -> Result<impl Deliver<Report> + Clone, BoxError> {
//!     Ok(ServiceBuilder::new()
//!         // delivery level: Service<Parcel<Report>>
//!         .layer(EncodeLayer::new(ReportCodec { url }).policy(Policy::at_least_once()))
//!         // exchange level: Service<http::Request<_>>
//!         .layer(ConcurrencyLimitLayer::new(8))
//!         .layer(TimeoutLayer::new(Duration::from_secs(10)))
//!         .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION, COOKIE]))
//!         .layer(TraceLayer::new_for_http())
//!         .layer(AuthLayer::new(bearer(token)?))
//!         .layer(SetRequestHeaderLayer::overriding(USER_AGENT, HeaderValue::from_static("my-app/1.0")))
//!         .layer(CompressLayer::gzip().level(5))
//!         .layer(DecompressionLayer::new())
//!         // connect level: inside
//!         .service(HttpClient::new_http()))
//! }
//!
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let url = format!("http://{}/reports", listener.local_addr()?);
//! # let server = tokio::spawn(async move {
//! #     let (mut stream, _) = listener.accept().await.unwrap();
//! #     let mut seen = vec![];
//! #     while !seen.ends_with(b"{\"answer\":42}") { seen.push(stream.read_u8().await.unwrap()); }
//! #     stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\n{\"id\":\"7\"}").await.unwrap();
//! #     String::from_utf8(seen).unwrap()
//! # });
//! let transport = transport(url, "s3cret")?;
//! let parcel = Parcel::new(Report(r#"{"answer":42}"#.into()));
//! let receipt = transport.oneshot(parcel).await.map_err(Into::<Failure<_>>::into)?; // would hand the parcel back
//! let reply = receipt.into_reply().unwrap();
//! assert_eq!(reply.status, 202);
//! assert_eq!(envoi_http::accepted_id(&reply).as_deref(), Some("7"));
//! # let seen = server.await?;
//! # assert!(seen.contains("authorization: Bearer s3cret\r\n") && seen.contains("user-agent: my-app/1.0\r\n"));
//! # assert!(seen.contains("content-length: 13\r\n") && !seen.contains("content-encoding"));
//! # Ok::<(), BoxError>(())
//! # })?;
//! # Ok::<(), BoxError>(())
//! ```
//!
//! # The order, and why
//!
//! | layer | place |
//! |---|---|
//! | [`Encode`] | above every layer that cancels: it holds the parcel and hands it back |
//! | `ConcurrencyLimit` | above `Timeout`, so that waiting for a permit does not use up the attempt's time |
//! | `Timeout` | bounds what is below it. The client has [limits of its own](client#time), which say in which phase they were passed; the body of a reply has [its deadline](EncodeLayer::body_timeout) |
//! | sensitive headers, `Trace` | above [`Auth`], so that a trace sees no credentials; ours are marked sensitive anyway (AU-7) |
//! | [`Auth`], user agent, your headers | anywhere above the client |
//! | [`Compress`] | last: what it makes is not to be changed any more |
//! | `Decompression` | next to the client, so that everybody above reads plain replies |
//!
//! The user agent is a header like any other: `{sdk}/{version} (comments)`, and nothing about the user (AU-5).
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `client` | yes | [`HttpClient`] on hyper: HTTP/1.1 and HTTP/2 |
//! | `tls` | no | the connector for `https`: rustls, the platform's roots, ring |
//! | `aws-lc-rs` | no | the same with AWS-LC for the cryptography, which builds C |
//! | `danger-insecure-tls` | no | a setting that believes every certificate, for experiments |
//! | `proxy` | no | `ProxyLayer` and `ForwardLayer`: HTTP proxies, by environment or by name |
//! | `socks` | no | SOCKS proxies, too |
//! | `gzip` | yes | gzip and deflate, in pure Rust |
//! | `br` | no | Brotli |
//! | `zstd` | no | Zstandard, builds C |
//! | `tracing` | yes | events about refusals, with the server's words |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(all(feature = "client", feature = "gzip")), allow(rustdoc::broken_intra_doc_links))]

pub mod auth;
mod body;
#[cfg(feature = "client")]
pub mod client;
pub mod compress;
pub mod encode;
pub mod policy;
#[cfg(feature = "proxy")]
#[cfg_attr(docsrs, doc(cfg(feature = "proxy")))]
pub mod proxy;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub mod tls;

pub use auth::{Auth, AuthLayer, Authorize, HeaderAuth, InvalidCredential, QueryAuth, bearer};
pub use body::{BodyError, RequestBody};
#[cfg(feature = "client")]
pub use client::HttpClient;
pub use compress::{Compress, CompressLayer, Encoding};
pub use encode::{Encode, EncodeLayer};
pub use policy::{Action, Policy, accepted_id, classify, explain, retry_after};
