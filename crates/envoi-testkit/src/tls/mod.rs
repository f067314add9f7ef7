//! Certificates for tests, and what a server is told about TLS.
//!
//! An [`Authority`] is made on the spot and issues certificates: good ones, and such as are wrong in the ways in which
//! certificates are wrong in practice. [`ServerTls`] gives one to the ingest server.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use envoi_testkit::ingest::IngestServer;
//! use envoi_testkit::tls::{Authority, ServerTls};
//!
//! let authority = Authority::new("test CA");
//! let server = IngestServer::builder().tls(ServerTls::new(authority.for_localhost())).start().await?;
//! assert!(server.dsn().starts_with("https://"));
//! // A client that is given `authority.pem()` as its CA bundle can talk to it.
//! # Ok::<(), std::io::Error>(()) }).unwrap();
//! ```

mod authority;
mod server;

pub use authority::{Authority, Certificate, Validity};
pub use server::ServerTls;
