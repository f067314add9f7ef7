use proptest::prelude::*;

use super::DsnErrorKind as Kind;
use super::{Dsn, Scheme};

fn read(text: &str) -> Dsn {
    Dsn::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// AU-1: every part, with names instead of numbers and a path before the project.
#[test]
fn every_part_is_read() {
    let dsn = read("http://pub:sec@Example.org:8080/a/b/my-project");
    assert_eq!(dsn.scheme(), Scheme::Http);
    assert_eq!(dsn.public_key(), "pub");
    assert!(dsn.has_secret());
    assert_eq!(dsn.host(), "example.org");
    assert_eq!(dsn.port(), Some(8080));
    assert_eq!(dsn.path(), "/a/b");
    assert_eq!(dsn.project_id(), "my-project");
    assert_eq!(dsn.to_string_with_secret(), "http://pub:sec@example.org:8080/a/b/my-project");
}

/// AU-2: the URL that envelopes go to.
#[test]
fn the_envelope_url_keeps_port_and_path() {
    for (dsn, url) in [
        ("https://k@sentry.io/1", "https://sentry.io/api/1/envelope/"),
        ("https://k@sentry.io:443/1", "https://sentry.io:443/api/1/envelope/"),
        ("http://k:s@localhost:8969/x/y/1", "http://localhost:8969/x/y/api/1/envelope/"),
        ("https://k@[2001:DB8::1]:9000/1", "https://[2001:db8::1]:9000/api/1/envelope/"),
        ("https://k@127.0.0.1/1", "https://127.0.0.1/api/1/envelope/"),
        ("https://k@h/a%2Fb/p%20q", "https://h/a%2Fb/api/p%20q/envelope/"),
    ] {
        assert_eq!(read(dsn).envelope_url(), url, "{dsn}");
    }
}

/// AU-1, decision 25: what is forgiven.
#[test]
fn harmless_differences_are_ignored() {
    let expected = read("https://k@h/a/1");
    for text in [
        " https://k@h/a/1\n",
        "https://k@h/a/1/",
        "https://k@h//a///1//",
        "HTTPS://k@H/a/1",
        "https://k:@h/a/1",
    ] {
        assert_eq!(read(text), expected, "{text:?}");
    }
    assert!(!read("https://k:@h/1").has_secret());
    assert_eq!(read("https://k%2C1@h/1").public_key(), "k%2C1", "escapes stay as they are written");
}

/// AU-6: each malformed part is named.
#[test]
fn the_malformed_part_is_named() {
    for (text, kind) in [
        ("", Kind::Empty),
        ("  ", Kind::Empty),
        ("sentry.io/1", Kind::MissingScheme),
        ("://k@h/1", Kind::MissingScheme),
        ("ftp://k@h/1", Kind::UnsupportedScheme),
        ("https:// k@h/1", Kind::InvalidPublicKey),
        ("https://h/1", Kind::MissingPublicKey),
        ("https://@h/1", Kind::MissingPublicKey),
        ("https://:s@h/1", Kind::MissingPublicKey),
        ("https://a,b@h/1", Kind::InvalidPublicKey),
        ("https://a@b@h/1", Kind::InvalidPublicKey),
        ("https://a%2@h/1", Kind::InvalidPublicKey),
        ("https://a:b c@h/1", Kind::InvalidSecretKey),
        ("https://k@/1", Kind::MissingHost),
        ("https://k@:80/1", Kind::MissingHost),
        ("https://k@bücher.example/1", Kind::InvalidHost),
        ("https://k@[::1/1", Kind::InvalidHost),
        ("https://k@::1/1", Kind::InvalidHost),
        ("https://k@[fe80::1%25eth0]/1", Kind::InvalidHost),
        ("https://k@[not an address]/1", Kind::InvalidHost),
        ("https://k@h:/1", Kind::InvalidPort),
        ("https://k@h:0/1", Kind::InvalidPort),
        ("https://k@h:65536/1", Kind::InvalidPort),
        ("https://k@h:+80/1", Kind::InvalidPort),
        ("https://k@h:http/1", Kind::InvalidPort),
        ("https://k@h", Kind::MissingProjectId),
        ("https://k@h//", Kind::MissingProjectId),
        ("https://k@h/..", Kind::InvalidProjectId),
        ("https://k@h/a b", Kind::InvalidProjectId),
        ("https://k@h/../1", Kind::InvalidPath),
        ("https://k@h/a b/1", Kind::InvalidPath),
        ("https://k@h/1?x=1", Kind::UnexpectedQuery),
        ("https://k@h/1#x", Kind::UnexpectedQuery),
    ] {
        let error = Dsn::parse(text).map_or_else(|error| error, |dsn| panic!("{text:?}: {dsn}"));
        assert_eq!(error.kind(), kind, "{text:?}: {error}");
    }
    assert_eq!(Dsn::parse(&format!("https://k@h/{}", "1".repeat(4096))).unwrap_err().kind(), Kind::TooLong);
}

/// AU-6: no DSN means that nothing is to be done; a bad one never means that.
#[test]
fn an_empty_dsn_is_no_error() {
    assert_eq!(Dsn::parse_optional(""), Ok(None));
    assert_eq!(Dsn::parse_optional(" \t"), Ok(None));
    assert_eq!(Dsn::parse_optional("https://k@h/1"), Ok(Some(read("https://k@h/1"))));
    assert!(Dsn::parse_optional("https://k@h").is_err());
}

/// AU-7: neither a DSN nor the error about one shows the secret.
#[test]
fn the_secret_is_never_shown() {
    let dsn = read("https://pub:hunter2@h/1");
    assert_eq!(dsn.to_string(), "https://pub@h/1");
    assert_eq!(format!("{dsn:?}"), "Dsn(\"https://pub:[redacted]@h/1\")");
    assert_eq!(format!("{:?}", read("https://pub@h/1")), "Dsn(\"https://pub@h/1\")");
    for text in
        ["https://pub:hunter2@h:x/1", "https://pub:hunter2@/1", "https://pub:hunter2/x@h/1", "pub:hunter2@h"]
    {
        let error = Dsn::parse(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    assert_eq!(
        format!("{:?}", dsn.auth_header("sdk/1")),
        "Sensitive",
        "the header is marked, so that nobody prints it"
    );
}

/// Decision 25: the organisation is read from hosts of the service only.
#[test]
fn the_organisation_is_read_from_ingest_hosts() {
    for (host, org) in [
        ("o42.ingest.sentry.io", Some("42")),
        ("o42.ingest.us.sentry.io", Some("42")),
        ("O42.Ingest.De.Sentry.IO", Some("42")),
        ("o42.ingest.a.b.sentry.io", None),
        ("o42.ingest..sentry.io", None),
        ("o.ingest.sentry.io", None),
        ("o4x.ingest.sentry.io", None),
        ("42.ingest.sentry.io", None),
        ("o42.sentry.io", None),
        ("o42.ingested.sentry.io", None),
        ("o42.ingest.sentry.io.example.org", None),
        ("sentry.io", None),
    ] {
        assert_eq!(read(&format!("https://k@{host}/1")).org_id(), org, "{host}");
    }
}

proptest! {
    /// AU-1: what is written is read back as the same.
    #[test]
    fn writing_and_reading_agree(
        text in "https?://[a-z0-9%._~-]{1,8}(:[a-z0-9:=+]{0,8})?@[a-z0-9.-]{1,12}(:[1-9][0-9]{0,4})?(/{1,2}[a-zA-Z0-9:,;%._-]{1,6}){1,4}/?",
    ) {
        if let Ok(dsn) = Dsn::parse(&text) {
            let written = dsn.to_string_with_secret();
            prop_assert_eq!(&Dsn::parse(&written).unwrap(), &dsn);
            prop_assert!(dsn.envelope_url().to_string().ends_with("/envelope/"));
            let shown = dsn.to_string();
            prop_assert!(!Dsn::parse(&shown).unwrap().has_secret());
        }
    }

    /// AU-6: no text makes the parser panic.
    #[test]
    fn any_text_is_survived(text in "\\PC{0,60}|https?://[\\PC@:/%\\[\\]]{0,40}") {
        if let Ok(dsn) = Dsn::parse(&text) {
            let _ = (dsn.auth_header(&text), dsn.auth_query(&text), dsn.org_id());
        }
    }
}
