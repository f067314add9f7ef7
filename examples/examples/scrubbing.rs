//! A scrubbing layer of your own: what is nobody's business does not leave the process.
//!
//! A layer that only changes what passes needs no type of its own: `MapRequestLayer` and a function are enough.
//! [`Envelope::rewrite`] gives items another payload; the attributes of their headers stay, `length` follows, and items
//! that are not touched are sent as the bytes that they are.
//!
//! Take away: nothing is dropped here, so there is nothing to record. What fails to parse is left out *whole*, by a text
//! in its place, because a scrubber that lets pass what it does not understand is none.
//!
//! ```console
//! $ cargo run -p envoi-examples --example scrubbing
//! ```

use std::time::Duration;

use envoi::core::Parcel;
use envoi::envelope::ItemType;
use envoi::{Envelope, Item};
use envoi_testkit::ingest::IngestServer;
use serde_json::{Value, json};
use tower::util::MapRequestLayer;

const SECRETS: [&str; 4] = ["password", "authorization", "cookie", "ip_address"];

/// Hides the values of all members with a secret name, however deep they are.
fn scrub(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if SECRETS.contains(&name.to_lowercase().as_str()) {
                    *member = json!("[scrubbed]");
                } else {
                    scrub(member);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(scrub),
        _ => {}
    }
}

fn scrub_parcel(mut parcel: Parcel<Envelope>) -> Parcel<Envelope> {
    parcel.payload_mut().rewrite(|item| {
        if !matches!(item.item_type(), ItemType::Event | ItemType::Transaction) {
            return None; // as it is
        }
        let scrubbed = match serde_json::from_slice(item.payload()) {
            Ok(mut event) => {
                scrub(&mut event);
                event
            }
            Err(_) => json!({ "message": "[not JSON, left out]" }),
        };
        Some(scrubbed.to_string().into())
    });
    parcel
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let server = IngestServer::spawn_thread()?;
    let transport =
        envoi::sentry(&server.server().dsn())?.delivery_layer(MapRequestLayer::new(scrub_parcel)).build()?;

    let event = json!({
        "message": "log in failed",
        "user": { "id": "7", "ip_address": "203.0.113.9" },
        "request": { "headers": { "Authorization": "Bearer s3cret", "Accept": "*/*" }, "data": [{ "password": "hunter2" }] },
    });
    let mut envelope = Envelope::new().with_item(Item::event(event.to_string()))?;
    envelope.push(Item::attachment("notes.txt", "attachments are left alone"))?;
    transport.send(envelope)?;
    assert!(transport.close_blocking(Duration::from_secs(5)).is_complete);

    let received = server.server().envelopes();
    let [event, notes] = received[0].items() else { return Err("an item is missing".into()) };
    println!("{}", String::from_utf8_lossy(event.payload()));
    let event: Value = serde_json::from_slice(event.payload())?;
    assert_eq!(event["user"], json!({ "id": "7", "ip_address": "[scrubbed]" }));
    assert_eq!(event["request"]["headers"], json!({ "Authorization": "[scrubbed]", "Accept": "*/*" }));
    assert!(!event.to_string().contains("hunter2"));
    assert_eq!(notes.payload(), "attachments are left alone");
    Ok(())
}
