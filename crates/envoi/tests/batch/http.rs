//! Over real sockets.

use envoi::Encoding;
use envoi::batch::Framing;
use envoi_testkit::ingest::{IngestServer, Record, Step};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Told, account, listen};

async fn server() -> IngestServer {
    let server = IngestServer::start().await.unwrap();
    // It judges envelopes; of batches it only takes note.
    server.otherwise(Step::reply(StatusCode::ACCEPTED));
    server
}

fn events(record: &Record) -> Vec<Value> {
    serde_json::from_slice(&record.body).unwrap()
}

/// AU-8, CO-1, BD-8: over a real connection: one post per batch, with the token, the length and the compression of a
/// well-behaved client, and every event once.
#[tokio::test]
async fn batches_arrive_over_a_real_connection() {
    let server = server().await;
    let origin = server.url().replace("/api/42/envelope/", "");
    let logger = envoi::batch(&format!("{origin}/v1/events?source=test"))
        .bearer("s3cret")
        .user_agent("shop/1.2 (test)")
        .header(HeaderName::from_static("x-team"), HeaderValue::from_static("payments"))
        .build()
        .unwrap();
    for number in 0..50 {
        logger.log(&json!({"number": number, "text": "x".repeat(100)})).unwrap();
    }
    let outcome = logger.shutdown(PATIENCE).await;
    assert!(outcome.is_complete && outcome.delivered == 50, "{outcome:?}");

    let requests = server.requests();
    let sizes: Vec<_> = requests.iter().map(|record| events(record).len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 50);
    assert!(sizes.len() <= 4, "{sizes:?}");
    let numbers: Vec<_> = requests
        .iter()
        .flat_map(|record| events(record))
        .map(|event| event["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
    let head = &requests[0].head;
    assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/v1/events"));
    assert_eq!(head.uri.query(), Some("source=test"));
    for (name, value) in [
        ("authorization", "Bearer s3cret"),
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("user-agent", "shop/1.2 (test)"),
        ("x-team", "payments"),
    ] {
        assert_eq!(head.headers[name], value, "{name}");
    }
    assert_eq!(head.headers["content-length"], requests[0].wire.len().to_string());
    assert!(requests.iter().all(|record| record.head.connection == 0), "one connection for all");
}

/// BD-2, BD-5: a server that fails, and then refuses the key.
#[tokio::test]
async fn a_real_server_fails_and_refuses() {
    let server = server().await;
    server.script([
        Step::reset(),
        Step::reply(StatusCode::BAD_GATEWAY),
        Step::reply(StatusCode::OK),
        Step::reply(StatusCode::FORBIDDEN).body(r#"{"detail":"the key was revoked"}"#),
    ]);
    let told = Told::default();
    let logger = envoi::batch(&server.url())
        .encoding(Encoding::Identity)
        .framing(Framing::Lines)
        .on_error(listen(&told))
        .build()
        .unwrap();
    logger.log("first").unwrap();
    assert!(logger.flush(PATIENCE).await.is_complete);
    logger.log("second").unwrap();
    assert!(logger.flush(PATIENCE).await.is_complete);
    assert!(logger.is_disabled());
    assert!(logger.log("third").is_err());
    assert!(logger.shutdown(PATIENCE).await.is_complete);
    let account = account(&logger);
    assert_eq!((account.delivered, account.refused[&403], account.lost_total()), (1, 1, 1));
    assert_eq!(*told.lock().unwrap(), [("auth", 1)]);
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[2].body, "\"first\"\n");
    assert_eq!(requests[2].head.headers["content-type"], "application/x-ndjson");
    assert!(!requests[2].head.headers.contains_key("authorization"), "no token was given");
}
