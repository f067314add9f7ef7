use std::error::Error;
use std::fmt;

/// Which part of a DSN is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DsnErrorKind {
    /// There is nothing.
    Empty,
    /// It has more than 4096 bytes.
    TooLong,
    /// There is no `://`.
    MissingScheme,
    /// The scheme is neither `http` nor `https`.
    UnsupportedScheme,
    /// There is no public key.
    MissingPublicKey,
    /// The public key has characters that must be escaped.
    InvalidPublicKey,
    /// The secret key has characters that must be escaped.
    InvalidSecretKey,
    /// There is no host.
    MissingHost,
    /// The host is neither a name nor an address.
    InvalidHost,
    /// The port is not a number from 1 to 65535.
    InvalidPort,
    /// The path has characters that must be escaped, or `.` or `..` as a part.
    InvalidPath,
    /// There is no project id.
    MissingProjectId,
    /// The project id has characters that must be escaped, or is `.` or `..`.
    InvalidProjectId,
    /// There is a query or a fragment.
    UnexpectedQuery,
}

impl DsnErrorKind {
    /// A stable name for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::MissingScheme => "missing_scheme",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::MissingPublicKey => "missing_public_key",
            Self::InvalidPublicKey => "invalid_public_key",
            Self::InvalidSecretKey => "invalid_secret_key",
            Self::MissingHost => "missing_host",
            Self::InvalidHost => "invalid_host",
            Self::InvalidPort => "invalid_port",
            Self::InvalidPath => "invalid_path",
            Self::MissingProjectId => "missing_project_id",
            Self::InvalidProjectId => "invalid_project_id",
            Self::UnexpectedQuery => "unexpected_query",
        }
    }

    const fn describe(self) -> &'static str {
        const {
            assert!(super::parse::MAX_BYTES == 4096, "the text below names the number");
        }
        match self {
            Self::Empty => "the DSN is empty",
            Self::TooLong => "the DSN has more than 4096 bytes",
            Self::MissingScheme => "the DSN has no scheme",
            Self::UnsupportedScheme => "the scheme of the DSN is neither http nor https",
            Self::MissingPublicKey => "the DSN has no public key",
            Self::InvalidPublicKey => "the public key of the DSN has characters that must be percent-encoded",
            Self::InvalidSecretKey => "the secret key of the DSN has characters that must be percent-encoded",
            Self::MissingHost => "the DSN has no host",
            Self::InvalidHost => {
                "the host of the DSN is neither a name in ASCII nor an IPv4 address nor an IPv6 address in brackets"
            }
            Self::InvalidPort => "the port of the DSN is not a number from 1 to 65535",
            Self::InvalidPath => "the path of the DSN has characters that must be percent-encoded",
            Self::MissingProjectId => "the DSN has no project id",
            Self::InvalidProjectId => "the project id of the DSN has characters that must be percent-encoded",
            Self::UnexpectedQuery => "the DSN has a query or a fragment, which it cannot have",
        }
    }
}

/// Why a text is not a DSN. Never shows the text: it may hold a secret (AU-6, AU-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DsnError {
    kind: DsnErrorKind,
}

impl DsnError {
    pub(super) const fn new(kind: DsnErrorKind) -> Self {
        Self { kind }
    }

    /// Which part is malformed, and how.
    #[must_use]
    pub const fn kind(self) -> DsnErrorKind {
        self.kind
    }
}

impl fmt::Display for DsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.describe())?;
        f.write_str("; expected {scheme}://{public key}@{host}/{project id}")
    }
}

impl Error for DsnError {}
