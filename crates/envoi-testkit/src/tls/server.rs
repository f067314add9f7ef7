use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::{Authority, Certificate};

/// How a server speaks TLS: with which certificate, which versions, which protocols, and to whom.
#[derive(Clone, Debug)]
#[must_use = "it is given to a server"]
pub struct ServerTls {
    certificate: Certificate,
    client_ca: Option<String>,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
}

impl ServerTls {
    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, for everybody.
    pub fn new(certificate: Certificate) -> Self {
        let versions = vec![&rustls::version::TLS13, &rustls::version::TLS12];
        Self { certificate, client_ca: None, versions, alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()] }
    }

    /// Asks for a client certificate of this authority, and talks to nobody without one.
    pub fn require_client(mut self, authority: &Authority) -> Self {
        self.client_ca = Some(authority.pem().to_owned());
        self
    }

    /// Speaks TLS 1.2 only.
    pub fn only_tls12(mut self) -> Self {
        self.versions = vec![&rustls::version::TLS12];
        self
    }

    /// Speaks TLS 1.3 only.
    pub fn only_tls13(mut self) -> Self {
        self.versions = vec![&rustls::version::TLS13];
        self
    }

    /// The protocols that it knows, best first, like `h2`; with none it does not negotiate.
    pub fn alpn<'a>(mut self, protocols: impl IntoIterator<Item = &'a str>) -> Self {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    pub(crate) fn config(&self) -> io::Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .map_err(io::Error::other)?;
        let builder = match &self.client_ca {
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate(pem)?).map_err(io::Error::other)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(io::Error::other)?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let key =
            PrivateKeyDer::from_pem_slice(self.certificate.key_pem().as_bytes()).map_err(io::Error::other)?;
        let mut config = builder
            .with_single_cert(vec![certificate(self.certificate.pem())?], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(Arc::new(config))
    }
}

fn certificate(pem: &str) -> io::Result<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(io::Error::other)
}
