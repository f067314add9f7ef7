//! `envoi inspect`: what it shows and what it says about malformed input.

mod support;

use envoi_testkit::corpus;
use serde_json::{Value, json};
use support::{Folder, event, run, run_with_input};

const SECRET: &str = "s3cr3t-do-not-show";

/// EN-1, EN-8: every real envelope is shown with the offsets and hashes of the manifest.
#[tokio::test]
async fn json_of_every_real_envelope_agrees_with_the_manifest() {
    let manifest: Value = serde_json::from_str(corpus::MANIFEST).unwrap();
    let known = manifest["list"].as_array().unwrap();
    assert_eq!(known.len(), corpus::all().len());
    for entry in known {
        let name = entry["file"].as_str().unwrap();
        let folder = Folder::new().with(name, corpus::get(name).unwrap().bytes);
        let run = run(&["inspect", "--json", &folder.name(name)]).await;
        assert_eq!(run.code, 0, "{run:?}");
        let shown = run.json();
        assert_eq!(shown["header"], entry["header"], "{name}");
        let items = shown["items"].as_array().unwrap();
        let expected = entry["items"].as_array().unwrap();
        assert_eq!(items.len(), expected.len(), "{name}");
        for (item, expected) in items.iter().zip(expected) {
            for key in
                ["type", "header", "header_offset", "payload_offset", "payload_bytes", "payload_sha256"]
            {
                assert_eq!(item[key], expected[key], "{name} {key}");
            }
            assert_eq!(item.as_object().unwrap().len(), 6, "no keys beyond the documented ones");
        }
    }
}

#[tokio::test]
async fn the_table_names_types_offsets_and_attributes() {
    let sample = corpus::get("python-attachments.event+attachment.envelope").unwrap();
    let run = run_with_input(&["inspect", "-"], sample.bytes).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    for part in ["event_id", "payload at", "attachment", "filename=", "counts as", "error 1"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(!run.stdout.contains('\u{1b}'), "no colours in a pipe");
}

/// EN-3: the error says what is wrong, in which part, in which item, and at which byte.
#[tokio::test]
async fn a_malformed_envelope_is_located() {
    let folder = Folder::new().with("bad", "{}\n{\"type\":\"event\",\"length\":100}\n{}");
    let run_json = run(&["inspect", "--json", &folder.name("bad")]).await;
    assert_eq!((run_json.code, run_json.stderr.as_str()), (1, ""));
    let message = "item 0, payload, byte 33: the payload is cut short: \"length\" says 100 bytes, 2 are left";
    let expected = json!({"error": {
        "kind": "truncated_payload", "stage": "payload", "item": 0, "offset": 33, "message": message,
    }});
    assert_eq!(run_json.json(), expected);

    let run = run(&["inspect", &folder.name("bad")]).await;
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.error_line().contains("byte 33"), "{run:?}");
    assert!(run.error_line().contains(&folder.name("bad")), "{run:?}");
}

#[tokio::test]
async fn an_error_in_the_envelope_header_has_no_item() {
    let run = run_with_input(&["inspect", "--json", "-"], b"").await;
    assert_eq!(run.code, 1);
    let error = &run.json()["error"];
    assert_eq!(error["kind"], "missing_header");
    assert_eq!((&error["item"], &error["offset"]), (&Value::Null, &json!(0)));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_an_error_object_too() {
    let run = run(&["inspect", "--json", "no/such/file"]).await;
    assert_eq!(run.code, 1);
    assert_eq!(run.json()["error"]["kind"], "unreadable");
    assert_eq!(run.json()["error"]["offset"], Value::Null);
}

/// AU-1, AU-2, AU-7: the parts of a DSN, its URL, and of the secret only whether there is one.
#[tokio::test]
async fn a_dsn_is_taken_apart_without_its_secret() {
    let dsn = format!("https://public:{SECRET}@Ingest.Example.com:9443/prefix/4711");
    let run_json = run(&["inspect", "--dsn", &dsn, "--json"]).await;
    assert_eq!(run_json.code, 0, "{run_json:?}");
    let expected = json!({
        "scheme": "https",
        "public_key": "public",
        "secret_present": true,
        "host": "ingest.example.com",
        "port": 9443,
        "path": "/prefix",
        "project_id": "4711",
        "envelope_url": "https://ingest.example.com:9443/prefix/api/4711/envelope/",
    });
    assert_eq!(run_json.json(), expected);
    let table = run(&["inspect", "--dsn", &dsn]).await;
    assert!(table.stdout.contains("present, not shown"), "{table:?}");
    assert!(!table.both().contains(SECRET) && !run_json.both().contains(SECRET));
}

/// AU-6, AU-7: the part that is malformed, never the text.
#[tokio::test]
async fn a_malformed_dsn_is_an_error_object_without_its_secret() {
    let dsn = format!("ftp://public:{SECRET}@host/1");
    let run_json = run(&["inspect", "--json", "--dsn", &dsn]).await;
    assert_eq!(run_json.code, 1);
    let error = &run_json.json()["error"];
    assert_eq!((&error["kind"], &error["stage"]), (&json!("unsupported_scheme"), &json!("dsn")));
    let plain = run(&["inspect", "--dsn", &dsn]).await;
    assert_eq!(plain.code, 1);
    assert!(plain.error_line().contains("scheme"), "{plain:?}");
    assert!(!plain.both().contains(SECRET) && !run_json.both().contains(SECRET));
}

/// AU-7: an envelope may carry the DSN of its client.
#[tokio::test]
async fn the_secret_of_a_dsn_in_a_header_is_left_out() {
    let text = event(5).replacen('{', &format!("{{\"dsn\":\"https://public:{SECRET}@host/1\","), 1);
    for args in [["inspect", "-", "--json"].as_slice(), &["inspect", "-"]] {
        let run = run_with_input(args, text.as_bytes()).await;
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stdout.contains("https://public@host/1"), "{run:?}");
        assert!(!run.both().contains(SECRET));
    }
}

#[tokio::test]
async fn what_a_file_says_cannot_steer_the_terminal() {
    let text = "{\"note\":\"\\u001b[2J\"}\n{\"type\":\"\\u001b[31mevent\\nx\"}\npayload\n";
    let run = run_with_input(&["inspect", "-"], text.as_bytes()).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.stdout.contains('\u{1b}'), "{run:?}");
    assert!(run.stdout.contains("\\u{1b}[31mevent\\nx"), "{run:?}");
}
