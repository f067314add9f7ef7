#![allow(clippy::expect_used, reason = "a test whose certificates cannot be made has failed")]

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validity {
    /// Now.
    #[default]
    Current,
    /// It has expired.
    Past,
    /// It is for later.
    Future,
}

/// Somebody who issues certificates, for the time of a test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Certificate {
    pem: String,
    key: String,
}

impl Authority {
    /// An authority with a key of its own.
    ///
    /// # Panics
    /// If the system has no random bytes.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = params(&[], Validity::Current);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = key();
        let certificate = params.self_signed(&key).expect("the parameters of an authority are in order");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Its own certificate as PEM: what a client has to believe.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for servers with these names, which may be IP addresses.
    ///
    /// # Panics
    /// If a name is none, or the system has no random bytes.
    #[must_use]
    pub fn issue(&self, names: &[&str], validity: Validity) -> Certificate {
        let mut params = params(names, validity);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// A certificate for servers on this machine: `localhost`, `127.0.0.1` and `::1`.
    #[must_use]
    pub fn for_localhost(&self) -> Certificate {
        self.issue(&["localhost", "127.0.0.1", "::1"], Validity::Current)
    }

    /// A certificate for a client.
    ///
    /// # Panics
    /// If the system has no random bytes.
    #[must_use]
    pub fn issue_client(&self, name: &str, validity: Validity) -> Certificate {
        let mut params = params(&[], validity);
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Certificate {
        let key = key();
        let certificate =
            params.signed_by(&key, &self.issuer).expect("the parameters of a certificate are in order");
        Certificate { pem: certificate.pem(), key: key.serialize_pem() }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the system has random bytes")
}

fn params(names: &[&str], validity: Validity) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("the names of a certificate are names");
    let (from, to) = match validity {
        Validity::Current => (2020, 2120),
        Validity::Past => (2020, 2021),
        Validity::Future => (2120, 2121),
    };
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    params
}

impl Certificate {
    /// The certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its private key as PEM (PKCS #8).
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("pem", &self.pem).finish_non_exhaustive()
    }
}

/// Shows no key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("pem", &self.pem).finish_non_exhaustive()
    }
}
