//! Batches as payloads: weighed, counted, emptied, written and read.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use envoi_batch::{
    Batch, Category, EmptyBatch, Event, Framing, JsonArrayCodec, MAX_BATCH_BYTES, MAX_BATCH_EVENTS,
    MalformedBatch,
};
use envoi_core::{Codec, Durable, Itemized, Payload};
use proptest::prelude::*;
use serde_json::Value;

fn batch(events: &[&str]) -> Batch {
    events.iter().map(|json| Event::from_json((*json).to_owned()).unwrap()).collect()
}

fn tally(batch: &Batch) -> u64 {
    let mut sum = 0;
    batch.tally(&mut |category, quantity| {
        assert_eq!(*category, Category::EVENT);
        sum += quantity;
    });
    sum
}

/// BD-8: a batch weighs its events and the bytes of its array, and each event is counted once.
#[test]
fn a_batch_is_weighed_and_counted() {
    for (events, array) in [(&["1", "{}"][..], "[1,{}]"), (&["\"a\""], "[\"a\"]"), (&[], "[]")] {
        let batch = batch(events);
        assert_eq!((batch.weight().items, batch.weight().bytes), (events.len(), array.len()));
        assert_eq!(tally(&batch), events.len() as u64);
        assert_eq!((batch.is_empty(), batch.is_spent()), (events.is_empty(), events.is_empty()));
    }
}

/// BD-5: what is dropped on the way is counted, once, and nothing is left that would be counted again.
#[test]
fn a_limit_takes_the_whole_batch() {
    let (mut held, mut lost) = (batch(&["1", "2"]), 0);
    held.shed(&mut |_| false, &mut |_, quantity| lost += quantity);
    assert!(
        lost == 0
            && !held.is_held(&mut |_| false)
            && held.is_held(&mut |category| *category == Category::EVENT)
    );
    held.clear(&mut |_, quantity| lost += quantity);
    assert_eq!((lost, tally(&held), held.is_spent(), held.is_held(&mut |_| true)), (2, 0, true, false));
    let mut groups = 0;
    assert!(batch(&["1", "2"]).holders(&mut |group| groups += usize::from(group == [Category::EVENT])));
    assert!(batch(&[]).holders(&mut |_| groups += 100));
    assert_eq!(groups, 1);
}

/// BD-8: a clone shares the events.
#[test]
fn a_clone_is_cheap() {
    let one = batch(&["1", "2"]);
    let other = one.clone();
    assert_eq!(one.events().as_ptr(), other.events().as_ptr());
}

/// BD-1: the request is the array, in one piece as long as the events are small.
#[test]
fn the_request_is_the_array() {
    let batch = batch(&["{\"a\":1}", "[2]", "3"]);
    let codec = JsonArrayCodec::new("http://logs.example:8080/v1?x=y".parse().unwrap());
    let request = codec.encode(&batch).unwrap();
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1"));
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.headers().len(), 1, "credentials and encodings are others' business");
    assert_eq!(request.body().to_bytes(), "[{\"a\":1},[2],3]");
    assert_eq!(request.body().len(), batch.weight().bytes as u64);
    assert_eq!(request.body().chunks().count(), 1);
    let lines = codec.framing(Framing::Lines).encode(&batch).unwrap();
    assert_eq!(lines.body().to_bytes(), "{\"a\":1}\n[2]\n3\n");
    assert_eq!(lines.headers()["content-type"], "application/x-ndjson");
}

/// BD-1: a large event is not copied, wherever it stands among small ones.
#[test]
fn large_events_are_not_copied() {
    let large = format!("\"{}\"", "x".repeat(10_000));
    let batch = batch(&[&large, "1", "2", &large, &large, "3"]);
    for framing in [Framing::Array, Framing::Lines] {
        let codec = JsonArrayCodec::new("http://logs.example/".parse().unwrap()).framing(framing);
        let body = codec.encode(&batch).unwrap().into_body();
        for number in [0, 3, 4] {
            let event = batch.events()[number].as_bytes().as_ptr();
            assert!(body.chunks().any(|chunk| chunk.as_ptr() == event), "{framing:?}: {number}");
        }
        assert!(body.chunks().count() <= 7);
        let bytes = body.to_bytes();
        assert_eq!(bytes.len() as u64, body.len());
        let values = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
        let count = match framing {
            Framing::Lines => values.map(Result::unwrap).count(),
            _ => serde_json::from_slice::<Vec<Value>>(&bytes).unwrap().len(),
        };
        assert_eq!(count, 6);
    }
}

/// BD-8: there is no request about nothing.
#[test]
fn an_empty_batch_makes_no_request() {
    let codec = JsonArrayCodec::new("http://logs.example/".parse().unwrap());
    assert!(codec.encode(&batch(&[])).unwrap_err().is::<EmptyBatch>());
}

/// OC-1, OC-5: a batch rests as bytes that say how many events there should be.
#[test]
fn a_batch_outlives_its_process() {
    let one = batch(&["{\"a\":1}", "\"b\\nc\""]);
    let bytes = one.freeze().unwrap();
    assert_eq!(bytes, "{\"envoi\":\"batch\",\"version\":1,\"events\":2}\n{\"a\":1}\n\"b\\nc\"\n");
    assert_eq!(Batch::thaw(bytes.clone()).unwrap(), one);
    assert!(one.is_worth_storing());
    let shared = Batch::from_bytes(bytes.clone()).unwrap();
    assert!(bytes.as_ptr_range().contains(&shared.events()[0].as_bytes().as_ptr()), "not copied");
}

/// OC-5: what is damaged is refused with the reason, and never used in part.
#[test]
fn damaged_batches_are_refused() {
    let read = |text: &str| Batch::from_bytes(text.to_owned()).unwrap_err();
    let head = |events: &str| format!("{{\"envoi\":\"batch\",\"version\":1,\"events\":{events}}}\n");
    assert!(matches!(read(""), MalformedBatch::NoHeader));
    assert!(matches!(read("{\"envoi\":\"spool\",\"version\":1,\"events\":0}\n"), MalformedBatch::NoHeader));
    assert!(matches!(read(&" ".repeat(5000)), MalformedBatch::NoHeader));
    assert!(matches!(read("{}\n"), MalformedBatch::Header(_)));
    assert!(matches!(read(&head("-1")), MalformedBatch::Header(_)));
    assert!(matches!(read("{\"envoi\":\"batch\",\"version\":2,\"events\":0}\n"), MalformedBatch::Version(2)));
    assert!(matches!(read(&(head("2") + "1\n")), MalformedBatch::Count { said: 2, found: 1 }));
    assert!(matches!(read(&(head("1") + "1\n2\n")), MalformedBatch::Count { said: 1, found: 2 }));
    assert!(matches!(read(&(head("1") + "1\n2")), MalformedBatch::Count { said: 1, found: 1 }));
    assert!(matches!(read(&(head("2") + "1\n{\n")), MalformedBatch::Event { number: 2, .. }));
    // Lines that the header knows nothing of are counted, not gathered.
    let surplus = head("1") + "1\n" + &"{\n".repeat(1000);
    assert!(matches!(read(&surplus), MalformedBatch::Count { said: 1, found: 1001 }));
    let many = (MAX_BATCH_EVENTS + 1).to_string();
    assert!(matches!(read(&head(&many)), MalformedBatch::TooLarge { .. }));
    let large = Bytes::from(vec![b' '; MAX_BATCH_BYTES + 1]);
    assert!(matches!(Batch::from_bytes(large).unwrap_err(), MalformedBatch::TooLarge { .. }));
    let mut text = vec![b'x'; MAX_BATCH_BYTES];
    (text[0], text[MAX_BATCH_BYTES - 1]) = (b'"', b'"');
    let too_large = Batch::new([Event::from_json(text).unwrap()]);
    assert!(too_large.freeze().unwrap_err().to_string().contains("too large to be stored"));
}

proptest! {
    /// OC-5: any batch comes back as it was, and a cut anywhere is noticed.
    #[test]
    fn any_batch_comes_back(values in prop::collection::vec(any::<String>(), 0..20), cut in any::<prop::sample::Index>()) {
        let batch: Batch = values.iter().map(|value| Event::new(value).unwrap()).collect();
        let bytes = batch.to_bytes().unwrap();
        prop_assert_eq!(&Batch::from_bytes(bytes.clone()).unwrap(), &batch);
        prop_assert!(Batch::from_bytes(bytes.slice(..cut.index(bytes.len()))).is_err());
    }

    /// OC-5: any bytes are a batch or an error.
    #[test]
    fn any_bytes_are_read(
        head in prop_oneof![Just("{\"envoi\":\"batch\",\"version\":1,\"events\":2}\n"), Just("")],
        bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'1'), any::<u8>()], 0..40),
    ) {
        if let Ok(batch) = Batch::from_bytes([head.as_bytes(), &bytes].concat()) {
            prop_assert_eq!(batch.len(), 2);
            prop_assert_eq!(Batch::from_bytes(batch.to_bytes().unwrap()).unwrap(), batch);
        }
    }

    /// BD-8: what is sent is one JSON array of the events, in both framings.
    #[test]
    fn any_batch_is_one_array(values in prop::collection::vec(any::<String>(), 1..20)) {
        let batch: Batch = values.iter().map(|value| Event::new(value).unwrap()).collect();
        let codec = JsonArrayCodec::new("http://logs.example/".parse().unwrap());
        let body = codec.encode(&batch).unwrap().into_body().to_bytes();
        let sent: Vec<String> = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(&sent, &values);
        let body = codec.framing(Framing::Lines).encode(&batch).unwrap().into_body().to_bytes();
        let lines: Vec<Value> = serde_json::Deserializer::from_slice(&body).into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(lines.len(), values.len());
        prop_assert_eq!(body.iter().filter(|byte| **byte == b'\n').count(), values.len());
    }
}
