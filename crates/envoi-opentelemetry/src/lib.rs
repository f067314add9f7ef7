//! The OTLP exporters of the [OpenTelemetry](https://docs.rs/opentelemetry-otlp) crates over a stack of envoi.
//!
//! An exporter takes any `opentelemetry_http::HttpClient`. [`OtlpClient`] is one over a stack that you put together:
//! at the exchange level for credentials, compression, proxy and TLS; at the delivery level for retries, a circuit
//! breaker, a queue as well. What the exporter gets back is the server's real answer.
//!
//! ```
//! use envoi_http::{CompressLayer, HttpClient};
//! use envoi_opentelemetry::{Background, OtlpClient};
//! use opentelemetry_otlp::{LogExporter, SpanExporter, WithExportConfig, WithHttpConfig};
//! use opentelemetry_sdk::{logs::SdkLoggerProvider, trace::SdkTracerProvider};
//! use tower::ServiceBuilder;
//!
//! let exchange = ServiceBuilder::new().layer(CompressLayer::gzip()).service(HttpClient::new_http());
//! let client = OtlpClient::exchange(exchange, Background::spawn()?);
//! let (spans, logs) = (SpanExporter::builder().with_http(), LogExporter::builder().with_http());
//! let spans = spans.with_http_client(client.clone()).with_endpoint("http://localhost:4318/v1/traces").build()?;
//! let logs = logs.with_http_client(client).with_endpoint("http://localhost:4318/v1/logs").build()?;
//! let traces = SdkTracerProvider::builder().with_batch_exporter(spans).build();
//! let logs = SdkLoggerProvider::builder().with_batch_exporter(logs).build();
//! # traces.shutdown()?;
//! # logs.shutdown()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `https`, private CAs, client certificates and proxies are the connector's:
//!
//! ```
//! use envoi_http::HttpClient;
//! use envoi_http::client::TcpConnector;
//! use envoi_http::proxy::{ForwardLayer, ProxyConfig, ProxyLayer};
//! use envoi_http::tls::{TlsConfig, TlsLayer};
//! use tower::ServiceBuilder;
//!
//! let proxies = ProxyConfig::from_env()?;
//! let connector = ServiceBuilder::new()
//!     .layer(TlsLayer::new(&TlsConfig::new())?)
//!     .layer(ProxyLayer::new(proxies.clone()))
//!     .service(TcpConnector::new().any_scheme());
//! let exchange = ServiceBuilder::new()
//!     .layer(ForwardLayer::new(proxies))
//!     .service(HttpClient::builder().connector(connector).build());
//! # let _ = envoi_opentelemetry::OtlpClient::exchange(exchange, envoi_opentelemetry::Background::spawn()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * Exporters send from threads without a runtime; requests therefore run in a [`Background`]: a thread of its own, or
//!   the application's runtime.
//! * [`OtlpClient::exchange`] limits a request to 10 s and an answer to 4 MiB, as an `HttpClient` is to do itself.
//! * [`OtlpClient::delivery`] carries each request as a parcel with an [`OtlpRequest`], and says how outcomes become
//!   answers.
//! * Compress in one place: in the stack (`Compress` leaves alone what has a `content-encoding`), or in the exporter.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod background;
mod client;
mod request;

pub use background::Background;
pub use client::{FATE_HEADER, OtlpClient};
pub use request::{OtlpCodec, OtlpRequest, Signal};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
