//! What SDKs send is taken in every form, and arrives as it was.

use std::io::Write;

use envoi::Envelope;
use envoi_testkit::ingest::IngestServer;

use crate::client::{Relay, STUCK, event, post};

/// An envelope with all that a relay must not touch: attributes and types that nobody knows, bytes that are no text,
/// newlines and carriage returns in payloads, an empty payload, no length, and no newline at the end.
fn strange() -> Vec<u8> {
    let header = "{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\",\"trace\":{\"x\":1},\"from_the_future\":[1, 2]}\n";
    let mut envelope = header.as_bytes().to_vec();
    let mut item = |header: &str, payload: &[u8]| {
        let header = header.replace("LENGTH", &payload.len().to_string());
        envelope.extend_from_slice(header.as_bytes());
        envelope.push(b'\n');
        envelope.extend_from_slice(payload);
        envelope.push(b'\n');
    };
    item("{\"type\":\"event\",\"length\":LENGTH,\"odd\":null}", b"{\"message\" : \"h\\u00e9\" }");
    item("{\"type\":\"attachment\",\"length\":LENGTH,\"filename\":\"a.bin\"}", b"\x00\xff\n\r\n{}\x80\n");
    item("{\"length\":LENGTH,\"type\":\"teapot\"}", b"");
    item("{\"type\":\"session\"}", b"{\"sid\":\"1\",\r\t\"init\":true}");
    envelope.pop();
    envelope
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn brotli(plain: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    brotli::CompressorWriter::new(&mut wire, 4096, 5, 20).write_all(plain).unwrap();
    wire
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut request = b"POST /api/42/envelope/ HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\
                        x-sentry-auth: Sentry sentry_key=key\r\ntransfer-encoding: chunked\r\n\r\n"
        .to_vec();
    for chunk in body.chunks(7) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// EN-4, EN-8, CO-1, CO-2: in every encoding, with a length and in chunks, every payload and every header of an item arrives byte
/// for byte, and so does every attribute of the envelope that is not the relay's business.
#[tokio::test]
async fn every_form_of_a_request_arrives_byte_for_byte() {
    let server = IngestServer::start().await.unwrap();
    let relay = Relay::start(&["--upstream", &server.dsn()]).await;
    let plain = strange();
    let auth = "x-sentry-auth: Sentry sentry_version=7, sentry_client=sdk/1, sentry_key=key";
    let requests = [
        post("/api/42/envelope/", &[auth], &plain),
        post("/prefix/api/42/envelope", &[auth, "content-encoding: identity"], &plain),
        post("/api/42/envelope/", &[auth, "content-encoding: gzip"], gzip(&plain)),
        post("/api/42/envelope/", &[auth, "Content-Encoding: Deflate"], deflate(&plain)),
        post("/api/42/envelope/", &[auth, "content-encoding: br"], brotli(&plain)),
        post("/api/42/envelope/", &[auth, "content-encoding: zstd"], zstd::encode_all(&*plain, 0).unwrap()),
        post("/api/42/envelope/?sentry_key=key&sentry_version=7", &[], &plain),
        chunked(&plain),
    ];
    for request in &requests {
        let answer = relay.send(request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["id"], "9ec79c33ec9942ab8353589fcb2e04dc");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    let arrived = server.wait_for(requests.len() as u64, STUCK).await.unwrap();
    let sent = Envelope::parse(plain).unwrap();
    assert_eq!(arrived.len(), requests.len());
    for envelope in arrived {
        assert_eq!(envelope.items(), sent.items());
        for attribute in ["event_id", "trace", "from_the_future"] {
            assert_eq!(envelope.attribute(attribute), sent.attribute(attribute));
        }
        assert!(envelope.sent_at().is_some());
    }
    let (run, summary) = relay.stop().await;
    assert_eq!((run.code, &summary["balances"]), (0, &true.into()), "{summary}");
    assert_eq!(summary["forwarded"], requests.len());
}

/// AU-4, decision 26: the key may be in the header of the envelope, as tunnels have it; the address of the relay that is
/// there becomes that of the upstream.
#[tokio::test]
async fn the_dsn_in_an_envelope_is_enough_and_is_readdressed() {
    let server = IngestServer::start().await.unwrap();
    let relay = Relay::start(&["--upstream", &server.dsn()]).await;
    let body = format!("{{\"dsn\":\"http://key@{}/42\"}}\n{{\"type\":\"event\"}}\n{{}}", relay.address);
    let answer = relay.send(post("/api/42/envelope/", &[], body)).await;
    assert_eq!((answer.status, answer.json()), (200, serde_json::json!({})), "{answer:?}");
    let arrived = server.wait_for(1, STUCK).await.unwrap();
    assert_eq!(arrived[0].dsn().unwrap().to_string(), server.dsn());
}

/// CR-8: what only relays report is forwarded, not merged into our own reports.
#[tokio::test]
async fn reports_of_other_relays_are_forwarded_whole() {
    let server = IngestServer::start().await.unwrap();
    let folder = crate::support::Folder::new();
    let relay = Relay::start(&["--upstream", &server.dsn(), "--spool", &folder.name("spool")]).await;
    let report = r#"{"timestamp":1.5,"discarded_events":[],"rate_limited_events":[{"reason":"r","category":"error","quantity":2}],"x":[]}"#;
    let answer = relay.post(format!("{{}}\n{{\"type\":\"client_report\"}}\n{report}\n")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let arrived = server.wait_for(1, STUCK).await.unwrap();
    assert_eq!(&**arrived[0].items()[0].payload(), report.as_bytes());
}

/// Decision 24, EN-3: a sloppy envelope is read leniently, a malformed one is refused with the place, and costs none of its neighbours.
#[tokio::test]
async fn sloppy_envelopes_pass_and_malformed_ones_are_explained() {
    let server = IngestServer::start().await.unwrap();
    let relay = Relay::start(&["--upstream", &server.dsn()]).await;
    let sloppy = relay.post("{}\r\n{\"type\":\"event\",\"length\":2}\r\n{}\r\n\r\n").await;
    assert_eq!(sloppy.status, 200, "{sloppy:?}");
    for (body, cause) in [
        ("", "byte 0"),
        ("nonsense", "not JSON"),
        ("{}\n{\"type\":\"event\",\"length\":99}\n{}", "length"),
        ("{}\n{\"no_type\":1}\n{}", "type"),
    ] {
        let refused = relay.post(body).await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        let json = refused.json();
        assert_eq!(json["detail"], "invalid event envelope");
        assert!(json["causes"][0].as_str().unwrap().contains(cause), "{body}: {json}");
        assert_eq!(refused.header("x-sentry-error"), Some("invalid event envelope"));
    }
    assert_eq!(relay.post(event(1)).await.status, 200);
    server.wait_for(2, STUCK).await.unwrap();
}

/// EN-6: an envelope without items is answered, and costs no request.
#[tokio::test]
async fn an_empty_envelope_is_not_forwarded() {
    let server = IngestServer::start().await.unwrap();
    let relay = Relay::start(&["--upstream", &server.dsn()]).await;
    assert_eq!(relay.post("{}\n").await.status, 200);
    let (_, summary) = relay.stop().await;
    assert_eq!((server.shutdown().await.requests, &summary["accepted"]), (0, &0.into()));
}

#[tokio::test]
async fn what_is_not_an_envelope_is_told_where_to_go() {
    let relay = Relay::start(&["--upstream", crate::client::NOWHERE]).await;
    let refused = |answer: crate::client::Answer| (answer.status, answer.json()["causes"][0].to_string());
    let (status, why) = refused(relay.send(post("/api/42/store/?sentry_key=a", &[], "{}")).await);
    assert!(status == 404 && why.contains("/store/") && why.contains("newer SDK"), "{why}");
    let (status, why) = refused(relay.send(post("/api/42/minidump/", &[], "x")).await);
    assert!(status == 404 && why.contains("/api/{project}/envelope/"), "{why}");
    let (status, why) = refused(relay.send(post("/api/42/envelope/", &[], event(1))).await);
    assert!(status == 401 && why.contains("sentry_key"), "{why}");
    let (status, why) =
        refused(relay.send(post("/api/42/envelope/", &["x-sentry-auth: Basic x"], event(1))).await);
    assert!(status == 401 && why.contains("Sentry"), "{why}");
    let auth = "x-sentry-auth: Sentry sentry_key=key";
    let (status, why) =
        refused(relay.send(post("/api/42/envelope/", &[auth, "content-encoding: lzma"], "x")).await);
    assert!(status == 415 && why.contains("zstd"), "{why}");
    let (status, why) =
        refused(relay.send(post("/api/42/envelope/", &[auth, "content-encoding: gzip"], "not gzip")).await);
    assert!(status == 400 && why.contains("decoded"), "{why}");
    assert_eq!(relay.get("/api/42/envelope/").await.status, 405);
}

/// A browser asks first, from whatever page it is; and it gets to read the limits.
#[tokio::test]
async fn browsers_may_send_from_any_page() {
    let relay = Relay::start(&["--upstream", crate::client::NOWHERE]).await;
    let asked = relay
        .send(
            "OPTIONS /api/42/envelope/?sentry_key=a HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\
             origin: https://shop.example\r\naccess-control-request-method: POST\r\n\
             access-control-request-headers: content-type,x-sentry-auth\r\n\r\n",
        )
        .await;
    assert_eq!(asked.status, 204, "{asked:?}");
    assert_eq!(asked.header("access-control-allow-origin"), Some("*"));
    assert!(asked.header("access-control-allow-methods").unwrap().contains("post"));
    let headers = asked.header("access-control-allow-headers").unwrap();
    for needed in ["content-type", "x-sentry-auth", "content-encoding"] {
        assert!(headers.contains(needed), "{headers}");
    }
    let exposed = asked.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("x-sentry-rate-limits") && exposed.contains("retry-after"), "{exposed}");
    let page = relay.get("/").await;
    assert_eq!(
        (page.status, page.header("access-control-allow-origin")),
        (200, None),
        "pages are nobody else's"
    );
}

/// CO-2: a client that asks before it sends a large body is told to go on, and one that is refused sends nothing.
#[tokio::test]
async fn who_asks_first_is_answered_first() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = IngestServer::start().await.unwrap();
    let relay = Relay::start(&["--upstream", &server.dsn()]).await;
    let body = event(1);
    let head = |auth: &str| {
        format!(
            "POST /api/42/envelope/ HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n{auth}content-length: {}\r\n\
             expect: 100-continue\r\n\r\n",
            body.len()
        )
    };
    let mut stream = tokio::net::TcpStream::connect(relay.address).await.unwrap();
    stream.write_all(head("x-sentry-auth: Sentry sentry_key=key\r\n").as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    assert_eq!(crate::client::Answer::read(&mut stream).await.status, 200);
    server.wait_for(1, STUCK).await.unwrap();
    let refused = relay.send(head("x-sentry-auth: Basic x\r\n")).await;
    assert_eq!(refused.status, 401, "{refused:?}");
}
