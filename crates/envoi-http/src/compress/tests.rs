use bytes::Bytes;
use envoi_core::Segments;
use envoi_testkit::mock::MockExchange;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use proptest::prelude::*;
use tower::{Layer, ServiceExt};

use super::choose::{Sizes, Way, choose};
use super::pool::Pool;
use super::{CompressLayer, Encoding};

/// Decoders that share no code with the encoders.
mod decode {
    #[cfg(feature = "gzip")]
    pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
        // RFC 1952: ten bytes of header without optional fields, deflate, CRC-32, size.
        assert_eq!(&data[..4], [0x1f, 0x8b, 8, 0]);
        let (body, trailer) = data.split_at(data.len() - 8);
        let plain = miniz_oxide::inflate::decompress_to_vec(&body[10..]).unwrap();
        assert_eq!(trailer[..4], crc32(&plain).to_le_bytes());
        assert_eq!(trailer[4..], u32::try_from(plain.len()).unwrap().to_le_bytes());
        plain
    }

    #[cfg(feature = "gzip")]
    fn crc32(data: &[u8]) -> u32 {
        !data.iter().fold(u32::MAX, |crc, byte| {
            (0..8)
                .fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
        })
    }

    #[cfg(feature = "gzip")]
    pub(super) fn zlib(data: &[u8]) -> Vec<u8> {
        miniz_oxide::inflate::decompress_to_vec_zlib(data).unwrap()
    }

    #[cfg(feature = "br")]
    pub(super) fn brotli(mut data: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        brotli_decompressor::BrotliDecompress(&mut data, &mut plain).unwrap();
        plain
    }

    #[cfg(feature = "zstd")]
    pub(super) fn zstd(data: &[u8]) -> Vec<u8> {
        use std::io::Read;
        let mut plain = Vec::new();
        ruzstd::decoding::StreamingDecoder::new(data).unwrap().read_to_end(&mut plain).unwrap();
        plain
    }
}

fn decoded(encoding: Encoding, data: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Identity => data.to_vec(),
        #[cfg(feature = "gzip")]
        Encoding::Gzip => decode::gzip(data),
        #[cfg(feature = "gzip")]
        Encoding::Deflate => decode::zlib(data),
        #[cfg(feature = "br")]
        Encoding::Brotli => decode::brotli(data),
        #[cfg(feature = "zstd")]
        Encoding::Zstd => decode::zstd(data),
    }
}

/// Compressible, but not trivially so.
fn json(size: usize) -> Vec<u8> {
    let mut random = 0x9e37_79b9_u32;
    let mut text = Vec::with_capacity(size + 64);
    while text.len() < size {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        text.extend_from_slice(
            format!("{{\"id\":{random},\"level\":\"error\",\"tags\":[\"a\"]}}\n").as_bytes(),
        );
    }
    text.truncate(size);
    text
}

fn noise(size: usize) -> Vec<u8> {
    let mut random = 0x1234_5678_9abc_def0_u64;
    std::iter::repeat_with(|| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random.to_le_bytes()[3]
    })
    .take(size)
    .collect()
}

fn pieces(data: &[u8], size: usize) -> Segments {
    data.chunks(size).map(Bytes::copy_from_slice).collect()
}

async fn sent(layer: &CompressLayer, request: Request<Segments>) -> Request<Bytes> {
    let exchange = MockExchange::new();
    layer.layer(exchange.clone()).oneshot(request).await.unwrap();
    exchange.seen().remove(0).request
}

fn post(body: impl Into<Segments>) -> Request<Segments> {
    Request::post("http://localhost/")
        .header(CONTENT_TYPE, "application/x-sentry-envelope")
        .body(body.into())
        .unwrap()
}

/// CO-1: each coding is decoded back by a decoder of other authors, at every way through the layer and again with a
/// used encoder; deflate is the zlib format.
#[tokio::test]
async fn every_encoding_is_read_back_by_independent_decoders() {
    for &encoding in Encoding::ALL {
        let layer = CompressLayer::new(encoding).min_size(1).offload_above(20_000).stream_above(100_000);
        for size in [100, 5_000, 20_001, 99_999, 300_000, 5_000] {
            let body = json(size);
            let request = sent(&layer, post(pieces(&body, 7_777))).await;
            let named = request.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
            if encoding == Encoding::Identity {
                assert_eq!(named, None);
            } else if size > 100 {
                assert_eq!(named, Some(encoding.as_str().as_bytes()));
                assert!(request.body().len() < size / 2);
            }
            let plain =
                if named.is_some() { decoded(encoding, request.body()) } else { request.body().to_vec() };
            assert!(plain == body, "{encoding} {size}");
        }
    }
}

/// CO-1: the level counts (levels 9 and 1 differ), and a level beyond the coding's range is cut, not an error.
#[tokio::test]
async fn levels_are_configurable_and_cut_to_the_range() {
    let body = json(12_000);
    for &encoding in Encoding::ALL.iter().filter(|encoding| **encoding != Encoding::Identity) {
        let size = async |level| {
            let request = sent(&CompressLayer::new(encoding).level(level), post(body.clone())).await;
            if request.headers().contains_key(CONTENT_ENCODING) {
                assert!(decoded(encoding, request.body()) == body);
            }
            request.body().len()
        };
        assert_ne!(size(9).await, size(1).await, "{encoding}");
        assert_eq!(size(99).await, size(encoding.clamp(99)).await, "{encoding}");
        assert!(size(0).await <= body.len());
    }
}

/// CO-1: small bodies, bodies that are encoded already and media that are compressed by nature are left alone.
#[test]
fn what_does_not_pay_is_left_alone() {
    let sizes = Sizes { min: 1024, offload_above: 10_000, stream_above: 100_000 };
    let way = |headers: &[(HeaderName, &'static str)], size| {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        Encoding::ALL.iter().map(|encoding| choose(*encoding, &headers, size, sizes)).collect::<Vec<_>>()
    };
    let all = |way| {
        let mut ways = vec![way; Encoding::ALL.len()];
        ways[0] = Way::Plain; // identity
        ways
    };
    assert_eq!(way(&[], 0), all(Way::Plain));
    assert_eq!(way(&[], 1023), all(Way::Plain));
    assert_eq!(way(&[], 1024), all(Way::Inline));
    assert_eq!(way(&[], 10_000), all(Way::Inline));
    assert_eq!(way(&[], 10_001), all(Way::Offload));
    assert_eq!(way(&[], 100_000), all(Way::Offload));
    assert_eq!(way(&[], 100_001), all(Way::Stream));
    for media in
        ["image/png", "IMAGE/JPEG; q=1", "video/mp4", "application/zip", "application/gzip", "font/woff2"]
    {
        assert_eq!(way(&[(CONTENT_TYPE, media)], 5000), all(Way::Plain), "{media}");
    }
    for media in ["application/json", "image/svg+xml", "text/plain", "", "application/x-sentry-envelope"] {
        assert_eq!(way(&[(CONTENT_TYPE, media)], 5000), all(Way::Inline), "{media}");
    }
    assert_eq!(way(&[(CONTENT_ENCODING, "gzip")], 5000), all(Way::Plain));
}

/// CO-1: a body that does not shrink is sent as it is, whichever thread found out.
#[tokio::test]
async fn what_does_not_shrink_is_sent_as_it_is() {
    for &encoding in Encoding::ALL {
        for size in [2_000, 60_000] {
            let layer = CompressLayer::new(encoding).offload_above(50_000);
            let request = sent(&layer, post(noise(size))).await;
            assert!(!request.headers().contains_key(CONTENT_ENCODING), "{encoding}");
            assert!(request.body() == &noise(size));
        }
    }
}

/// AU-5, CO-1, CO-2: the content type stays; a content length that a codec has set is corrected, and removed where
/// the size is not known.
#[tokio::test]
async fn headers_tell_the_truth_about_the_compressed_body() {
    for &encoding in Encoding::ALL.iter().filter(|encoding| **encoding != Encoding::Identity) {
        let layer = CompressLayer::new(encoding).stream_above(50_000);
        let request = |size: usize| {
            let mut request = post(json(size));
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
            request
        };
        let known = sent(&layer, request(40_000)).await;
        assert_eq!(known.headers()[CONTENT_TYPE], "application/x-sentry-envelope");
        assert_eq!(known.headers()[CONTENT_LENGTH], known.body().len().to_string());
        let streamed = sent(&layer, request(60_000)).await;
        assert!(!streamed.headers().contains_key(CONTENT_LENGTH));
        assert!(decoded(encoding, streamed.body()) == json(60_000));
    }
}

/// CO-1: encoders are used again, by all services of a layer, and an abandoned one is not.
#[cfg(feature = "gzip")]
#[test]
fn encoders_are_used_again_unless_they_were_given_up() {
    let pool = Pool::new(Encoding::Gzip, 5);
    let body = pieces(&json(200_000), 1000);
    assert!(pool.compress(&body, || true).is_some());
    assert_eq!(pool.idle(), 1);
    let looks = std::cell::Cell::new(0);
    let given_up = pool.compress(&body, || {
        looks.set(looks.get() + 1);
        looks.get() < 3
    });
    assert!(given_up.is_none());
    assert_eq!(pool.idle(), 0);
    assert!(decode::gzip(&pool.compress(&body, || true).unwrap()) == json(200_000));
}

/// CO-1: outside a runtime everything is compressed in place; there is no panic.
#[cfg(feature = "gzip")]
#[test]
fn without_a_runtime_large_bodies_are_compressed_in_place() {
    let body = json(600_000);
    for layer in [CompressLayer::gzip(), CompressLayer::gzip().stream_above(300_000)] {
        let exchange = MockExchange::new();
        let call = layer.layer(exchange.clone()).oneshot(post(body.clone()));
        assert!(tokio_test::task::spawn(call).poll().is_ready());
        assert!(decode::gzip(exchange.seen()[0].request.body()) == body);
    }
}

/// CO-1: dropping the future while a thread compresses drops the request; nothing is sent.
#[cfg(feature = "gzip")]
#[tokio::test]
async fn a_dropped_call_is_not_sent() {
    let exchange = MockExchange::new();
    let service = CompressLayer::gzip().layer(exchange.clone());
    let mut call = tokio_test::task::spawn(service.oneshot(post(json(2_000_000))));
    assert!(call.poll().is_pending());
    drop(call);
    tokio::task::yield_now().await;
    assert!(exchange.seen().is_empty());
}

/// CO-1, RFC 9659: no level of zstd asks the receiver for a window above 8 MiB.
#[cfg(feature = "zstd")]
#[test]
fn zstd_windows_stay_within_the_limit_of_the_content_coding() {
    for level in [1, 3, 19, 20, 22] {
        let frame = Pool::new(Encoding::Zstd, level).compress(&pieces(&json(3000), 1000), || true).unwrap();
        // RFC 8878 §3.1.1: the descriptor without the single-segment flag is followed by the window.
        assert_eq!(frame[4] & 0x20, 0);
        let (exponent, mantissa) = (u32::from(frame[5] >> 3), u64::from(frame[5] & 7));
        let base = 1_u64 << (10 + exponent);
        assert!(base + base / 8 * mantissa <= 8 * 1024 * 1024, "{level}");
    }
}

#[cfg(feature = "gzip")]
mod streamed {
    use std::pin::Pin;
    use std::sync::Arc;

    use http_body::Body;
    use http_body_util::BodyExt;

    use super::super::stream::{CompressedStream, SLAB};
    use super::*;

    /// CO-2: whatever the size of the body, it is read one slab at a time and never ahead of the connection by more
    /// than one: after each frame, at most one more slab of the input has been taken.
    #[tokio::test]
    async fn compression_never_runs_ahead_by_more_than_one_slab() {
        const SLABS: usize = 12;
        let drops = envoi_testkit::Drops::new();
        // One tracked piece per slab: it is released when the slab has been compressed.
        let body: Segments = (0..SLABS).map(|_| drops.bytes(noise(SLAB))).collect();
        let mut stream = CompressedStream::new(&body, Arc::new(Pool::new(Encoding::Gzip, 1)));
        drop(body);
        assert_eq!(drops.alive(), SLABS, "nothing is compressed before the first poll");
        for done in 1..SLABS {
            let frame = stream.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(frame.len() < 2 * SLAB, "one slab, and what the encoder had held back");
            assert!(drops.alive() >= SLABS - done - 1, "{done}");
            assert!(!stream.is_end_stream());
        }
        let rest = stream.collect().await.unwrap().to_bytes();
        assert!(rest.len() < 2 * SLAB);
        assert_eq!(drops.alive(), 0);
    }

    /// CO-2: a body that shrinks to almost nothing gives no empty frames, and ends.
    #[tokio::test]
    async fn no_frame_is_empty() {
        let zeros = vec![0; 20 * SLAB + 17];
        let mut stream =
            CompressedStream::new(&pieces(&zeros, 3 * SLAB + 1), Arc::new(Pool::new(Encoding::Gzip, 5)));
        let mut whole = Vec::new();
        while let Some(frame) = stream.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(!data.is_empty());
            whole.extend_from_slice(&data);
        }
        assert!(stream.is_end_stream());
        assert_eq!(Pin::new(&stream).size_hint().exact(), None);
        assert!(decode::gzip(&whole) == zeros);
    }
}

#[test]
fn names_of_encodings_are_read_and_written() {
    for &encoding in Encoding::ALL {
        assert_eq!(encoding.to_string().to_uppercase().parse(), Ok(encoding));
    }
    let error = "a-very-long-name-that-nobody-would-ever-give".parse::<Encoding>().unwrap_err().to_string();
    assert!(error.contains("\"a-very-long-name-that-nobody-wou\""), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// CO-1: any body in any pieces survives every coding at every level.
    #[test]
    fn any_body_survives_every_coding(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..800), 0..6),
        repeat in 1_usize..12,
        level in 0_u32..30,
    ) {
        let parts: Vec<Bytes> =
            parts.iter().map(|part| Bytes::from(part.repeat(repeat))).collect();
        let body = Segments::from(parts);
        for &encoding in Encoding::ALL.iter().filter(|encoding| **encoding != Encoding::Identity) {
            // Brotli's highest levels take long, and are not another code path.
            let pool = Pool::new(encoding, encoding.clamp(level.min(9)));
            for _ in 0..2 {
                if let Some(small) = pool.compress(&body, || true) {
                    prop_assert!((small.len() as u64) < body.len());
                    prop_assert!(decoded(encoding, &small) == body.to_bytes());
                }
            }
        }
    }
}
