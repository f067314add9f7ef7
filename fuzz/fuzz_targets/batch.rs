//! OC-5: a batch that is read is written back alike, and what is sent of it is one JSON array of as many values.
#![no_main]

use bytes::Bytes;
use envoi_batch::{Batch, Event, JsonArrayCodec};
use envoi_core::{Codec, Payload};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = Event::from_json(Bytes::copy_from_slice(bytes)) {
        assert_eq!(Event::from_json(event.as_bytes().clone()).unwrap(), event);
    }
    let Ok(batch) = Batch::from_bytes(Bytes::copy_from_slice(bytes)) else { return };
    assert_eq!(Batch::from_bytes(batch.to_bytes().unwrap()).unwrap(), batch);
    let codec = JsonArrayCodec::new("http://logs.example/".parse().unwrap());
    if let Ok(request) = codec.encode(&batch) {
        let body = request.into_body().to_bytes();
        assert_eq!(body.len(), batch.weight().bytes);
        let values: Vec<IgnoredAny> = serde_json::from_slice(&body).unwrap();
        assert_eq!(values.len(), batch.len());
    }
});
