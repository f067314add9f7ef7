use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{Envelope, Item};

/// A line of JSON that can be an envelope header, with odd spacing and unknown attributes.
fn header() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        Just(r#""event_id":"0f785fe9-fb1b-4bb5-9956-b6294a2cf864""#.to_owned()),
        Just(r#""sent_at" : "2026-11-22T04:12:46.9Z""#.to_owned()),
        Just(r#""sdk":{"name":"x"}"#.to_owned()),
        "[a-z]{3,9}".prop_map(|name| format!("\"x_{name}\":[1, {{\"{name}\":null}}]")),
    ];
    vec(member, 0..4).prop_map(|mut members| {
        members.sort();
        members.dedup();
        format!("{{ {}}}", members.join(" ,"))
    })
}

/// One item as text, without the newline after it, and its payload.
fn item() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = select(vec!["event", "attachment", "session", "log", "hologram", ""]);
    let explicit = (name.clone(), vec(any::<u8>(), 0..40)).prop_map(|(name, payload)| {
        let header = format!("{{\"x\" :1,\"length\":{}, \"type\":\"{name}\"}}\n", payload.len());
        ([header.into_bytes(), payload.clone()].concat(), payload)
    });
    let implicit = (name, vec(any::<u8>(), 0..40)).prop_map(|(name, mut payload)| {
        payload.retain(|byte| *byte != b'\n');
        let header = format!("{{\"type\":\"{name}\"}}\n");
        ([header.into_bytes(), payload.clone()].concat(), payload)
    });
    prop_oneof![explicit, implicit]
}

fn envelope() -> impl Strategy<Value = (Vec<u8>, Vec<Vec<u8>>)> {
    (header(), vec(item(), 0..6), any::<bool>()).prop_map(|(header, items, has_final_newline)| {
        let (texts, payloads): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let mut input = header.into_bytes();
        for text in texts {
            input.push(b'\n');
            input.extend(text);
        }
        // Without its newline an empty payload at the very end would be a header at the end: also fine.
        if has_final_newline {
            input.push(b'\n');
        }
        (input, payloads)
    })
}

proptest! {
    /// EN-1, EN-2, EN-8: every envelope by the grammar is read, and written as it was.
    #[test]
    fn the_grammar_is_read_and_written_exactly((input, payloads) in envelope()) {
        let input = Bytes::from(input);
        let envelope = Envelope::parse(input.clone()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let found: Vec<_> = envelope.items().iter().map(|item| item.payload().to_vec()).collect();
        prop_assert_eq!(&found, &payloads);
        for item in envelope.items() {
            let at = item.payload_offset().unwrap();
            prop_assert_eq!(&input[at..at + item.payload().len()], item.payload().as_ref());
            let at = item.header_offset().unwrap();
            prop_assert_eq!(&input[at..at + item.header_raw().len()], item.header_raw().as_ref());
        }
        let body = envelope.to_segments();
        prop_assert_eq!(body.chunks().count(), 1);
        prop_assert_eq!(body.to_bytes(), &input);

        let lenient = Envelope::parse_lenient(input.clone()).unwrap();
        prop_assert!(lenient.leniences.is_empty());
        prop_assert_eq!(lenient.envelope.to_bytes(), input);
    }

    /// EN-8: whatever is removed, added and set, what is written is read back as the same.
    #[test]
    fn changes_survive_the_wire(
        (input, _) in envelope(),
        gone in vec(any::<Index>(), 0..3),
        added in vec(vec(any::<u8>(), 0..30), 0..3),
        position in any::<Index>(),
        sets_attribute in any::<bool>(),
    ) {
        let mut envelope = Envelope::parse(input).unwrap();
        for gone in gone {
            let Some(gone) = envelope.items().get(gone.index(6)).cloned() else { continue };
            envelope.retain(|item| *item != gone);
        }
        for payload in added {
            envelope.push(Item::new("added", payload)).unwrap();
        }
        if sets_attribute {
            envelope.set_attribute("x_added", "[true]").unwrap();
        }
        if !envelope.is_empty() {
            // Items that change places are written from the pieces that they are.
            let mut items = envelope.clone().into_items();
            let start = position.index(items.len());
            items.rotate_left(start);
            let mut moved = Envelope::new();
            for item in items {
                let _ = moved.push(item);
            }
            prop_assert_eq!(Envelope::parse(moved.to_bytes()).unwrap(), moved);
        }
        let written = envelope.to_bytes();
        prop_assert_eq!(envelope.to_segments().len(), written.len() as u64);
        prop_assert_eq!(Envelope::parse(written).unwrap(), envelope);
    }

    /// EN-3: no bytes make the parser panic, and what the lenient mode takes is strict when it is written.
    #[test]
    fn any_bytes_are_survived(input in vec(any::<u8>(), 0..200)) {
        let _ = Envelope::parse(input.clone());
        if let Ok(parsed) = Envelope::parse_lenient(input) {
            prop_assert_eq!(Envelope::parse(parsed.envelope.to_bytes()).unwrap(), parsed.envelope);
        }
    }

    /// EN-3: nor do envelopes with bytes changed, removed or doubled; an error points into the input.
    #[test]
    fn mutations_are_survived(
        (mut input, _) in envelope(),
        changes in vec((any::<Index>(), 0..3_u8, select(b"\n\r \t{}\":,0\\x\xff".to_vec())), 1..5),
    ) {
        for (at, change, byte) in changes {
            let at = at.index(input.len());
            match change {
                0 => input[at] = byte,
                1 => input.insert(at, byte),
                _ => drop(input.drain(at..(at + 3).min(input.len()).max(at + 1))),
            }
            if input.is_empty() {
                break;
            }
        }
        match Envelope::parse(input.clone()) {
            Ok(envelope) => prop_assert_eq!(envelope.to_bytes(), input.clone()),
            Err(error) => prop_assert!(error.offset() <= input.len()),
        }
        if let Ok(parsed) = Envelope::parse_lenient(input) {
            prop_assert_eq!(Envelope::parse(parsed.envelope.to_bytes()).unwrap(), parsed.envelope);
        }
    }
}
