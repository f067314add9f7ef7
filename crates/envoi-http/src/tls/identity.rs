use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::SectionKind;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::sign::CertifiedKey;

use super::build::provider;
use super::{TlsConfigError, TlsConfigProblem, pem};

const CERTIFICATE: &str = "the client certificate";
const KEY: &str = "the client key";

/// A client certificate with its key, for servers that ask for one (mutual TLS). The key is checked to belong to the
/// certificate and is never shown.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// From PEM texts: the certificate, followed by the intermediate ones if there are any, and its key (PKCS #8,
    /// PKCS #1 or SEC 1). Both may be the same text.
    ///
    /// # Errors
    /// If a block is malformed, one of the two is missing or unusable, the key is protected by a password, or it belongs
    /// to another certificate. No error shows anything of the key.
    pub fn from_pem(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsConfigError> {
        Self::new(certificates(certificate.as_ref())?, private_key(key.as_ref())?)
    }

    /// From PEM files, which may be one and the same. Reads them here and now.
    ///
    /// # Errors
    /// If a file cannot be read, or as above; the error names the file.
    pub fn from_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let chain = pem::read(CERTIFICATE, certificate)
            .and_then(|pem| certificates(&pem))
            .map_err(|error| error.in_file(certificate))?;
        let private_key =
            pem::read(KEY, key).and_then(|pem| private_key(&pem)).map_err(|error| error.in_file(key))?;
        Self::new(chain, private_key).map_err(|error| {
            let is_chain = error.problem() == &TlsConfigProblem::BadCertificate;
            error.in_file(if is_chain { certificate } else { key })
        })
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsConfigError> {
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            let (what, problem) = match &error {
                rustls::Error::InconsistentKeys(_) => (KEY, TlsConfigProblem::KeyMismatch),
                rustls::Error::InvalidCertificate(_) => (CERTIFICATE, TlsConfigProblem::BadCertificate),
                _ => (KEY, TlsConfigProblem::BadKey),
            };
            TlsConfigError::new(what, problem).caused_by(error)
        })?;
        Ok(Self { certified: Arc::new(certified) })
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let chain: Vec<_> = pem::blocks(CERTIFICATE, text)?
        .into_iter()
        .filter(|block| block.kind == SectionKind::Certificate)
        .map(|block| CertificateDer::from(block.der))
        .collect();
    if chain.is_empty() {
        return Err(TlsConfigError::new(CERTIFICATE, TlsConfigProblem::NoCertificate));
    }
    Ok(chain)
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    if pem::is_encrypted(text) {
        return Err(TlsConfigError::new(KEY, TlsConfigProblem::EncryptedKey));
    }
    let key = pem::blocks(KEY, text)?.into_iter().find_map(|block| match block.kind {
        SectionKind::PrivateKey => Some(PrivatePkcs8KeyDer::from(block.der).into()),
        SectionKind::RsaPrivateKey => Some(PrivatePkcs1KeyDer::from(block.der).into()),
        SectionKind::EcPrivateKey => Some(PrivateSec1KeyDer::from(block.der).into()),
        _ => None,
    });
    key.ok_or_else(|| TlsConfigError::new(KEY, TlsConfigProblem::NoKey))
}

/// Shows nothing of the key (AU-7).
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.certified.cert.len()).finish_non_exhaustive()
    }
}
