use std::io::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use envoi_testkit::corpus;
use envoi_testkit::ingest::{Encoding, IngestServer, Problem};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::StatusCode;

use crate::support::{AUTH, ENVELOPE, client, head, post, raw, send, whole};

const ALL: [Encoding; 4] = [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd];

fn encode(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        Encoding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        Encoding::Brotli => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 1, 20);
            encoder.write_all(plain).unwrap();
            encoder.into_inner()
        }
        Encoding::Zstd => zstd::stream::encode_all(plain, 1).unwrap(),
        _ => unreachable!("there are four"),
    }
}

async fn send_encoded(server: &IngestServer, encoding: &str, body: impl Into<Bytes>) -> (StatusCode, String) {
    let mut request = post(server, body);
    request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
    let (status, _, body) = whole(client().request(request).await.unwrap()).await;
    (status, body)
}

/// CO-1: all four encodings are decoded, large and small.
#[tokio::test]
async fn every_encoding_is_decoded() {
    let server = IngestServer::start().await.unwrap();
    for name in ["python-error_gzip_big.event.envelope", "rust-session.session.envelope"] {
        let plain = corpus::get(name).unwrap().bytes;
        for encoding in ALL {
            let wire = encode(encoding, plain);
            let (status, body) = send_encoded(&server, encoding.as_str(), wire.clone()).await;
            assert_eq!(status, StatusCode::OK, "{encoding:?}: {body}");
            let record = server.requests().pop().unwrap();
            assert_eq!((&record.body[..], &record.wire[..]), (plain, &wire[..]), "{encoding:?}");
            assert_eq!(record.encoding, Some(encoding));
        }
        assert_eq!(send_encoded(&server, "identity", plain).await.0, StatusCode::OK);
    }
}

/// CO-2: chunked bodies, in chunks of any size.
#[tokio::test]
async fn a_chunked_body_is_read() {
    let server = IngestServer::start().await.unwrap();
    let (start, end) = ENVELOPE.split_at(20);
    let head = head(0).replace("content-length: 0", "transfer-encoding: chunked\r\nconnection: close");
    let chunk = |data: &str| format!("{:x}\r\n{data}\r\n", data.len());
    let request = format!("{head}{}{}0\r\n\r\n", chunk(start), chunk(end));
    let answer = raw(server.address(), request).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
    assert_eq!(server.requests()[0].problems, []);
    assert_eq!(server.envelopes()[0].to_bytes(), ENVELOPE);
}

#[tokio::test]
async fn what_cannot_be_decoded_is_refused() {
    let server = IngestServer::start().await.unwrap();
    for encoding in ALL {
        let wire = encode(encoding, ENVELOPE.as_bytes());
        let cut = wire[..wire.len() - 5].to_vec();
        for bad in [cut, b"not encoded at all".to_vec()] {
            let (status, body) = send_encoded(&server, encoding.as_str(), bad).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{encoding:?}: {body}");
            let problems = server.requests().pop().unwrap().problems.clone();
            assert!(matches!(problems[..], [Problem::Decode(_)]), "{encoding:?}: {problems:?}");
        }
    }
    let trailing = [encode(Encoding::Deflate, ENVELOPE.as_bytes()), b"more".to_vec()].concat();
    assert_eq!(send_encoded(&server, "deflate", trailing).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(send_encoded(&server, "lzma", ENVELOPE).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send_encoded(&server, "gzip, br", ENVELOPE).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send(&server, ENVELOPE).await.0, StatusCode::OK, "and it goes on");
}

/// EN-7: a bomb is refused before it is large, in every encoding.
#[tokio::test]
async fn a_decompression_bomb_is_refused() {
    const LIMIT: u64 = 100_000;
    let server = IngestServer::builder().with_max_body(LIMIT).start().await.unwrap();
    let bomb = vec![b' '; 4 << 20];
    for encoding in ALL {
        let wire = encode(encoding, &bomb);
        let expected = if wire.len() as u64 > LIMIT { "by size" } else { "by what it holds" };
        let (status, _) = send_encoded(&server, encoding.as_str(), wire).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{encoding:?}, {expected}");
        let record = server.requests().pop().unwrap();
        assert_eq!(record.problems, [Problem::TooLarge { limit: LIMIT }], "{encoding:?}");
        assert!(record.body.is_empty());
    }
}

async fn first_line(address: SocketAddr, request: String) -> String {
    let answer = raw(address, request).await.unwrap();
    let line = answer.split(|byte| *byte == b'\r').next().unwrap();
    String::from_utf8(line.to_vec()).unwrap()
}

/// EN-7: a body that is too large is refused by its length, without being read, or when too much has come.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = IngestServer::builder().with_max_body(10).start().await.unwrap();
    let line = first_line(server.address(), head(11)).await;
    assert_eq!(line, "HTTP/1.1 413 Payload Too Large");
    let chunked = head(0).replace("content-length: 0", "transfer-encoding: chunked");
    let line = first_line(server.address(), format!("{chunked}b\r\n01234567890\r\n")).await;
    assert_eq!(line, "HTTP/1.1 413 Payload Too Large");
    assert_eq!(server.requests()[1].problems, [Problem::TooLarge { limit: 10 }]);
}

/// AU-5: the length is told truly, or the request is not complete.
#[tokio::test]
async fn a_body_that_is_cut_short_is_seen() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = IngestServer::start().await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(format!("{}{ENVELOPE}", head(ENVELOPE.len() + 1)).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    server.wait_until(|summary| summary.requests == 1, crate::support::PATIENCE).await.unwrap();
    assert_eq!(server.requests()[0].problems, [Problem::BodyCut]);
    assert_eq!(server.summary().accepted, 0);

    let bare = format!(
        "POST /api/42/envelope/ HTTP/1.1\r\nhost: x\r\nx-sentry-auth: {AUTH}\r\nconnection: close\r\n\r\n"
    );
    raw(server.address(), bare).await.unwrap();
    assert!(server.requests()[1].problems.contains(&Problem::MissingLength));
}
