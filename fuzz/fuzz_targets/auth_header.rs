//! Decision 26: any header and any query is read or refused.
#![no_main]

use envoi_envelope::{AuthHeader, PROTOCOL_VERSION};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for read in [AuthHeader::parse(text), AuthHeader::from_query(text)].into_iter().flatten() {
        assert!(!read.key().is_empty() && read.version() <= PROTOCOL_VERSION);
        let _ = format!("{read:?}");
    }
});
