use crate::ParseErrorKind as Kind;
use crate::{Envelope, ItemType, Leniency, MAX_HEADER_BYTES, MAX_ITEMS, ParseError, Stage};

fn read(input: &str) -> Envelope {
    Envelope::parse(input.to_owned()).unwrap_or_else(|error| panic!("{input:?}: {error}"))
}

fn fault(input: impl Into<bytes::Bytes>) -> ParseError {
    let input = input.into();
    Envelope::parse(input.clone()).map_or_else(|error| error, |envelope| panic!("{input:?}: {envelope:?}"))
}

fn payloads(envelope: &Envelope) -> Vec<&[u8]> {
    envelope.items().iter().map(|item| item.payload().as_ref()).collect()
}

/// EN-1, EN-2: explicit and implicit lengths, empty payloads, an optional final newline, CR in payloads.
#[test]
fn every_form_of_an_item_is_read() {
    let explicit = read("{}\n{\"type\":\"a\",\"length\":3}\nx\ny\n{\"type\":\"b\",\"length\":0}\n\n");
    assert_eq!(payloads(&explicit), [&b"x\ny"[..], b""]);
    assert_eq!(explicit.items()[0].explicit_length(), Some(3));

    let implicit = read("{}\n{\"type\":\"a\"}\none\r\n{\"type\":\"b\"}\n\n{\"type\":\"c\"}\ntwo");
    assert_eq!(payloads(&implicit), [&b"one\r"[..], b"", b"two"]);
    assert_eq!(implicit.items()[0].explicit_length(), None);
}

/// EN-1, decision 23: a header alone is an envelope, and an item header may end the input.
#[test]
fn headers_may_end_the_input() {
    for input in ["{}", "{}\n"] {
        assert!(read(input).is_empty(), "{input:?}");
    }
    for input in [
        "{}\n{\"type\":\"a\"}",
        "{}\n{\"type\":\"a\"}\n",
        "{}\n{\"type\":\"a\"}\n\n",
        "{}\n{\"type\":\"a\",\"length\":0}",
        "{}\n{\"type\":\"a\",\"length\":0}\n",
        "{}\n{\"type\":\"a\",\"length\":0}\n\n",
    ] {
        assert_eq!(payloads(&read(input)), [b""], "{input:?}");
    }
}

/// EN-3, decision 23: what is malformed, how it is called and where it is.
#[test]
fn faults_are_named_and_placed() {
    let header = (Stage::EnvelopeHeader, None);
    let item = |index| (Stage::ItemHeader, Some(index));
    let between = |index| (Stage::BetweenItems, Some(index));
    for (input, kind, (stage, index), offset) in [
        ("", Kind::MissingHeader, header, 0),
        ("\n{}", Kind::MissingHeader, header, 0),
        ("\u{feff}{}", Kind::ByteOrderMark, header, 0),
        ("{}\r\n", Kind::CarriageReturn, header, 2),
        ("{} ", Kind::Padding, header, 2),
        ("\t{}", Kind::Padding, header, 0),
        ("{\n}\n", Kind::InvalidJson, header, 0),
        ("{\"a\":}", Kind::InvalidJson, header, 5),
        ("{}{}", Kind::InvalidJson, header, 2),
        ("hello", Kind::InvalidJson, header, 0),
        ("{}\n[]\n", Kind::NotAnObject, item(0), 3),
        ("{}\n{\"type\":\"a\"}\r\n", Kind::CarriageReturn, item(0), 15),
        ("{}\n{}\n", Kind::MissingType, item(0), 3),
        ("{}\n{\"type\":7}\n", Kind::InvalidAttribute, item(0), 11),
        ("{}\n{\"type\":null}\n", Kind::InvalidAttribute, item(0), 11),
        ("{}\n{\"type\":\"a\",\"type\":\"b\"}\n", Kind::DuplicateAttribute, item(0), 22),
        ("{}\n{\"type\":\"a\",\"length\":-1}\n", Kind::InvalidLength, item(0), 24),
        ("{}\n{\"type\":\"a\",\"length\":2.0}\n", Kind::InvalidLength, item(0), 24),
        ("{}\n{\"type\":\"a\",\"length\":\"2\"}\n", Kind::InvalidLength, item(0), 24),
        ("{}\n{\"type\":\"a\",\"length\":null}\n", Kind::InvalidLength, item(0), 24),
        ("{}\n{\"type\":\"a\",\"length\":99999999999999999999}\n", Kind::InvalidLength, item(0), 24),
        ("{}\n{\"type\":\"a\",\"length\":1,\"length\":1}\nx", Kind::DuplicateAttribute, item(0), 35),
        ("{}\n{\"type\":\"a\",\"item_count\":-1}\n", Kind::InvalidAttribute, item(0), 28),
        ("{}\n{\"type\":\"a\",\"filename\":1}\n", Kind::InvalidAttribute, item(0), 26),
        ("{}\n{\"type\":\"a\"}\nx\n\n", Kind::BlankLine, between(1), 18),
        ("{}\n\n", Kind::BlankLine, between(0), 3),
        ("{}\n{\"type\":\"a\",\"length\":1}\nxy\n", Kind::JunkAfterPayload, between(0), 28),
        ("{}\n{\"type\":\"a\",\"length\":1}\nx\r\n", Kind::JunkAfterPayload, between(0), 28),
    ] {
        let error = fault(input.to_owned());
        let found = (error.kind(), error.stage(), error.item(), error.offset());
        assert_eq!(found, (kind, stage, index, offset), "{input:?}: {error}");
    }
}

/// EN-3: a length beyond the end, up to the largest number there is.
#[test]
fn a_length_beyond_the_end_is_a_fault() {
    for length in ["3", "18446744073709551615"] {
        let error = fault(format!("{{}}\n{{\"type\":\"a\",\"length\":{length}}}\nxy"));
        assert_eq!((error.kind(), error.stage()), (Kind::TruncatedPayload, Stage::Payload));
        assert!(error.to_string().ends_with("bytes, 2 are left"), "{error}");
    }
}

/// EN-3, decision 23: attributes that are known must be right; their values are not forwarded to be guessed at.
#[test]
fn known_attributes_of_the_envelope_are_checked() {
    for bad in [
        r#"{"event_id":"1234"}"#,
        r#"{"event_id":5}"#,
        r#"{"event_id":null}"#,
        r#"{"sent_at":"yesterday"}"#,
        r#"{"sent_at":1795320770.5}"#,
        r#"{"dsn":"sentry.io"}"#,
        r#"{"sdk":"rust"}"#,
    ] {
        assert_eq!(fault(bad).kind(), Kind::InvalidAttribute, "{bad}");
    }
    let twice = r#"{"sent_at":"2026-11-22T04:12:46Z","sent_at":"2026-11-22T04:12:46Z"}"#;
    assert_eq!(fault(twice).kind(), Kind::DuplicateAttribute);
    assert!(!fault(r#"{"dsn":"https://public:hunter2@/1"}"#).to_string().contains("hunter2"));
}

/// EN-4, decision 23: unknown types, an empty type and unknown attributes are no fault; the last of doubles wins.
#[test]
fn unknown_types_and_attributes_are_kept() {
    let input = "{\"x\":1,\"x\":[{}]}\n{\"type\":\"\",\"y\":null}\na\n{\"type\":\"hologram\"}\nb";
    let envelope = read(input);
    assert_eq!(envelope.attribute("x"), Some("[{}]"));
    assert_eq!(envelope.items()[0].item_type().as_str(), "");
    assert_eq!(envelope.items()[0].attribute("y"), Some("null"));
    assert_eq!(envelope.items()[1].item_type(), &ItemType::Other("hologram".into()));
    assert_eq!(envelope.to_bytes(), input);
}

/// EN-5: what headers say, with escapes, and ids in both forms.
#[test]
fn attributes_are_read() {
    let envelope = read(concat!(
        r#"{"event\u005fid":"0F785FE9-fb1b-4bb5-9956-b6294a2cf864","sent_at":"2026-11-22T04:12:46Z","#,
        r#""dsn":"https:\/\/k@h\/1","sdk":{"name":"x"},"trace":{"a":"b"}}"#,
        "\n",
        r#"{"type":"attachment","filename":"a\"b\u00e9","content_type":"text/plain","attachment_type":"t","#,
        r#""platform":"cocoa","item_count":7}"#,
        "\n",
    ));
    assert_eq!(envelope.event_id().unwrap().to_string(), "0f785fe9fb1b4bb59956b6294a2cf864");
    assert_eq!(crate::rfc3339(envelope.sent_at().unwrap()), "2026-11-22T04:12:46.000Z");
    assert_eq!(envelope.dsn().unwrap().to_string(), "https://k@h/1");
    assert_eq!((envelope.sdk(), envelope.trace()), (Some(r#"{"name":"x"}"#), Some(r#"{"a":"b"}"#)));
    let item = &envelope.items()[0];
    assert_eq!(item.filename().as_deref(), Some("a\"bé"));
    assert_eq!(item.content_type().as_deref(), Some("text/plain"));
    assert_eq!(item.attachment_type().as_deref(), Some("t"));
    assert_eq!(item.platform().as_deref(), Some("cocoa"));
    assert_eq!(item.item_count(), Some(7));
}

/// EN-3, decision 23: headers are bounded, to the byte.
#[test]
fn headers_are_bounded() {
    let header = |size: usize| format!("{{\"x\":\"{}\"}}", "y".repeat(size - 8));
    assert_eq!(read(&header(MAX_HEADER_BYTES)).header_raw().len(), MAX_HEADER_BYTES);
    for input in [header(MAX_HEADER_BYTES + 1), "y".repeat(MAX_HEADER_BYTES + 1)] {
        assert_eq!(fault(input).kind(), Kind::HeaderTooLarge);
    }
    let error = fault(format!("{{}}\n{}\n", header(MAX_HEADER_BYTES + 1)));
    assert_eq!((error.kind(), error.offset()), (Kind::HeaderTooLarge, 3));
}

/// EN-3: the deepest nesting that fits, the most items, bytes that are not UTF-8: faults at worst.
#[test]
fn hostile_input_costs_little() {
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(read(&deep).attribute("x").map(str::len), Some(60_001));
    assert_eq!(fault("{\"x\":".to_owned() + &"[".repeat(60_000)).kind(), Kind::InvalidJson);

    let mut many = "{}\n".to_owned() + &"{\"type\":\"a\"}\n\n".repeat(MAX_ITEMS);
    assert_eq!(read(&many).items().len(), MAX_ITEMS);
    many.push_str("{\"type\":\"a\"}");
    assert_eq!(fault(many).kind(), Kind::TooManyItems);

    let error = fault(&b"{\"x\":\"\xff\"}"[..]);
    assert_eq!((error.kind(), error.offset()), (Kind::InvalidUtf8, 6));
}

/// Decision 24: the lenient mode lets three things pass, says which, and writes the strict grammar.
#[test]
fn the_lenient_mode_says_what_it_let_pass() {
    use Leniency::{BlankLine, CarriageReturn, Padding};
    let strict = "{}\n{\"type\":\"a\",\"length\":1}\nx\n{\"type\":\"b\",\"length\":1}\ny\n";
    for (input, expected) in [
        (strict.to_owned(), &[][..]),
        (strict.replace('\n', "\r\n"), &[CarriageReturn]),
        (strict.replace("x\n", "x\n\n\n") + "\n", &[BlankLine]),
        (strict.replace('{', " {").replace("x\n", "x \t\n"), &[Padding]),
        (strict.replace("x\n", "x\n \r\n"), &[BlankLine]),
        (strict.trim_end().to_owned() + "  ", &[Padding]),
    ] {
        let parsed = Envelope::parse_lenient(input.clone()).unwrap();
        assert_eq!(parsed.leniences.iter().collect::<Vec<_>>(), expected, "{input:?}");
        assert_eq!(parsed.leniences.is_empty(), expected.is_empty());
        assert_eq!(parsed.envelope.to_bytes(), strict, "{input:?}");
        assert_eq!(Envelope::parse(input).is_ok(), expected.is_empty());
    }
    let parsed = Envelope::parse_lenient("{}\r\n{\"type\":\"a\"}\r\nx\r\n").unwrap();
    assert_eq!(parsed.envelope.items()[0].payload(), "x\r", "a payload is never changed");
    assert_eq!(parsed.leniences.to_string(), "carriage_return");
}

/// Decision 24: all else stays a fault.
#[test]
fn the_lenient_mode_is_not_careless() {
    for (input, kind) in [
        ("\n{}", Kind::MissingHeader),
        ("  \n{}", Kind::MissingHeader),
        ("\u{feff}{}", Kind::ByteOrderMark),
        ("{}\n{\"type\":\"a\",\"length\":1}\nxy\n", Kind::JunkAfterPayload),
        ("{}\n{\"type\":\"a\",\"length\":9}\nxy\n", Kind::TruncatedPayload),
        ("{}\n{}\n", Kind::MissingType),
    ] {
        assert_eq!(Envelope::parse_lenient(input).unwrap_err().kind(), kind, "{input:?}");
    }
}
