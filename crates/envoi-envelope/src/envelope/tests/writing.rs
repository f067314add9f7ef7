use bytes::Bytes;

use crate::{Dsn, Envelope, EventId, HeaderError, Item, MAX_HEADER_BYTES};

const INPUT: &str = "{\"event_id\":\"0f785fe9fb1b4bb59956b6294a2cf864\",\"x\":1}\n\
    {\"type\":\"event\",\"length\":2}\n{}\n{\"type\":\"attachment\"}\nabc\n{\"type\":\"session\"}\n{}\n";

/// EN-8: an envelope that was not changed is one piece of memory: the one that it was read from.
#[test]
fn an_unmodified_envelope_is_its_input() {
    for end in ["", "\n"] {
        let input = Bytes::from(INPUT.trim_end().to_owned() + end);
        let body = Envelope::parse(input.clone()).unwrap().to_segments();
        let chunks: Vec<_> = body.chunks().collect();
        assert_eq!(chunks, [&input]);
        assert_eq!(chunks[0].as_ptr(), input.as_ptr());
    }
}

/// EN-8, EN-4: what remains after a removal is reused, not copied.
#[test]
fn a_filtered_envelope_reuses_what_remains() {
    let input = Bytes::from(INPUT);
    let mut envelope = Envelope::parse(input.clone()).unwrap();
    envelope.retain(|item| item.item_type().as_str() != "attachment");
    let body = envelope.to_segments();
    assert_eq!(body.to_bytes(), INPUT.replace("{\"type\":\"attachment\"}\nabc\n", ""));
    let memory = input.as_ptr_range();
    let copied: usize = body.chunks().filter(|chunk| !memory.contains(&chunk.as_ptr())).map(Bytes::len).sum();
    assert_eq!(copied, 1, "one newline");
}

/// EN-8: an item that is added follows what was there, whatever the end of the input looked like.
#[test]
fn items_are_added_after_any_end() {
    for input in [
        "{}",
        "{}\n",
        "{}\n{\"type\":\"a\"}",
        "{}\n{\"type\":\"a\"}\n",
        "{}\n{\"type\":\"a\",\"length\":1}\nx",
    ] {
        let mut envelope = Envelope::parse(input).unwrap();
        let before = envelope.items().to_vec();
        envelope.push(Item::client_report("{\"a\":\n1}")).unwrap();
        let again = Envelope::parse(envelope.to_bytes()).unwrap();
        assert_eq!(again, envelope, "{input:?}");
        assert_eq!(again.items()[..before.len()], before, "{input:?}");
        envelope.retain(|item| before.contains(item));
        assert_eq!(envelope.to_bytes(), input, "taking it out again restores the input");
    }
}

/// EN-2: what is built always has a length, so a payload may have any bytes.
#[test]
fn built_items_have_a_length() {
    let envelope = Envelope::new().with_item(Item::new("anything", "a\nb\r\n\n")).unwrap();
    assert_eq!(envelope.to_bytes(), "{}\n{\"type\":\"anything\",\"length\":6}\na\nb\r\n\n\n");
    let again = Envelope::parse(envelope.to_bytes()).unwrap();
    assert_eq!(again, envelope);
}

/// EN-8: a payload that is given is the payload that is sent, not a copy.
#[test]
fn built_payloads_are_not_copied() {
    let payload = Bytes::from(vec![b'x'; 1 << 20]);
    let envelope = Envelope::new().with_item(Item::attachment("x", payload.clone())).unwrap();
    assert!(envelope.to_segments().chunks().any(|chunk| chunk.as_ptr() == payload.as_ptr()));
}

/// EN-2: containers say how many entries they have, and of what type.
#[test]
fn constructors_write_what_the_type_needs() {
    for (item, header) in [
        (
            Item::logs(2, "[]"),
            r#"{"type":"log","length":2,"item_count":2,"content_type":"application/vnd.sentry.items.log+json"}"#,
        ),
        (
            Item::metrics(1, ""),
            r#"{"type":"trace_metric","length":0,"item_count":1,"content_type":"application/vnd.sentry.items.trace-metric+json"}"#,
        ),
        (
            Item::spans(9, ""),
            r#"{"type":"span","length":0,"item_count":9,"content_type":"application/vnd.sentry.items.span.v2+json"}"#,
        ),
        (Item::profile_chunk("cocoa", ""), r#"{"type":"profile_chunk","length":0,"platform":"cocoa"}"#),
        (Item::transaction("{}"), r#"{"type":"transaction","length":2}"#),
        (Item::session("{}"), r#"{"type":"session","length":2}"#),
        (Item::sessions("{}"), r#"{"type":"sessions","length":2}"#),
        (Item::check_in("{}"), r#"{"type":"check_in","length":2}"#),
        (Item::feedback("{}"), r#"{"type":"feedback","length":2}"#),
        (Item::profile("{}"), r#"{"type":"profile","length":2}"#),
        (Item::replay_event("{}"), r#"{"type":"replay_event","length":2}"#),
        (Item::replay_recording("{}"), r#"{"type":"replay_recording","length":2}"#),
        (
            Item::attachment("a\"\nb", "").with_attachment_type("event.minidump"),
            r#"{"type":"attachment","length":0,"filename":"a\"\nb","attachment_type":"event.minidump"}"#,
        ),
    ] {
        assert_eq!(item.header_raw(), header);
    }
}

/// EN-4, EN-5: setting an attribute leaves every other byte alone, and replaces rather than doubles.
#[test]
fn attributes_are_set_in_place() {
    let mut envelope =
        Envelope::parse("{ \"a\": [1, 2] ,\"sent_at\" : \"2020-01-01T00:00:00Z\", \"z\":\"\\u0041\" }\n")
            .unwrap();
    envelope.set_sent_at(std::time::UNIX_EPOCH).unwrap();
    envelope.set_dsn(&Dsn::parse("https://k:secret@h/1").unwrap()).unwrap();
    envelope.set_sdk("my \"sdk\"", "1").unwrap();
    envelope.set_event_id(EventId::from_bytes([0xab; 16])).unwrap();
    assert_eq!(
        envelope.header_raw(),
        concat!(
            r#"{ "a": [1, 2] ,"sent_at" : "1970-01-01T00:00:00.000Z", "z":"\u0041" ,"dsn":"https://k@h/1","#,
            r#""sdk":{"name":"my \"sdk\"","version":"1"},"event_id":"abababababababababababababababab"}"#,
        )
    );
    assert_eq!(Envelope::parse(envelope.to_bytes()).unwrap(), envelope);
    envelope.set_attribute("event_id", r#""0f785fe9-fb1b-4bb5-9956-b6294a2cf864""#).unwrap();
    assert_eq!(envelope.event_id().unwrap().as_bytes()[0], 0x0f);
}

/// EN-3: nothing that is set can make a header that would not be read.
#[test]
fn what_cannot_be_read_cannot_be_set() {
    let mut envelope = Envelope::new();
    for (name, value) in [
        ("a", ""),
        ("a", "1,\"b\":2"),
        ("a", "1}\n{"),
        ("a", "[\n1]"),
        ("event_id", "1"),
        ("sent_at", "\"now\""),
        ("dsn", "\"\""),
        ("sdk", "[]"),
    ] {
        assert_eq!(envelope.set_attribute(name, value), Err(HeaderError::InvalidValue), "{name}: {value:?}");
        if name == "a" {
            assert!(Item::event("").with_attribute(name, value).is_err(), "{value:?}");
        }
    }
    let large = format!("\"{}\"", "x".repeat(MAX_HEADER_BYTES));
    assert!(matches!(envelope.set_attribute("a", &large), Err(HeaderError::TooLarge { .. })));
    assert!(matches!(Item::event("").with_attribute("a", &large), Err(HeaderError::TooLarge { .. })));
    assert_eq!(envelope.header_raw(), "{}");
}

/// AU-7: debugging an envelope shows neither payloads nor the header.
#[test]
fn debug_shows_no_data() {
    let input = "{\"dsn\":\"https://k:hunter2@h/1\"}\n{\"type\":\"event\",\"x\":\"hunter2\"}\n\"hunter2\"";
    let shown = format!("{:?}", Envelope::parse(input).unwrap());
    assert_eq!(shown, "Envelope { event_id: None, items: [Item { type: \"event\", payload_bytes: 9 }] }");
}

/// EN-2, EN-4: another payload under the same header, whatever bytes it has; neighbours stay as they are.
#[test]
fn a_rewritten_payload_keeps_its_header() {
    let mut envelope = Envelope::parse(INPUT).unwrap();
    envelope.rewrite(|item| (item.item_type().as_str() == "attachment").then(|| "x\ny".into()));
    let expected =
        INPUT.replace("{\"type\":\"attachment\"}\nabc\n", "{\"type\":\"attachment\",\"length\":3}\nx\ny\n");
    assert_eq!(envelope.to_bytes(), expected);
    assert_eq!(Envelope::parse(envelope.to_bytes()).unwrap(), envelope);

    let item = Item::attachment("a.txt", "12345").with_attribute("kept", "[1]").unwrap();
    let mut envelope = Envelope::new().with_item(item).unwrap();
    envelope.rewrite(|_| Some(Bytes::new()));
    let item = &envelope.items()[0];
    assert_eq!(
        (item.explicit_length(), item.attribute("kept"), item.payload().len()),
        (Some(0), Some("[1]"), 0)
    );

    envelope.rewrite(|_| None);
    assert_eq!(envelope.items()[0].filename().as_deref(), Some("a.txt"));
}

/// EN-2, EN-3: a header that has no room for the length that its new payload needs is replaced, so that what is written
/// can be read.
#[test]
fn a_rewritten_payload_is_readable_under_the_largest_header() {
    let filler = "x".repeat(MAX_HEADER_BYTES - r#"{"type":"a","x":""}"#.len());
    let input = format!("{{}}\n{{\"type\":\"a\",\"x\":\"{filler}\"}}\nold");
    let mut envelope = Envelope::parse(input).unwrap();
    envelope.rewrite(|_| Some("new\n{}".into()));
    assert_eq!(envelope.to_bytes(), "{}\n{\"type\":\"a\",\"length\":6}\nnew\n{}\n");
    assert_eq!(Envelope::parse(envelope.to_bytes()).unwrap(), envelope);
}
