//! EN-1 to EN-4, EN-8: what is read strictly is written as it was; what is read leniently is strict when it is written;
//! counting, shedding and sending survive everything that can be read.
#![no_main]

use bytes::Bytes;
use envoi_core::{Codec, Durable, Itemized, Payload};
use envoi_envelope::{DataCategory, Dsn, Envelope, EnvelopeCodec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let input = Bytes::copy_from_slice(input);
    match Envelope::parse(input.clone()) {
        Ok(envelope) => {
            assert_eq!(envelope.to_bytes(), input);
            assert_eq!(Envelope::thaw(envelope.freeze().unwrap()).unwrap(), envelope);
            exercise(envelope);
        }
        Err(error) => assert!(error.offset() <= input.len()),
    }
    if let Ok(parsed) = Envelope::parse_lenient(input) {
        let written = Envelope::parse(parsed.envelope.to_bytes()).unwrap();
        assert_eq!(written, parsed.envelope);
    }
});

fn exercise(mut envelope: Envelope) {
    let _ = (envelope.weight(), envelope.lane(), envelope.id().map(|id| id.len()));
    let mut counted = 0_u64;
    envelope.tally(&mut |_, quantity| counted = counted.saturating_add(quantity));
    envelope.carried_losses(&mut |_, _, _| {});
    let codec = EnvelopeCodec::new(&Dsn::parse("https://key@localhost/1").unwrap()).with_dsn_header(true);
    if let Ok(request) = codec.encode(&envelope) {
        let sent = Envelope::parse(request.into_body().to_bytes()).unwrap();
        assert!(sent.sent_at().is_some() && sent.dsn().is_some());
        assert_eq!(sent.items(), envelope.items());
    }
    let mut found = 0_u64;
    envelope.shed(&mut |category| *category == DataCategory::Error, &mut |_, quantity| {
        found = found.saturating_add(quantity);
    });
    envelope.clear(&mut |_, quantity| found = found.saturating_add(quantity));
    assert_eq!(found, counted);
}
