//! AU-1, AU-2, AU-7: what is read is written alike, and makes a URL, a header and a query.
#![no_main]

use envoi_envelope::{AuthHeader, Dsn};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(dsn) = Dsn::parse(text) else { return };
    assert_eq!(Dsn::parse(&dsn.to_string_with_secret()).unwrap(), dsn);
    assert!(!Dsn::parse(&dsn.to_string()).unwrap().has_secret());
    assert!(dsn.envelope_url().path().ends_with("/envelope/"));
    let header = dsn.auth_header(text);
    let read = AuthHeader::parse(header.to_str().unwrap()).unwrap();
    assert_eq!(read.key(), dsn.public_key());
    assert_eq!(AuthHeader::from_query(&dsn.auth_query(text)).unwrap(), read);
});
