use std::pin::pin;
use std::task::{Context, Waker};

use http_body_util::BodyExt;
use proptest::prelude::*;

use super::*;

fn frames(body: Segments) -> Vec<Bytes> {
    let mut body = pin!(body);
    let mut context = Context::from_waker(Waker::noop());
    let mut frames = Vec::new();
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
        frames.push(frame.into_data().expect("segments have data frames only"));
    }
    assert!(body.is_end_stream());
    assert!(body.as_mut().poll_frame(&mut context).is_ready(), "a finished body stays finished");
    frames
}

fn pieces(texts: &[&'static str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
}

/// EN-8, AU-5: an envelope of k items is framed without copying a payload byte, and its size is exact.
#[test]
fn frames_are_the_same_memory_as_the_pieces() {
    let payloads: Vec<Bytes> = (1..=5).map(|size| Bytes::from(vec![7; size * 1000])).collect();
    let body: Segments = payloads.iter().cloned().collect();
    assert_eq!(body.size_hint().exact(), Some(15_000));
    let out = frames(body);
    assert_eq!(out.len(), payloads.len());
    for (out, payload) in out.iter().zip(&payloads) {
        assert_eq!((out.as_ptr(), out.len()), (payload.as_ptr(), payload.len()));
    }
}

#[test]
fn a_vec_of_one_keeps_its_memory_and_its_list_is_not_kept() {
    let payload = Bytes::from(vec![1, 2, 3]);
    let body = Segments::from(vec![payload.clone()]);
    assert!(matches!(body.parts, Parts::One(_)));
    assert_eq!(body.to_bytes().as_ptr(), payload.as_ptr());
}

#[test]
fn empty_pieces_are_never_framed() {
    let body: Segments = pieces(&["", "a", "", "", "b", ""]).into_iter().collect();
    assert_eq!(body.chunks().count(), 2);
    assert_eq!(frames(body), pieces(&["a", "b"]));
    for empty in [Segments::default(), Segments::from(Vec::<Bytes>::new()), pieces(&["", ""]).into()] {
        assert!(empty.is_empty());
        assert!(empty.is_end_stream());
        assert_eq!(empty.to_bytes(), Bytes::new());
        assert_eq!(frames(empty), Vec::<Bytes>::new());
    }
}

#[test]
fn a_clone_is_read_on_its_own() {
    let mut read = Segments::from(pieces(&["one", "two", "three"]));
    let untouched = read.clone();
    assert_eq!(read.pop().as_deref(), Some(&b"one"[..]));
    let from_here = read.clone();
    assert_eq!(frames(read), pieces(&["two", "three"]));
    assert_eq!(frames(from_here), pieces(&["two", "three"]));
    assert_eq!(frames(untouched), pieces(&["one", "two", "three"]));
}

#[test]
fn sizes_follow_what_was_read() {
    let mut body = Segments::from(pieces(&["four", "", "to", "go"]));
    for left in [8, 4, 2, 0] {
        assert_eq!(body.len(), left);
        assert_eq!(body.size_hint().exact(), Some(left));
        assert_eq!(body.is_end_stream(), left == 0);
        assert_eq!(body.to_bytes().len() as u64, left);
        body.pop();
    }
    assert_eq!(body.pop(), None);
    assert_eq!(body.len(), 0);
}

#[test]
fn everything_that_is_bytes_becomes_segments() {
    for body in [
        Segments::from("text"),
        String::from("text").into(),
        b"text".to_vec().into(),
        Bytes::from_static(b"text").into(),
    ] {
        assert_eq!((body.len(), &*body.to_bytes()), (4, &b"text"[..]));
    }
}

/// What hyper asks for: a body that collects to the concatenation, without trailers.
#[tokio::test]
async fn collects_as_a_body() {
    let body: Segments = pieces(&["{}\n", "{\"type\":\"event\"}\n", "{}"]).into_iter().collect();
    let collected = body.collect().await.expect("segments cannot fail");
    assert!(collected.trailers().is_none());
    assert_eq!(collected.to_bytes(), "{}\n{\"type\":\"event\"}\n{}");
}

proptest! {
    /// EN-8: for any pieces and any point of interruption, what was read and what is left are the concatenation.
    #[test]
    fn read_and_rest_are_the_concatenation(
        list in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..12),
        reads in 0_usize..14,
    ) {
        let whole = list.concat();
        let mut body: Segments = list.into_iter().map(Bytes::from).collect();
        prop_assert_eq!(body.len(), whole.len() as u64);
        let mut read = Vec::new();
        for _ in 0..reads {
            if let Some(piece) = body.pop() {
                prop_assert!(!piece.is_empty());
                read.extend_from_slice(&piece);
            }
        }
        prop_assert_eq!(body.size_hint().exact(), Some((whole.len() - read.len()) as u64));
        prop_assert_eq!(body.chunks().map(Bytes::len).sum::<usize>(), whole.len() - read.len());
        let rest = body.to_bytes();
        prop_assert_eq!(&frames(body).concat(), &rest);
        read.extend_from_slice(&rest);
        prop_assert_eq!(read, whole);
    }
}
