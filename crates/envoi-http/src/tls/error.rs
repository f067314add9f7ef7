use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use envoi_core::BoxError;
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

/// Why TLS settings are of no use. Says which file and which block in it, and nothing of a key.
#[derive(Debug)]
pub struct TlsConfigError {
    what: &'static str,
    path: Option<PathBuf>,
    block: Option<usize>,
    problem: TlsConfigProblem,
    source: Option<BoxError>,
}

/// What is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsConfigProblem {
    /// The file cannot be read, see the source.
    Unreadable,
    /// The file is larger than any certificate or key: more than 16 MiB.
    TooLarge,
    /// A block of the PEM text is malformed, in this way.
    BadPem(String),
    /// There is no certificate in it.
    NoCertificate,
    /// A certificate is none, or of no use, see the source.
    BadCertificate,
    /// There is no private key in it.
    NoKey,
    /// The private key is none, or of a kind that is not supported, see the source.
    BadKey,
    /// The private key is protected by a password.
    EncryptedKey,
    /// The private key belongs to another certificate.
    KeyMismatch,
    /// The platform has no list of trusted authorities.
    NoPlatformRoots,
    /// The name for SNI is neither a DNS name nor an IP address.
    BadServerName(String),
    /// rustls refuses the combination, see the source.
    Unsupported,
}

impl TlsConfigError {
    pub(super) const fn new(what: &'static str, problem: TlsConfigProblem) -> Self {
        Self { what, path: None, block: None, problem, source: None }
    }

    pub(super) fn in_file(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    pub(super) const fn in_block(mut self, number: usize) -> Self {
        self.block = Some(number);
        self
    }

    pub(super) fn caused_by(mut self, error: impl Into<BoxError>) -> Self {
        self.source = Some(error.into());
        self
    }

    /// What is wrong.
    #[must_use]
    pub const fn problem(&self) -> &TlsConfigProblem {
        &self.problem
    }

    /// The file, if it was read from one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The block of the PEM text, counted from 1, if it is about one.
    #[must_use]
    pub const fn block(&self) -> Option<usize> {
        self.block
    }
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if let Some(path) = &self.path {
            write!(f, " in {}", path.display())?;
        }
        if let Some(block) = self.block {
            write!(f, ", block {block}")?;
        }
        f.write_str(": ")?;
        match &self.problem {
            TlsConfigProblem::Unreadable => f.write_str("the file cannot be read"),
            TlsConfigProblem::TooLarge => f.write_str("the file is larger than 16 MiB, is it the right one?"),
            TlsConfigProblem::BadPem(how) => write!(f, "not valid PEM, {how}"),
            TlsConfigProblem::NoCertificate => {
                f.write_str("no certificate found, expected a block `-----BEGIN CERTIFICATE-----`")
            }
            TlsConfigProblem::BadCertificate => f.write_str("not a usable certificate"),
            TlsConfigProblem::NoKey => {
                f.write_str("no private key found, expected a block `-----BEGIN PRIVATE KEY-----`")
            }
            TlsConfigProblem::BadKey => f.write_str("not a usable private key (RSA, ECDSA or Ed25519)"),
            TlsConfigProblem::EncryptedKey => {
                f.write_str("the private key is protected by a password, decrypt it with `openssl pkey`")
            }
            TlsConfigProblem::KeyMismatch => f.write_str("the private key belongs to another certificate"),
            TlsConfigProblem::NoPlatformRoots => f.write_str(
                "none found on this system, install its certificates (ca-certificates) or give a CA bundle",
            ),
            TlsConfigProblem::BadServerName(name) => {
                write!(f, "`{}` is neither a DNS name nor an IP address", name.escape_debug())
            }
            TlsConfigProblem::Unsupported => f.write_str("not supported in this combination"),
        }
    }
}

impl Error for TlsConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What went wrong between a client and a server that tried to speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsProblem {
    /// The server's certificate is past its end.
    Expired,
    /// The server's certificate is for later.
    NotYetValid,
    /// The server's certificate is for other names.
    WrongName,
    /// The server's certificate was issued by nobody who is believed here.
    UnknownIssuer,
    /// The server's certificate was revoked.
    Revoked,
    /// The server's certificate is unusable in another way.
    BadCertificate,
    /// The server asks for a client certificate and got none.
    ClientCertificateRequired,
    /// The server refuses the client certificate.
    ClientCertificateRefused,
    /// The two have no version of TLS in common.
    NoCommonVersion,
    /// The two have no cipher suite in common, or the server says no more than that.
    NoCommonParameters,
    /// The two have no protocol for HTTP in common.
    NoCommonProtocol,
    /// The server does not know the name that was asked for.
    UnknownName,
    /// The host of the address is no name that a certificate could have.
    BadName,
    /// What answers does not speak TLS.
    NotTls,
    /// The connection ended in the middle.
    Cut,
    /// Something else, see the source.
    Other,
}

impl TlsProblem {
    /// What a server may say, see [`refusal`].
    const REFUSALS: [Self; 6] = [
        Self::ClientCertificateRequired,
        Self::ClientCertificateRefused,
        Self::NoCommonVersion,
        Self::NoCommonParameters,
        Self::NoCommonProtocol,
        Self::UnknownName,
    ];

    /// What is wrong and what to do about it, in plain words.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Expired => {
                "the server's certificate has expired: renew it on the server, or set the clock of this machine"
            }
            Self::NotYetValid => {
                "the server's certificate is not valid yet: set the clock of this machine, or wait for it"
            }
            Self::WrongName => {
                "the server's certificate is for other names: use one of its names in the address, or set the \
                 expected server name"
            }
            Self::UnknownIssuer => {
                "the server's certificate was issued by an authority that is not trusted here: give its CA \
                 certificate, or have the server send the intermediate certificates"
            }
            Self::Revoked => "the server's certificate was revoked: the server needs a new one",
            Self::BadCertificate => "the server's certificate is unusable: the server needs a new one",
            Self::ClientCertificateRequired => {
                "the server asks for a client certificate: give a certificate and its key"
            }
            Self::ClientCertificateRefused => {
                "the server refused the client certificate: it may have expired, or come from an authority that the \
                 server does not trust"
            }
            Self::NoCommonVersion => {
                "client and server have no TLS version in common: the server needs TLS 1.2 or later, or the minimum \
                 version that is set here is too high"
            }
            Self::NoCommonParameters => {
                "client and server could not agree on how to speak TLS: the server may have outdated ciphers only, or \
                 want a client certificate"
            }
            Self::NoCommonProtocol => {
                "client and server have no version of HTTP in common: offer both HTTP/2 and HTTP/1.1"
            }
            Self::UnknownName => {
                "the server does not know the name that was asked for: check the host in the address, or set the \
                 expected server name"
            }
            Self::BadName => {
                "the host is not a name that a certificate can be for: set the expected server name"
            }
            Self::NotTls => {
                "what answers does not speak TLS: is it a plain http port, or a proxy in between?"
            }
            Self::Cut => "the connection ended in the middle of the handshake",
            Self::Other => "see the cause",
        }
    }
}

const NO_TLS: &str = "no TLS with";

/// A TLS handshake that failed, or that the server refused right after it.
#[derive(Debug)]
pub struct TlsError {
    host: String,
    problem: TlsProblem,
    source: Option<BoxError>,
}

impl TlsError {
    pub(super) fn bad_name(host: String) -> Self {
        Self { host, problem: TlsProblem::BadName, source: None }
    }

    pub(super) fn no_common_protocol(host: String) -> Self {
        Self { host, problem: TlsProblem::NoCommonProtocol, source: None }
    }

    pub(super) fn handshake(host: String, error: io::Error) -> Self {
        let found = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let problem = found.map_or(TlsProblem::Cut, diagnose);
        Self { host, problem, source: Some(error.into()) }
    }

    /// What went wrong.
    #[must_use]
    pub const fn problem(&self) -> TlsProblem {
        self.problem
    }

    /// With whom: host and port of the server, or of the proxy.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NO_TLS} {}: {}", self.host, self.problem.advice())
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What an error of rustls means. Pure.
pub(super) fn diagnose(error: &rustls::Error) -> TlsProblem {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(error) => certificate(error),
        Tls::AlertReceived(alert) => refusal(*alert).unwrap_or(TlsProblem::Other),
        // A record of an unknown kind or version is what bytes of another protocol look like.
        Tls::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => TlsProblem::NotTls,
        Tls::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => TlsProblem::NoCommonVersion,
        Tls::PeerIncompatible(_) => TlsProblem::NoCommonParameters,
        Tls::NoApplicationProtocol => TlsProblem::NoCommonProtocol,
        Tls::NoCertificatesPresented => TlsProblem::BadCertificate,
        _ => TlsProblem::Other,
    }
}

fn certificate(error: &CertificateError) -> TlsProblem {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsProblem::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsProblem::WrongName
        }
        CertificateError::UnknownIssuer => TlsProblem::UnknownIssuer,
        CertificateError::Revoked => TlsProblem::Revoked,
        // A self-signed certificate that calls itself an authority, as `openssl req -x509` makes them: nobody else
        // vouches for it.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            TlsProblem::UnknownIssuer
        }
        _ => TlsProblem::BadCertificate,
    }
}

/// The alerts by which a server refuses a handshake. In TLS 1.3 it does so after the client has finished, so that they
/// are found by whoever reads the reply.
fn refusal(alert: AlertDescription) -> Option<TlsProblem> {
    Some(match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            TlsProblem::ClientCertificateRequired
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => TlsProblem::ClientCertificateRefused,
        AlertDescription::ProtocolVersion | AlertDescription::InappropriateFallback => {
            TlsProblem::NoCommonVersion
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            TlsProblem::NoCommonParameters
        }
        AlertDescription::NoApplicationProtocol => TlsProblem::NoCommonProtocol,
        AlertDescription::UnrecognisedName => TlsProblem::UnknownName,
        _ => return None,
    })
}

/// Makes the refusal of a handshake that came after it (RFC 8446 §4.4.2.4) the same error as one that came in it. Another
/// failure of an established connection is left as it is.
pub(super) fn refused_late(host: &str, error: io::Error) -> io::Error {
    let alert = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => return error,
    };
    match refusal(alert) {
        Some(problem) => io::Error::new(
            error.kind(),
            TlsError { host: host.to_owned(), problem, source: Some(error.into()) },
        ),
        None => error,
    }
}

/// The words for a failed handshake, if this is one.
///
/// The library for HTTP/2 passes on nothing but the text of what it read from the connection, so the text must do.
pub(crate) fn handshake_failure(error: &(dyn Error + 'static)) -> Option<String> {
    if error.is::<TlsError>() {
        return Some(error.to_string());
    }
    let text = error.downcast_ref::<io::Error>()?.get_ref()?.to_string();
    (text.starts_with(NO_TLS) && TlsProblem::REFUSALS.iter().any(|problem| text.ends_with(problem.advice())))
        .then_some(text)
}
