//! What is an event, and what is not.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::error::Error;

use bytes::Bytes;
use envoi_batch::{Event, EventError};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

/// BD-8: anything that serialises is an event, on one line.
#[test]
fn whatever_serialises_is_an_event() {
    #[derive(Serialize)]
    struct Run<'a> {
        name: &'a str,
        tags: Vec<u8>,
    }
    let run = Run { name: "a\nb", tags: vec![1, 2] };
    assert_eq!(Event::new(&run).unwrap().as_str(), r#"{"name":"a\nb","tags":[1,2]}"#);
    assert_eq!(Event::new("text").unwrap().as_str(), r#""text""#);
    assert_eq!(Event::new(&json!(null)).unwrap().len(), 4);
}

/// BD-8: what cannot be written is an error, not an event that spoils its neighbours.
#[test]
fn what_cannot_be_written_is_refused() {
    let map = BTreeMap::from([(vec![1], 1)]);
    let error = Event::new(&map).unwrap_err();
    assert!(matches!(error, EventError::Serialize(_)));
    assert!(error.source().unwrap().to_string().contains("key"));
}

/// BD-8: text is checked to be one JSON value, and the error says where it is none, not what it is.
#[test]
fn text_is_checked() {
    for bad in [
        &b""[..],
        b" ",
        b"{",
        b"{}{}",
        b"[1,]",
        b"'a'",
        b"nul",
        b"\"a\nb\"",
        b"{\"a\":1}\n{\"b\":2}",
        b"\xef\xbb\xbf{}",
        b"01",
        b"NaN",
        b"\"\xff\"",
        b"\0",
        b"[1] x",
    ] {
        assert!(Event::from_json(Bytes::from_static(bad)).is_err(), "{}", bad.escape_ascii());
    }
    let error = Event::from_json("{\"password\":\n hunter2}").unwrap_err().to_string();
    assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
    let error = Event::from_json(Bytes::from_static(b"\"ab\xff\"")).unwrap_err().to_string();
    assert!(error.contains("byte 3"), "{error}");
    assert!(Event::from_json("[".repeat(100_000)).is_err(), "no stack is that deep");
    assert!(Event::from_json("[".repeat(100_000) + &"]".repeat(100_000)).is_ok(), "and none is needed");
}

/// BD-8: text that is fine is not copied; line breaks between tokens become spaces.
#[test]
fn text_stays_as_it_is() {
    let text = Bytes::from_static(b" \t{ \"a\" : [1, 2.50] }\r\n");
    let event = Event::from_json(text.clone()).unwrap();
    assert_eq!(event.as_str(), "{ \"a\" : [1, 2.50] }");
    assert_eq!(event.as_bytes().as_ptr(), text[2..].as_ptr(), "the same memory");
    assert_eq!(Event::from_json("[\r\n1,\n2]").unwrap().as_str(), "[  1, 2]");
}

/// AU-7: an event may hold personal data, so it is not shown.
#[test]
fn debug_shows_no_content() {
    assert_eq!(format!("{:?}", Event::from_json("\"hunter2\"").unwrap()), "Event { bytes: 9 }");
}

proptest! {
    /// BD-8: what is taken is the same value on one line, and what is no JSON is refused.
    #[test]
    fn any_text_is_one_value_or_refused(
        text in prop_oneof![any::<String>(), "[\\[\\]{}\":,0-9a-z \n\r\t\\\\-]{0,40}"]
    ) {
        let value: Option<Value> = serde_json::from_str(&text).ok();
        match Event::from_json(text) {
            Ok(event) => {
                prop_assert!(!event.as_str().contains(['\n', '\r']));
                // Numbers beyond what a `Value` holds are JSON all the same.
                if let Some(value) = value {
                    prop_assert_eq!(serde_json::from_str::<Value>(event.as_str()).unwrap(), value);
                }
            }
            Err(_) => prop_assert!(value.is_none()),
        }
    }
}
