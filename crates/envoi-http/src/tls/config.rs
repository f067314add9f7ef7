use std::fmt;

use rustls::pki_types::CertificateDer;

use super::{CaBundle, Identity};

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246). There is nothing older: RFC 8996 deprecates it, and rustls does not have it.
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// Which protocols are offered to the server (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alpn {
    /// HTTP/2 and HTTP/1.1: the server chooses.
    #[default]
    Both,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only. A server without it is an error.
    Http2,
}

impl Alpn {
    pub(super) fn protocols(self) -> Vec<Vec<u8>> {
        let (h2, h1) = (b"h2".to_vec(), b"http/1.1".to_vec());
        match self {
            Self::Both => vec![h2, h1],
            Self::Http1 => vec![h1],
            Self::Http2 => vec![h2],
        }
    }
}

/// How TLS is spoken, and who is believed. Plain settings; [`TlsLayer::new`](super::TlsLayer::new) acts on them.
///
/// ```
/// use envoi_http::tls::{Alpn, TlsConfig, TlsVersion};
/// let config = TlsConfig::new().min_version(TlsVersion::V1_3).alpn(Alpn::Http1).server_name("ingest.internal");
/// # let _ = config;
/// ```
#[derive(Clone, Default)]
#[must_use = "settings do nothing until a layer is made of them"]
pub struct TlsConfig {
    pub(super) extra_roots: Vec<CertificateDer<'static>>,
    pub(super) no_platform_roots: bool,
    pub(super) identity: Option<Identity>,
    pub(super) min_version: TlsVersion,
    pub(super) alpn: Alpn,
    pub(super) server_name: Option<String>,
    #[cfg(feature = "danger-insecure-tls")]
    pub(super) accept_invalid: bool,
}

impl TlsConfig {
    /// The platform's roots, TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes these authorities, too (TR-5). May be called more than once.
    pub fn ca(mut self, bundle: CaBundle) -> Self {
        self.extra_roots.extend(bundle.into_certificates());
        self
    }

    /// Believes these authorities and, from now on, none of the platform's (TR-5).
    pub fn only_ca(mut self, bundle: CaBundle) -> Self {
        self.no_platform_roots = true;
        self.ca(bundle)
    }

    /// Shows this certificate to servers that ask for one (TR-5).
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The oldest version that is spoken. Default TLS 1.2.
    pub const fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Which protocols are offered. Default HTTP/2 and HTTP/1.1.
    pub const fn alpn(mut self, alpn: Alpn) -> Self {
        self.alpn = alpn;
        self
    }

    /// Asks for this name (SNI, RFC 6066 §3) and expects it in the certificate, instead of the host of the address.
    ///
    /// For servers that are reached by an IP address or through a tunnel.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The same for a proxy on the way to the server: the expected name is the server's alone, and so is HTTP/2.
    #[cfg(feature = "proxy")]
    pub(crate) fn for_proxy(&self) -> Self {
        Self { server_name: None, alpn: Alpn::Http1, ..self.clone() }
    }

    /// Believes everybody. **Anybody between here and the server can read and change everything, credentials
    /// included.** For experiments on your own machine; [`TlsConfig::ca`] is the way to trust a certificate of your own.
    #[cfg(feature = "danger-insecure-tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "danger-insecure-tls")))]
    pub const fn danger_accept_invalid_certs(mut self) -> Self {
        self.accept_invalid = true;
        self
    }
}

/// Shows no keys (AU-7).
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TlsConfig");
        debug
            .field("extra_roots", &self.extra_roots.len())
            .field("platform_roots", &!self.no_platform_roots)
            .field("identity", &self.identity)
            .field("min_version", &self.min_version)
            .field("alpn", &self.alpn)
            .field("server_name", &self.server_name);
        #[cfg(feature = "danger-insecure-tls")]
        debug.field("accept_invalid", &self.accept_invalid);
        debug.finish()
    }
}
