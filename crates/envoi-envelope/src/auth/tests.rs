use proptest::prelude::*;

use crate::{AuthError, AuthHeader, Dsn, user_agent};

/// AU-3: what is sent, and that there is no time stamp in it.
#[test]
fn the_header_is_as_the_specification_says() {
    let with_secret = Dsn::parse("https://pub:sec@h/1").unwrap().auth_header("envoi/0.1");
    assert_eq!(
        with_secret,
        "Sentry sentry_version=7, sentry_client=envoi/0.1, sentry_key=pub, sentry_secret=sec"
    );
    let without = Dsn::parse("https://pub@h/1").unwrap().auth_header("envoi/0.1");
    assert_eq!(without, "Sentry sentry_version=7, sentry_client=envoi/0.1, sentry_key=pub");
    assert!(with_secret.is_sensitive() && without.is_sensitive());
}

/// AU-4: the query string says the same; what it cannot hold is escaped, percent signs of the DSN included.
#[test]
fn the_query_says_the_same() {
    let dsn = Dsn::parse("https://p%2Cub:s=c+r@h/1").unwrap();
    let query = dsn.auth_query("a b/1");
    assert_eq!(query, "sentry_version=7&sentry_client=a_b%2F1&sentry_key=p%252Cub&sentry_secret=s%3Dc%2Br");
    let header = dsn.auth_header("a b/1");
    assert_eq!(AuthHeader::from_query(&query), AuthHeader::parse(header.to_str().unwrap()));
}

/// AU-3, decision 26: what clients send is read.
#[test]
fn headers_of_clients_are_read() {
    let auth = AuthHeader::parse(
        "sentry  sentry_key=abc=d ,sentry_secret = s, sentry_timestamp=1.5,sentry_version=5 , sentry_client=x/1,,",
    )
    .unwrap();
    assert_eq!((auth.version(), auth.key()), (5, "abc=d"));
    assert_eq!((auth.client(), auth.secret()), (Some("x/1"), Some("s")));
    let least = AuthHeader::parse("Sentry sentry_key=abc").unwrap();
    assert_eq!((least.version(), least.client(), least.secret()), (7, None, None));
    let query = AuthHeader::from_query("?other=%zz&sentry_key=a%62c&sentry_client=x+y").unwrap();
    assert_eq!((query.key(), query.client()), ("abc", Some("x y")));
}

/// Decision 26: what is wrong is named; no value is shown.
#[test]
fn bad_credentials_are_named() {
    for (value, error) in [
        ("", AuthError::MissingScheme),
        ("Bearer abc", AuthError::MissingScheme),
        ("Sentrysentry_key=abc", AuthError::MissingScheme),
        ("Sentry", AuthError::MissingKey),
        ("Sentry sentry_key=", AuthError::MissingKey),
        ("Sentry sentry_version=7", AuthError::MissingKey),
        ("Sentry hunter2", AuthError::Malformed),
        ("Sentry sentry_key=a, sentry_key=b", AuthError::Duplicate("sentry_key")),
        ("Sentry sentry_key=a, sentry_version=8", AuthError::UnsupportedVersion(8)),
        ("Sentry sentry_key=a, sentry_version=+7", AuthError::InvalidVersion),
        ("Sentry sentry_key=a, sentry_version=", AuthError::InvalidVersion),
        ("Sentry sentry_key=a, sentry_version=70000", AuthError::InvalidVersion),
    ] {
        let found = AuthHeader::parse(value).unwrap_err();
        assert_eq!(found, error, "{value:?}");
        assert!(!found.to_string().contains("hunter2"));
    }
    for query in ["sentry_key=%", "sentry_key=%f", "sentry_key=%zz", "sentry_key=%ff"] {
        assert_eq!(AuthHeader::from_query(query), Err(AuthError::InvalidEscape), "{query}");
    }
    assert_eq!(AuthHeader::from_query(""), Err(AuthError::MissingKey));
}

/// AU-7: debugging credentials does not show the secret.
#[test]
fn the_secret_is_redacted() {
    let shown = format!("{:?}", AuthHeader::parse("Sentry sentry_key=k, sentry_secret=hunter2").unwrap());
    assert!(shown.contains("[redacted]") && !shown.contains("hunter2"), "{shown}");
}

/// AU-5: there is always a user agent, whatever it is made of.
#[test]
fn a_user_agent_can_always_be_built() {
    assert_eq!(user_agent("my-sdk/1.2.3 (linux; x86_64)"), "my-sdk/1.2.3 (linux; x86_64)");
    assert_eq!(user_agent("a\r\nx-evil: 1"), "a__x-evil: 1");
    assert_eq!(user_agent(""), "");
}

proptest! {
    /// AU-3, AU-4: any client name gives a header and a query that are read back alike.
    #[test]
    fn any_client_name_can_be_sent(client in "\\PC{0,30}|[ ,=%&\\n\\x00-\\x7f]{0,10}") {
        let dsn = Dsn::parse("https://key:secret@h/1").unwrap();
        let header = AuthHeader::parse(dsn.auth_header(&client).to_str().unwrap()).unwrap();
        prop_assert_eq!(&AuthHeader::from_query(&dsn.auth_query(&client)).unwrap(), &header);
        prop_assert_eq!((header.key(), header.secret()), ("key", Some("secret")));
        prop_assert!(header.client().is_some());
        let _ = user_agent(&client);
    }

    /// AU-3: no value makes the readers panic.
    #[test]
    fn any_value_is_survived(value in "\\PC{0,60}|Sentry [a-z_=, 0-9]{0,60}|(sentry_[a-z]{1,7}=[\\PC%&]{0,9}&){0,4}") {
        let _ = (AuthHeader::parse(&value), AuthHeader::from_query(&value));
    }
}
