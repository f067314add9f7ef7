//! The corpus is complete and untouched.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use envoi_testkit::corpus;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[test]
fn the_list_is_what_the_folder_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".envelope"))
        .collect();
    let listed: Vec<&str> = corpus::all().iter().map(|sample| sample.name).collect();
    assert_eq!(listed, files.iter().map(String::as_str).collect::<Vec<_>>(), "in the order of the names");
}

#[test]
fn every_sample_is_as_its_manifest_says() {
    let manifest: Value = serde_json::from_str(corpus::MANIFEST).unwrap();
    let list = manifest["list"].as_array().unwrap();
    assert_eq!(list.len(), corpus::all().len());
    for entry in list {
        let name = entry["file"].as_str().unwrap();
        let sample = corpus::get(name).unwrap();
        assert_eq!(entry["sha256"], sha256(sample.bytes), "{name}");
        for item in entry["items"].as_array().unwrap() {
            let start = usize::try_from(item["payload_offset"].as_u64().unwrap()).unwrap();
            let size = usize::try_from(item["payload_bytes"].as_u64().unwrap()).unwrap();
            assert_eq!(item["payload_sha256"], sha256(&sample.bytes[start..start + size]), "{name}");
        }
    }
}
