use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_platform_verifier::Verifier;

use super::{TlsConfig, TlsConfigError, TlsConfigProblem, TlsVersion};

const ROOTS: &str = "the list of trusted authorities";

/// The cryptography, for our own use only: the provider of the process is the application's business.
#[cfg(feature = "aws-lc-rs")]
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(not(feature = "aws-lc-rs"))]
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn versions(oldest: TlsVersion) -> Vec<&'static SupportedProtocolVersion> {
    match oldest {
        TlsVersion::V1_2 => vec![&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => vec![&rustls::version::TLS13],
    }
}

/// What rustls is given. Reads the platform's roots, unless they are not wanted.
pub(super) fn client_config(config: &TlsConfig) -> Result<Arc<ClientConfig>, TlsConfigError> {
    let provider = provider();
    let unsupported =
        |error| TlsConfigError::new("the TLS settings", TlsConfigProblem::Unsupported).caused_by(error);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(config.min_version))
        .map_err(unsupported)?
        .dangerous() // rustls' name for a verifier that is not its own default
        .with_custom_certificate_verifier(verifier(config, provider)?);
    let mut client = match &config.identity {
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())))
        }
        None => builder.with_no_client_auth(),
    };
    client.alpn_protocols = config.alpn.protocols();
    Ok(Arc::new(client))
}

fn verifier(
    config: &TlsConfig,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsConfigError> {
    #[cfg(feature = "danger-insecure-tls")]
    if config.accept_invalid {
        return Ok(Arc::new(super::insecure::BelieveAnybody::new(provider)));
    }
    let fail = |problem| TlsConfigError::new(ROOTS, problem);
    if !config.no_platform_roots {
        let verifier = Verifier::new_with_extra_roots(config.extra_roots.iter().cloned(), provider)
            .map_err(|error| fail(TlsConfigProblem::NoPlatformRoots).caused_by(error))?;
        return Ok(Arc::new(verifier));
    }
    let mut roots = RootCertStore::empty();
    for certificate in &config.extra_roots {
        roots
            .add(certificate.clone())
            .map_err(|error| fail(TlsConfigProblem::BadCertificate).caused_by(error))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| fail(TlsConfigProblem::BadCertificate).caused_by(error))?;
    Ok(verifier)
}

/// A name to ask for and to expect in the certificate: that of the settings, or the host of an address.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // A certificate never ends in the root's dot, and neither may SNI (RFC 6066 §3).
    let host = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}
