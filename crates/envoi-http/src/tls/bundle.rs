use std::fmt;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::SectionKind;

use super::{TlsConfigError, TlsConfigProblem, pem};

const WHAT: &str = "the CA bundle";

/// Certificates of authorities to believe, read and checked.
#[derive(Clone)]
pub struct CaBundle {
    certificates: Vec<CertificateDer<'static>>,
}

impl CaBundle {
    /// From PEM text with one or more certificates. Other blocks and text between them are ignored.
    ///
    /// # Errors
    /// If a block is malformed, a certificate is none, or there is none at all.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, TlsConfigError> {
        let pem = pem.as_ref();
        let mut certificates = Vec::new();
        for block in pem::blocks(WHAT, pem)? {
            if block.kind == SectionKind::Certificate {
                let certificate = CertificateDer::from(block.der);
                check(&certificate).map_err(|error| error.in_block(block.number))?;
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            return Err(TlsConfigError::new(WHAT, TlsConfigProblem::NoCertificate));
        }
        Ok(Self { certificates })
    }

    /// From one certificate as DER.
    ///
    /// # Errors
    /// If it is no certificate.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, TlsConfigError> {
        let certificate = CertificateDer::from(der.into());
        check(&certificate)?;
        Ok(Self { certificates: vec![certificate] })
    }

    /// From a file of either form. Reads the file here and now.
    ///
    /// # Errors
    /// If the file cannot be read, or as above; the error names the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        let path = path.as_ref();
        let content = pem::read(WHAT, path)?;
        // What is neither is most likely meant to be PEM.
        let bundle = if content.first() == Some(&0x30) && !pem::is_pem(&content) {
            Self::from_der(content)
        } else {
            Self::from_pem(content)
        };
        bundle.map_err(|error| error.in_file(path))
    }

    pub(super) fn into_certificates(self) -> Vec<CertificateDer<'static>> {
        self.certificates
    }
}

/// Whether it can be an anchor of trust.
fn check(certificate: &CertificateDer<'static>) -> Result<(), TlsConfigError> {
    RootCertStore::empty()
        .add(certificate.clone())
        .map_err(|error| TlsConfigError::new(WHAT, TlsConfigProblem::BadCertificate).caused_by(error))
}

impl fmt::Debug for CaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaBundle").field("certificates", &self.certificates.len()).finish()
    }
}
