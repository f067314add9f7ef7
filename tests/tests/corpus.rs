//! Real envelopes of real clients, read to the byte. Every field of the manifest is checked against what the parser
//! says, and a field that is not known here fails the test: a manifest that says more is not silently believed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use envoi_core::Itemized;
use envoi_envelope::{AuthHeader, Envelope, ItemType};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

const SAMPLES: usize = 35;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/envoi-testkit/corpus")
}

fn manifest() -> Value {
    serde_json::from_slice(&std::fs::read(folder().join("manifest.json")).unwrap()).unwrap()
}

fn samples() -> Vec<(Map<String, Value>, Bytes)> {
    let manifest = manifest();
    let list = manifest["list"].as_array().unwrap();
    assert_eq!(list.len(), SAMPLES);
    assert_eq!(manifest["envelopes"], SAMPLES);
    list.iter()
        .map(|sample| {
            let sample = sample.as_object().unwrap().clone();
            let bytes = std::fs::read(folder().join(sample["file"].as_str().unwrap())).unwrap();
            (sample, bytes.into())
        })
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// EN-1, EN-2, EN-8: all 35 envelopes are read to the offsets, lengths and hashes of the manifest, strictly and
/// leniently, and written as the same bytes from the same memory.
#[test]
fn every_real_envelope_is_read_to_the_byte_and_written_as_it_was() {
    let mut seen = 0;
    for (sample, bytes) in samples() {
        let file = sample["file"].as_str().unwrap();
        let envelope = Envelope::parse(bytes.clone()).unwrap_or_else(|error| panic!("{file}: {error}"));
        for (field, expected) in &sample {
            match field.as_str() {
                "file" | "source" | "scrubbed_bytes" => {}
                "bytes" => assert_eq!(expected, bytes.len(), "{file}"),
                "sha256" => assert_eq!(expected, &sha256(&bytes), "{file}"),
                "ends_with_newline" => assert_eq!(expected, bytes.ends_with(b"\n"), "{file}"),
                "header" => check_header(&envelope, expected.as_object().unwrap(), file),
                "items" => check_items(&envelope, &bytes, expected.as_array().unwrap(), file),
                "request" => check_request(&envelope, expected, file),
                unknown => panic!("{file}: the manifest has a field {unknown:?} that nothing checks"),
            }
        }
        let body = envelope.to_segments();
        assert_eq!(body.chunks().map(|chunk| chunk.as_ptr()).collect::<Vec<_>>(), [bytes.as_ptr()], "{file}");
        assert_eq!(body.to_bytes(), bytes, "{file}");
        let lenient = Envelope::parse_lenient(bytes).unwrap();
        assert!(lenient.leniences.is_empty(), "{file}: {}", lenient.leniences);
        assert_eq!(lenient.envelope, envelope, "{file}");
        seen += 1;
    }
    assert_eq!(seen, SAMPLES);
}

fn check_header(envelope: &Envelope, expected: &Map<String, Value>, file: &str) {
    let found: Value = serde_json::from_slice(envelope.header_raw()).unwrap();
    assert_eq!(found.as_object(), Some(expected), "{file}");
    for (name, value) in expected {
        let attribute: Value = serde_json::from_str(envelope.attribute(name).unwrap()).unwrap();
        assert_eq!(&attribute, value, "{file}: {name}");
    }
    let id = expected.get("event_id").map(|id| id.as_str().unwrap().replace('-', ""));
    assert_eq!(envelope.event_id().map(|id| id.to_string()), id, "{file}");
    assert_eq!(envelope.sent_at().is_some(), expected.contains_key("sent_at"), "{file}");
    assert_eq!(envelope.trace().is_some(), expected.contains_key("trace"), "{file}");
}

fn check_items(envelope: &Envelope, bytes: &Bytes, expected: &[Value], file: &str) {
    assert_eq!(envelope.items().len(), expected.len(), "{file}");
    for (item, expected) in envelope.items().iter().zip(expected) {
        let (header_at, payload_at) = (item.header_offset().unwrap(), item.payload_offset().unwrap());
        assert_eq!(bytes[header_at..][..item.header_raw().len()], *item.header_raw(), "{file}");
        assert_eq!(bytes[payload_at..][..item.payload().len()], *item.payload(), "{file}");
        for (field, expected) in expected.as_object().unwrap() {
            let found: Value = match field.as_str() {
                "type" => item.item_type().as_str().into(),
                "explicit_length" => item.explicit_length().into(),
                "header_offset" => header_at.into(),
                "payload_offset" => payload_at.into(),
                "payload_bytes" => item.payload().len().into(),
                "payload_sha256" => sha256(item.payload()).into(),
                "newlines_in_payload" => item.payload().iter().filter(|byte| **byte == b'\n').count().into(),
                "header" => {
                    check_item_header(item, expected.as_object().unwrap(), file);
                    serde_json::from_slice(item.header_raw()).unwrap()
                }
                unknown => panic!("{file}: items have a field {unknown:?} that nothing checks"),
            };
            assert_eq!(&found, expected, "{file}: {field}");
        }
    }
}

fn check_item_header(item: &envoi_envelope::Item, expected: &Map<String, Value>, file: &str) {
    for (name, value) in expected {
        let found: Value = match name.as_str() {
            "type" => item.item_type().as_str().into(),
            "length" => item.explicit_length().into(),
            "item_count" => item.item_count().into(),
            "content_type" => item.content_type().into(),
            "filename" => item.filename().into(),
            "attachment_type" => item.attachment_type().into(),
            "platform" => item.platform().into(),
            other => serde_json::from_str(item.attribute(other).unwrap()).unwrap(),
        };
        assert_eq!(&found, value, "{file}: {name}");
    }
}

/// What the client sent around it: its credentials are read, and the request is one for the envelope endpoint.
fn check_request(envelope: &Envelope, expected: &Value, file: &str) {
    assert_eq!(expected["method"], "POST", "{file}");
    assert!(expected["target"].as_str().unwrap().ends_with("/envelope/"), "{file}");
    let auth = AuthHeader::parse(expected["headers"]["x-sentry-auth"].as_str().unwrap())
        .unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(auth.version(), 7, "{file}");
    assert!(auth.client().is_some_and(|client| client.starts_with("sentry.")), "{file}");
    if let Some(trace) = envelope.trace() {
        let trace: Value = serde_json::from_str(trace).unwrap();
        assert_eq!(trace["public_key"], auth.key(), "{file}");
    }
}

/// EN-4, CR-4: every type that real clients send is there, and all but two are counted under a category.
#[test]
fn every_real_item_type_is_known_or_kept() {
    let mut types = BTreeSet::new();
    let mut uncounted = BTreeSet::new();
    for (_, bytes) in samples() {
        for item in Envelope::parse(bytes).unwrap().into_items() {
            let ty = item.item_type().clone();
            types.insert(ty.to_string());
            let mut alone = Envelope::new();
            alone.push(item).unwrap();
            let mut count = 0;
            alone.tally(&mut |_, quantity| count += quantity);
            if count == 0 {
                uncounted.insert(ty.to_string());
            }
            assert_eq!(ItemType::from(ty.as_str()), ty);
        }
    }
    let listed: BTreeSet<_> = manifest()["item_types"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types, listed);
    assert_eq!(uncounted, BTreeSet::from(["client_report".to_owned(), "metric_meta".to_owned()]));
}
