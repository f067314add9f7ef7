//! Envelopes as SDKs write them: an event, and attachments where it has to be large.

use std::fmt::Write;

use bytes::Bytes;

const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

/// The sizes that the parser is measured at.
pub const SIZES: [(&str, usize); 3] = [("1 KiB", 1 << 10), ("40 KiB", 40 << 10), ("1 MiB", 1 << 20)];

/// An envelope of about `size` bytes: one event up to 64 KiB, and beyond that attachments, every other one of noise.
#[must_use]
pub fn envelope(size: usize) -> Bytes {
    let header = format!(
        r#"{{"event_id":"{ID}","sent_at":"2026-11-23T08:00:00.000Z","sdk":{{"name":"sentry.rust","version":"0.49.5"}}}}"#
    );
    let mut bytes = header.into_bytes();
    bytes.push(b'\n');
    let event = event(size.saturating_sub(bytes.len() + 40).min(40 << 10));
    item(&mut bytes, &format!(r#"{{"type":"event","length":{}}}"#, event.len()), event.as_bytes());
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0.. {
        let room = size.saturating_sub(bytes.len() + 140);
        if room == 0 || size <= 64 << 10 {
            break;
        }
        let length = room.min(256 << 10);
        let payload = if number % 2 == 0 {
            log(length)
        } else {
            std::iter::repeat_with(|| random.u8(..)).take(length).collect()
        };
        let header = format!(
            r#"{{"type":"attachment","length":{length},"filename":"part-{number}.bin","content_type":"application/octet-stream","attachment_type":"event.attachment"}}"#
        );
        item(&mut bytes, &header, &payload);
    }
    bytes.into()
}

/// One event of about `size` bytes, as JSON: a message, an exception with frames, tags and breadcrumbs.
#[must_use]
pub fn event(size: usize) -> String {
    let mut json = format!(
        r#"{{"event_id":"{ID}","timestamp":1795420800.125,"level":"error","platform":"rust","logger":"checkout","release":"shop@4.2.1","environment":"production","server_name":"web-17","tags":{{"region":"eu-1","user.plan":"team"}},"exception":{{"values":[{{"type":"Timeout","value":"no answer from payment within 3 s"}}]}},"breadcrumbs":{{"values":["#
    );
    let end = "]}}";
    let mut random = fastrand::Rng::with_seed(1);
    for number in 0.. {
        let path = random.u32(..);
        let crumb = format!(
            r#"{}{{"timestamp":{}.25,"category":"http","type":"http","message":"GET /api/carts/{path:08x}/items answered after {} ms","data":{{"method":"GET","status_code":{}}}}}"#,
            if number == 0 { "" } else { "," },
            1_795_420_000 + number,
            random.u32(1..900),
            [200, 204, 304, 404][random.usize(..4)],
        );
        if json.len() + crumb.len() + end.len() > size && number > 0 {
            break;
        }
        json.push_str(&crumb);
    }
    json.push_str(end);
    json
}

fn item(bytes: &mut Vec<u8>, header: &str, payload: &[u8]) {
    bytes.extend_from_slice(header.as_bytes());
    bytes.push(b'\n');
    bytes.extend_from_slice(payload);
    bytes.push(b'\n');
}

fn log(length: usize) -> Vec<u8> {
    let mut text = String::with_capacity(length + 80);
    let mut random = fastrand::Rng::with_seed(2);
    while text.len() < length {
        let (thread, path) = (random.u8(..), random.u32(..));
        let _ = writeln!(text, "2026-11-23T08:00:00Z INFO worker-{thread} request {path:08x} done");
    }
    text.truncate(length);
    text.into_bytes()
}
