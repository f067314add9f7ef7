use std::error::Error as _;
use std::io;
use std::io::Write as _;

use envoi_testkit::tls::{Authority, Validity};
use proptest::prelude::*;
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use super::build::server_name;
use super::error::{diagnose, handshake_failure, refused_late};
use super::{
    CaBundle, Identity, TlsConfig, TlsConfigError, TlsConfigProblem, TlsError, TlsLayer, TlsProblem,
};

fn problem<T>(result: Result<T, TlsConfigError>) -> (TlsConfigProblem, Option<usize>) {
    let error = result.err().unwrap();
    (error.problem().clone(), error.block())
}

/// TR-5: one certificate or several, as text or as DER, with anything around them.
#[test]
fn bundles_are_read_in_either_form() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let count = |bundle: CaBundle| bundle.into_certificates().len();
    assert_eq!(count(CaBundle::from_pem(one.pem()).unwrap()), 1);
    let text = format!("# Company CA\r\n{}\nsubject=/CN=two\n{}", one.pem().replace('\n', "\r\n"), two.pem());
    let bundle = CaBundle::from_pem(text).unwrap();
    assert_eq!(format!("{bundle:?}"), "CaBundle { certificates: 2 }");
    let der = bundle.into_certificates().remove(0).to_vec();
    assert_eq!(count(CaBundle::from_der(der.clone()).unwrap()), 1);

    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("ca.pem", one.pem().as_bytes()), ("ca.der", &der)] {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(content).unwrap();
        assert_eq!(count(CaBundle::from_file(&path).unwrap()), 1, "{name}");
    }
}

/// TR-5: what is wrong with a bundle is said with its block, and with its file.
#[test]
fn a_bad_bundle_says_which_block() {
    let good = Authority::new("CA").pem().to_owned();
    let broken = "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n";
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cut = good.split("-----END").next().unwrap();
    let key = Authority::new("CA").for_localhost().key_pem().to_owned();
    let bad = |how: &str| TlsConfigProblem::BadPem(how.to_owned());
    for (text, expected) in [
        (String::new(), (TlsConfigProblem::NoCertificate, None)),
        ("garbage".to_owned(), (TlsConfigProblem::NoCertificate, None)),
        (key, (TlsConfigProblem::NoCertificate, None)),
        (format!("{good}{broken}"), (bad("its lines are not base64"), Some(2))),
        (format!("{good}{good}{junk}"), (TlsConfigProblem::BadCertificate, Some(3))),
        (cut.to_owned(), (bad("its end is missing, there is no line `-----END CERTIFICATE-----`"), Some(1))),
        (
            "-----BEGIN CERTIFICATE\nAAAA\n".to_owned(),
            (bad("its first line is malformed: `-----BEGIN CERTIFICATE`"), Some(1)),
        ),
    ] {
        assert_eq!(problem(CaBundle::from_pem(&text)), expected, "{text}");
    }
    assert_eq!(problem(CaBundle::from_der(b"0junk".to_vec())), (TlsConfigProblem::BadCertificate, None));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let error = CaBundle::from_file(&path).unwrap_err();
    assert_eq!((error.problem(), error.path()), (&TlsConfigProblem::Unreadable, Some(path.as_path())));
    assert!(error.source().unwrap().is::<io::Error>());
    std::fs::write(&path, format!("{good}{junk}")).unwrap();
    let text = CaBundle::from_file(&path).unwrap_err().to_string();
    let expected = format!("the CA bundle in {}, block 2: not a usable certificate", path.display());
    assert_eq!(text, expected);
}

/// TR-5: a certificate without its key, or with another's, is refused when it is given, not when a server asks.
#[test]
fn an_identity_is_checked_when_it_is_made() {
    let authority = Authority::new("CA");
    let (ours, other) = (
        authority.issue_client("ours", Validity::Current),
        authority.issue_client("other", Validity::Current),
    );
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let junk = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let both = format!("{}{}", ours.pem(), ours.key_pem());
    Identity::from_pem(ours.pem(), ours.key_pem()).unwrap();
    Identity::from_pem(&both, &both).unwrap();
    for (certificate, key, expected) in [
        (ours.pem(), other.key_pem(), TlsConfigProblem::KeyMismatch),
        (ours.pem(), ours.pem(), TlsConfigProblem::NoKey),
        (ours.pem(), encrypted, TlsConfigProblem::EncryptedKey),
        (ours.pem(), junk, TlsConfigProblem::BadKey),
        (ours.key_pem(), ours.key_pem(), TlsConfigProblem::NoCertificate),
    ] {
        assert_eq!(problem(Identity::from_pem(certificate, key)).0, expected);
    }

    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, ours.pem()).unwrap();
    let error = Identity::from_files(&certificate, &key).unwrap_err();
    assert_eq!((error.problem(), error.path()), (&TlsConfigProblem::Unreadable, Some(key.as_path())));
    std::fs::write(&key, ours.key_pem()).unwrap();
    Identity::from_files(&certificate, &key).unwrap();
    std::fs::write(&key, other.key_pem()).unwrap();
    let text = Identity::from_files(&certificate, &key).unwrap_err().to_string();
    assert!(text.ends_with("key.pem: the private key belongs to another certificate"), "{text}");
    std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let text = Identity::from_files(&certificate, &key).unwrap_err().to_string();
    assert!(text.ends_with("cert.pem: not a usable certificate"), "{text}");
}

/// TR-5: settings that cannot work are refused when the layer is made.
#[test]
fn a_layer_is_refused_for_a_name_that_is_none() {
    let authority = Authority::new("CA");
    let config = TlsConfig::new().only_ca(CaBundle::from_pem(authority.pem()).unwrap());
    TlsLayer::new(&config.clone().server_name("ingest.internal")).unwrap();
    let error = TlsLayer::new(&config.server_name("not a name")).unwrap_err();
    assert_eq!(error.problem(), &TlsConfigProblem::BadServerName("not a name".to_owned()));
}

/// TR-9: hosts of addresses, as names of certificates.
#[test]
fn hosts_become_names() {
    for (host, name) in [
        ("sentry.io", Some("DnsName(\"sentry.io\")")),
        ("sentry.io.", Some("DnsName(\"sentry.io\")")),
        ("127.0.0.1", Some("IpAddress(V4(Ipv4Addr([127, 0, 0, 1])))")),
        ("", None),
        ("under score", None),
    ] {
        assert_eq!(server_name(host).map(|name| format!("{name:?}")).as_deref(), name, "{host}");
    }
    assert!(format!("{:?}", server_name("[::1]")).contains("V6"));
}

/// TR-9: what rustls says, in our words.
#[test]
fn errors_of_rustls_are_diagnosed() {
    use TlsProblem as Problem;
    use rustls::Error as Tls;
    let certificate = |error| diagnose(&Tls::InvalidCertificate(error));
    for (error, expected) in [
        (CertificateError::Expired, Problem::Expired),
        (CertificateError::NotValidYet, Problem::NotYetValid),
        (CertificateError::NotValidForName, Problem::WrongName),
        (CertificateError::UnknownIssuer, Problem::UnknownIssuer),
        (CertificateError::Revoked, Problem::Revoked),
        (CertificateError::BadEncoding, Problem::BadCertificate),
    ] {
        assert_eq!(certificate(error), expected);
    }
    for (error, expected) in [
        (Tls::InvalidMessage(InvalidMessage::InvalidContentType), Problem::NotTls),
        (Tls::PeerIncompatible(PeerIncompatible::Tls12NotOffered), Problem::NoCommonVersion),
        (Tls::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon), Problem::NoCommonParameters),
        (Tls::AlertReceived(AlertDescription::CertificateRequired), Problem::ClientCertificateRequired),
        (Tls::AlertReceived(AlertDescription::UnknownCA), Problem::ClientCertificateRefused),
        (Tls::AlertReceived(AlertDescription::UnrecognisedName), Problem::UnknownName),
        (Tls::AlertReceived(AlertDescription::InternalError), Problem::Other),
        (Tls::DecryptError, Problem::Other),
    ] {
        assert_eq!(diagnose(&error), expected, "{error:?}");
    }
}

/// TR-5: a refusal after the handshake is one, also when only its text is left; another error of a connection is none.
#[test]
fn a_late_refusal_is_recognised() {
    let alert = |alert| io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
    let late = refused_late("host:443", alert(AlertDescription::CertificateRequired));
    let error = late.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()).unwrap();
    assert_eq!((error.problem(), error.host()), (TlsProblem::ClientCertificateRequired, "host:443"));
    let text = error.to_string();
    assert_eq!(handshake_failure(error).as_ref(), Some(&text));
    assert_eq!(handshake_failure(&io::Error::other(text.clone())), Some(text));

    for other in [
        refused_late("host", alert(AlertDescription::BadRecordMac)),
        refused_late("host", io::ErrorKind::ConnectionReset.into()),
        io::Error::other("no TLS with words of a stranger"),
    ] {
        assert_eq!(handshake_failure(&other), None, "{other:?}");
    }
}

proptest! {
    /// TR-5: no text is too odd to be read as certificates or keys, and no error shows what was between the markers.
    #[test]
    fn no_pem_panics_or_leaks(
        label in "(CERTIFICATE|PRIVATE KEY|EC PRIVATE KEY|[A-Z ]{0,8})",
        body in "(s3cret[A-Za-z0-9+/=\\n]{0,80}|s3cret\\PC{0,40})",
        end in "(-----END CERTIFICATE-----|-----END PRIVATE KEY-----|-----END|)",
    ) {
        let text = format!("-----BEGIN {label}-----\n{body}\n{end}\n");
        for error in [
            CaBundle::from_pem(&text).err(),
            Identity::from_pem(&text, &text).err(),
            Identity::from_pem(Authority::pem(&Authority::new("CA")), &text).err(),
        ].into_iter().flatten() {
            prop_assert!(!error.to_string().contains("s3cret"), "{}", error);
            prop_assert!(!format!("{error:?}").contains("s3cret"), "{:?}", error);
        }
    }
}

/// The provider is the one of the features, and never that of the process: none is installed here, and with both compiled
/// in rustls has no default of its own.
#[test]
fn the_cryptography_is_that_of_the_features() {
    let groups: Vec<_> =
        super::build::provider().kx_groups.iter().map(|group| format!("{:?}", group.name())).collect();
    // Only AWS-LC has post-quantum key exchange, and offers it first.
    assert_eq!(groups[0] == "X25519MLKEM768", cfg!(feature = "aws-lc-rs"), "{groups:?}");
    TlsLayer::new(&TlsConfig::new()).unwrap();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}
